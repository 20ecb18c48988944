//! How well scores tell spam from ham, in the figures of the TREC spam track.

use serde::Serialize;

/// A score is spam above this.
const THRESHOLD: f64 = 0.5;
/// Rows of the calibration table.
const BINS: usize = 10;
/// Nothing is more certain than this: the log loss of one wrong certainty would be without end.
const LEAST_PROBABILITY: f64 = 1e-15;

/// The figures over some scores.
#[derive(Debug, Serialize)]
pub struct Figures {
    pub spam: usize,
    pub ham: usize,
    /// The chance that a spam scores higher than a ham, equal scores counting half; none without both.
    pub roc_area: Option<f64>,
    /// What is missing to 1, in per cent: "1-ROCA%".
    pub one_minus_roca_percent: Option<f64>,
    /// The share that lies on its own side of 0.5.
    pub accuracy: f64,
    /// The share of ham over 0.5.
    pub false_positive_rate: Option<f64>,
    /// The share of spam that is not.
    pub false_negative_rate: Option<f64>,
    pub log_loss: f64,
    pub calibration: Vec<Bin>,
    /// Shares of ham and of spam at or over every score that occurs, from the highest down.
    #[serde(skip)]
    pub curve: Vec<(f64, f64)>,
}

/// The scores between two tenths.
#[derive(Debug, PartialEq, Serialize)]
pub struct Bin {
    pub from: f64,
    pub to: f64,
    pub mails: usize,
    pub mean_score: Option<f64>,
    pub spam_share: Option<f64>,
}

/// The figures over scores, and whether each is of spam; none for no scores.
pub fn of(scores: &[(f64, bool)]) -> Option<Figures> {
    let spam = scores.iter().filter(|(_, is_spam)| *is_spam).count();
    let ham = scores.len() - spam;
    if scores.is_empty() {
        return None;
    }
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    let over = |kind: bool| scores.iter().filter(|(score, is_spam)| *is_spam == kind && *score > THRESHOLD).count();
    let (spam_over, ham_over) = (over(true), over(false));
    let curve = curve(scores, spam, ham);
    let area = (spam > 0 && ham > 0).then(|| area(&curve));
    let loss = |(score, is_spam): &(f64, bool)| {
        let probability = if *is_spam { *score } else { 1.0 - score };
        -probability.max(LEAST_PROBABILITY).ln()
    };
    Some(Figures {
        spam,
        ham,
        roc_area: area,
        one_minus_roca_percent: area.map(|area| 100.0 * (1.0 - area)),
        accuracy: (spam_over + ham - ham_over) as f64 / scores.len() as f64,
        false_positive_rate: share(ham_over, ham),
        false_negative_rate: share(spam - spam_over, spam),
        log_loss: scores.iter().map(loss).sum::<f64>() / scores.len() as f64,
        calibration: (0..BINS).map(|number| bin(scores, number)).collect(),
        curve,
    })
}

fn bin(scores: &[(f64, bool)], number: usize) -> Bin {
    let (from, to) = (number as f64 / BINS as f64, (number + 1) as f64 / BINS as f64);
    // 1 itself is in the last one.
    let is_in = |score: f64| score >= from && (score < to || number + 1 == BINS);
    let (mut mails, mut sum, mut spam) = (0, 0.0, 0);
    for (score, is_spam) in scores.iter().filter(|(score, _)| is_in(*score)) {
        mails += 1;
        sum += score;
        spam += usize::from(*is_spam);
    }
    let of_mails = |whole: f64| (mails > 0).then(|| whole / mails as f64);
    Bin { from, to, mails, mean_score: of_mails(sum), spam_share: of_mails(spam as f64) }
}

fn curve(scores: &[(f64, bool)], spam: usize, ham: usize) -> Vec<(f64, f64)> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (mut spam_seen, mut ham_seen) = (0, 0);
    let mut points = vec![(0.0, 0.0)];
    for same in sorted.chunk_by(|one, next| one.0 == next.0) {
        let spam_here = same.iter().filter(|(_, is_spam)| *is_spam).count();
        spam_seen += spam_here;
        ham_seen += same.len() - spam_here;
        points.push((ham_seen as f64 / ham.max(1) as f64, spam_seen as f64 / spam.max(1) as f64));
    }
    points
}

/// Under straight lines between the points: equal scores count half.
fn area(curve: &[(f64, f64)]) -> f64 {
    let trapezoids = curve.windows(2).map(|pair| match pair {
        [(ham, spam), (next_ham, next_spam)] => (next_ham - ham) * (spam + next_spam) / 2.0,
        _ => 0.0,
    });
    trapezoids.sum()
}

const COLUMNS: usize = 61;
const ROWS: usize = 16;
/// Decades of the axis of ham: from 0.01 % to 100 %.
const DECADES: f64 = 4.0;

/// The curve as text. Good filters differ in the first thousandths of ham, so that axis is logarithmic.
pub fn drawn(curve: &[(f64, f64)]) -> String {
    let mut text = "spam found\n".to_owned();
    let found = |column: usize| {
        let ham = 10_f64.powf((column as f64 / (COLUMNS - 1) as f64 - 1.0) * DECADES);
        curve.iter().take_while(|(share, _)| *share <= ham).last().map_or(0.0, |(_, spam)| *spam)
    };
    let heights: Vec<f64> = (0..COLUMNS).map(|column| found(column) * ROWS as f64).collect();
    for row in (0..ROWS).rev() {
        let label = if row + 1 == ROWS {
            "100% "
        } else if row == 0 {
            "  0% "
        } else {
            "     "
        };
        text.push_str(label);
        text.push('│');
        text.extend(heights.iter().map(|height| block(height - row as f64)));
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text.push_str("     └");
    text.push_str(&"─".repeat(COLUMNS));
    text.push_str("\n      0.01%          0.1%           1%             10%        100%\n");
    text.push_str("      ham taken for spam\n");
    text
}

/// An eighth, two eighths … of a cell.
fn block(filled: f64) -> char {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let eighths = (filled.clamp(0.0, 1.0) * 8.0).round() as usize;
    BLOCKS.get(eighths).copied().unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_share_of_pairs_in_the_right_order() {
        let figures = of(&[(0.9, true), (0.6, false), (0.6, true), (0.2, false), (0.1, true)]).unwrap();
        // Pairs: 0.9 before both, 0.6 ties with one and is before one, 0.1 is behind both.
        let pairs = (2.0 + 0.5 + 1.0) / 6.0;
        assert!((figures.roc_area.unwrap() - pairs).abs() < 1e-12);
        assert!((figures.one_minus_roca_percent.unwrap() - 100.0 * (1.0 - pairs)).abs() < 1e-9);
        assert_eq!(figures.accuracy, 3.0 / 5.0);
        assert_eq!(figures.false_positive_rate, Some(0.5));
        assert_eq!(figures.false_negative_rate, Some(1.0 / 3.0));
    }

    #[test]
    fn a_half_is_no_spam() {
        let figures = of(&[(0.5, true), (0.5, false)]).unwrap();
        assert_eq!((figures.false_positive_rate, figures.false_negative_rate), (Some(0.0), Some(1.0)));
        assert_eq!(figures.roc_area, Some(0.5));
        assert!((figures.log_loss - 2.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn one_kind_alone_has_no_area() {
        let figures = of(&[(1.0, true), (0.3, true)]).unwrap();
        assert_eq!((figures.roc_area, figures.false_positive_rate), (None, None));
        assert!(of(&[]).is_none());
    }

    #[test]
    fn the_loss_of_a_wrong_certainty_has_an_end() {
        assert!(of(&[(0.0, true)]).unwrap().log_loss < 35.0);
    }

    #[test]
    fn bins_hold_every_score_once() {
        let scores = [(0.0, false), (0.1, false), (0.15, true), (0.95, true), (1.0, true)];
        let bins = of(&scores).unwrap().calibration;
        assert_eq!(bins.iter().map(|bin| bin.mails).sum::<usize>(), scores.len());
        let second = Bin { from: 0.1, to: 0.2, mails: 2, mean_score: Some(0.125), spam_share: Some(0.5) };
        assert_eq!(bins[1], second);
        assert_eq!((bins[9].mails, bins[5].mean_score), (2, None));
    }

    #[test]
    fn a_perfect_curve_fills_the_picture_and_a_useless_one_does_not() {
        let full = |scores: &[(f64, bool)]| drawn(&of(scores).unwrap().curve).matches('█').count();
        assert_eq!(full(&[(0.9, true), (0.1, false)]), COLUMNS * ROWS);
        assert!(full(&[(0.5, true), (0.5, false)]) < 2 * ROWS);
    }
}
