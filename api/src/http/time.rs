//! Times as people and clients write them: ISO 8601 with milliseconds, RFC 5322 dates, and what a query may hold.

use std::time::{SystemTime, UNIX_EPOCH};

use mailstore::message::civil_from_days;
pub use mailstore::message::iso;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// 9999-12-31T23:59:59.999Z: later times have no four digits.
const LATEST_MS: i64 = 253_402_300_799_999;
/// Characters of a time in a query.
const MAX_CHARS: usize = 40;

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `Sun, 05 Jul 2020 22:25:41 +0000` (RFC 5322 3.3).
pub fn rfc5322(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, in_day) = parts(ms);
    let pick = |names: &[&'static str], index: i64| {
        usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
    };
    let weekday = pick(&DAYS, ms.clamp(0, LATEST_MS) / DAY_MS % 7);
    let month = pick(&MONTHS, month - 1);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

/// A time in a query. A bare day is all of it, to its last millisecond; a time without a zone is UTC; a blank in the
/// zone's place was a plus that nobody escaped.
pub fn until(text: &str) -> Option<i64> {
    read(text, DAY_MS - 1)
}

/// The same, where a bare day is its first millisecond.
pub fn from(text: &str) -> Option<i64> {
    read(text, 0)
}

fn read(text: &str, of_bare_day: i64) -> Option<i64> {
    let text = text.trim();
    if text.len() > MAX_CHARS || !text.is_ascii() {
        return None;
    }
    let (date, rest) = text.split_at_checked(10)?;
    let midnight = day(date)?.checked_mul(DAY_MS)?;
    let Some(clock) = rest.strip_prefix(['T', 't', ' ']) else {
        return rest.is_empty().then_some(midnight + of_bare_day);
    };
    let (clock, zone_ms) = split_zone(clock)?;
    Some(midnight + clock_ms(clock)? - zone_ms)
}

/// Days since 1970 of `YYYY-MM-DD`.
fn day(date: &str) -> Option<i64> {
    let mut fields = date.split('-');
    let (year, month, day) = (number(fields.next()?, 4)?, number(fields.next()?, 2)?, number(fields.next()?, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    let sound = fields.next().is_none() && (1..=longest).contains(&day);
    sound.then(|| days_from_civil(year, month, day))
}

/// Milliseconds of `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fff…`.
fn clock_ms(clock: &str) -> Option<i64> {
    let (whole, fraction) = clock.split_once(['.', ',']).map_or((clock, ""), |(whole, fraction)| (whole, fraction));
    let mut fields = whole.split(':');
    let (hour, minute) = (number(fields.next()?, 2)?, number(fields.next()?, 2)?);
    let second = fields.next().map_or(Some(0), |second| number(second, 2))?;
    if fields.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(((hour * 60 + minute) * 60 + second) * 1000 + number(&padded, 3)?)
}

/// The clock, and how far its zone is ahead of UTC.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = text.rfind(['+', '-', ' ']) else { return Some((text, 0)) };
    let (clock, zone) = text.split_at(at);
    let (sign, zone) = zone.split_at_checked(1)?;
    let (hours, minutes) = match zone.split_once(':') {
        Some(fields) => fields,
        None => zone.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() { 0 } else { number(minutes, 2)? };
    let ahead = (number(hours, 2)? * 60 + minutes) * 60_000;
    Some((clock, if sign == "-" { -ahead } else { ahead }))
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let sound = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if sound { text.parse().ok() } else { None }
}

/// Year, month, day, and milliseconds in the day.
fn parts(ms: i64) -> (i64, i64, i64, i64) {
    let ms = ms.clamp(0, LATEST_MS);
    let (year, month, day) = civil_from_days(ms / DAY_MS);
    (year, month, day, ms % DAY_MS)
}

/// The Gregorian calendar by eras of 400 years that begin in March (H. Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: i64 = 1_593_987_941_408;

    #[test]
    fn times_are_written_as_clients_read_them() {
        assert_eq!(iso(SAMPLE), "2020-07-05T22:25:41.408Z");
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(-5), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc5322(SAMPLE), "Sun, 05 Jul 2020 22:25:41 +0000");
        assert_eq!(rfc5322(0), "Thu, 01 Jan 1970 00:00:00 +0000");
    }

    #[test]
    fn every_usual_spelling_of_a_time_is_read() {
        for text in [
            "2020-07-05T22:25:41.408Z",
            "2020-07-05T22:25:41.408",
            "2020-07-05 22:25:41.408",
            "2020-07-06T00:25:41.408+02:00",
            "2020-07-06T00:25:41.408 02:00",
            "2020-07-05T20:25:41.408-0200",
            "2020-07-05T22:25:41.408999Z",
        ] {
            assert_eq!(until(text), Some(SAMPLE), "{text}");
        }
        assert_eq!(until("2020-07-05T22:25"), Some(SAMPLE - 41_408));
    }

    #[test]
    fn a_bare_day_ends_with_its_last_millisecond() {
        assert_eq!(until("1970-01-01"), Some(DAY_MS - 1));
        assert_eq!(iso(until("2024-02-29").unwrap()), "2024-02-29T23:59:59.999Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2020",
            "2020-13-01",
            "2023-02-29",
            "2020-07-05T",
            "2020-07-05T25:00",
            "2020-07-05T10:61",
            "2020-07-05T10:00:00.x",
            "2020-07-05x",
            "2020-07-05T10:00+2",
            "２０２０-07-05",
            "20200-07-05",
            "2020-07-05T10:00:00.00000000000000000000000000",
        ] {
            assert_eq!(until(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_reads_back() {
        for days in (0..80_000).step_by(13) {
            let text = iso(days * DAY_MS);
            assert_eq!(until(&text), Some(days * DAY_MS), "{text}");
        }
    }
}
