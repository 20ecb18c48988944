//! What a segment holds after it was torn, cut and damaged.

use std::path::{Path, PathBuf};

use schemas::record::Offset;
use schemas::{NewRecord, Record, Topic};

use super::active::Active;
use super::recover::{Recovered, recover};
use super::segment::{Segment, Wanted};
use crate::LogError;

const ALL: Wanted = Wanted { from: 0, end: Offset::MAX, records: usize::MAX, bytes: usize::MAX };

fn record(value: &str) -> NewRecord {
    NewRecord::new(Topic::MailRaw, "key", value.to_owned())
}

/// A segment of these groups, and where each record ends.
fn written(folder: &Path, groups: &[&[&str]]) -> (PathBuf, Vec<u64>) {
    let mut active = Active::create(folder, 0, 0).unwrap();
    let mut offset = 0;
    let mut ends = Vec::new();
    for group in groups {
        for value in *group {
            active.write(&record(value), offset, 1000 + i64::try_from(offset).unwrap()).unwrap();
            active.flush().unwrap();
            offset += 1;
            ends.push(std::fs::metadata(active.segment.path()).unwrap().len());
        }
        active.sync().unwrap();
        active.publish();
    }
    (active.segment.path().to_owned(), ends)
}

fn values(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8(record.value.as_ref().unwrap().to_vec()).unwrap()).collect()
}

/// Every record that can be read, and the offsets of those that can't.
fn contents(recovered: &Recovered) -> (Vec<String>, Vec<Offset>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for segment in &recovered.segments {
        let mut from = segment.base();
        while from < segment.end() {
            match segment.read(Wanted { from, ..ALL }) {
                Ok(records) => {
                    assert!(!records.is_empty());
                    from = records.last().unwrap().position.offset + 1;
                    good.extend(values(&records));
                }
                Err(LogError::BadRecord { position, cause }) => {
                    assert!(cause.contains(".seg"), "{cause}");
                    bad.push(position.offset);
                    from = position.offset + 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    (good, bad)
}

/// The bytes of a segment, put into a folder of their own and recovered.
fn recovered(bytes: &[u8]) -> (tempfile::TempDir, Recovered) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(super::segment::file_name(0)), bytes).unwrap();
    let recovered = recover(folder.path(), 0).unwrap();
    (folder, recovered)
}

#[test]
fn a_segment_cut_at_any_byte_holds_the_whole_records_before_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ends) = written(folder.path(), &[&["a"], &["bb", "ccc"]]);
    let bytes = std::fs::read(path).unwrap();
    for cut in 0..=bytes.len() {
        let (folder, found) = recovered(&bytes[..cut]);
        let whole = ends.iter().filter(|&&end| end <= cut as u64).count();
        assert_eq!(
            contents(&found),
            (["a", "bb", "ccc"][..whole].iter().map(ToString::to_string).collect(), vec![]),
            "cut at {cut}"
        );
        assert_eq!(found.end, whole as u64);
        // And the same once more, from what the first start left.
        assert_eq!(recover(folder.path(), 0).unwrap().end, whole as u64, "second start, cut at {cut}");
    }
}

#[test]
fn a_flipped_byte_in_the_last_group_cuts_it_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ends) = written(folder.path(), &[&["a", "b"], &["bb", "ccc"]]);
    let bytes = std::fs::read(path).unwrap();
    for flipped in usize::try_from(ends[1]).unwrap()..bytes.len() {
        let mut torn = bytes.clone();
        torn[flipped] ^= 0xff;
        let (_folder, found) = recovered(&torn);
        let whole = ends.iter().filter(|&&end| end <= flipped as u64).count();
        assert_eq!(
            contents(&found),
            (["a", "b", "bb", "ccc"][..whole].iter().map(ToString::to_string).collect(), vec![]),
            "byte {flipped}"
        );
    }
}

#[test]
fn a_flipped_byte_before_the_last_group_is_damage_and_loses_that_record_only() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ends) = written(folder.path(), &[&["a", "bb"], &["ccc"], &["dddd"]]);
    let bytes = std::fs::read(path).unwrap();
    for flipped in usize::try_from(ends[0]).unwrap()..usize::try_from(ends[2]).unwrap() {
        let mut damaged = bytes.clone();
        damaged[flipped] ^= 0xff;
        let (folder, found) = recovered(&damaged);
        let lost = if (flipped as u64) < ends[1] { 1 } else { 2 };
        let left: Vec<_> = (0..4)
            .filter(|offset| *offset != lost)
            .map(|offset| ["a", "bb", "ccc", "dddd"][offset].to_owned())
            .collect();
        assert_eq!(contents(&found), (left.clone(), vec![lost as u64]), "byte {flipped}");
        assert_eq!(found.end, 4);
        let again = recover(folder.path(), 0).unwrap();
        assert_eq!(contents(&again), (left, vec![lost as u64]), "second start, byte {flipped}");
    }
}

#[test]
fn a_flipped_byte_in_a_sealed_segment_is_damage_and_loses_that_record_only() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ends) = written(folder.path(), &[&["a", "bb", "ccc"]]);
    recover(folder.path(), 0).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for flipped in usize::try_from(ends[0]).unwrap()..usize::try_from(ends[1]).unwrap() {
        let mut damaged = bytes.clone();
        damaged[flipped] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let found = recover(folder.path(), 0).unwrap();
        assert_eq!(contents(&found), (vec!["a".into(), "ccc".into()], vec![1]), "byte {flipped}");
    }
}

#[test]
fn a_damaged_index_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = written(folder.path(), &[&["a", "bb", "ccc"]]);
    recover(folder.path(), 0).unwrap();
    let index_path = path.with_extension("idx");
    let index = std::fs::read(&index_path).unwrap();
    for flipped in 0..index.len() {
        let mut damaged = index.clone();
        damaged[flipped] ^= 1;
        std::fs::write(&index_path, &damaged).unwrap();
        let found = recover(folder.path(), 0).unwrap();
        assert_eq!(contents(&found), (vec!["a".into(), "bb".into(), "ccc".into()], vec![]), "byte {flipped}");
        assert_eq!(found.end, 3);
    }
}

#[test]
fn an_index_of_another_length_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = written(folder.path(), &[&["a", "bb"]]);
    recover(folder.path(), 0).unwrap();
    std::fs::write(path.with_extension("idx"), b"short").unwrap();
    assert_eq!(contents(&recover(folder.path(), 0).unwrap()).0, ["a", "bb"]);
}

#[test]
fn a_forged_frame_inside_a_mail_is_never_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let forged_folder = tempfile::tempdir().unwrap();
    // Good frames of another segment: another salt.
    let (forged, _) = written(forged_folder.path(), &[&["x"], &["forged"], &["forged"]]);
    let mut mail = b"\0".repeat(40);
    mail.extend(std::fs::read(forged).unwrap());
    let mut active = Active::create(folder.path(), 0, 0).unwrap();
    active.write(&record("a"), 0, 5).unwrap();
    active.flush().unwrap();
    active.publish();
    active.write(&NewRecord::new(Topic::MailRaw, "k", mail), 1, 5).unwrap();
    active.flush().unwrap();
    let bytes = std::fs::read(active.segment.path()).unwrap();
    for cut in 120..bytes.len() {
        let (_folder, found) = recovered(&bytes[..cut]);
        assert_eq!(contents(&found), (vec!["a".into()], vec![]), "cut at {cut}");
    }
}

#[test]
fn a_damaged_header_of_a_segment_with_records_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = written(folder.path(), &[&["a"]]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let stopped = recover(folder.path(), 0).unwrap_err();
    assert!(matches!(&stopped, LogError::Damaged(text) if text.contains(".seg")), "{stopped}");
}

#[test]
fn a_read_takes_as_many_records_as_fit_and_at_least_one() {
    let folder = tempfile::tempdir().unwrap();
    let (_, ends) = written(folder.path(), &[&["a", "b", "c", "d"]]);
    let found = recover(folder.path(), 0).unwrap();
    let segment: &Segment = &found.segments[0];
    let two = usize::try_from(ends[1] - 32).unwrap();
    for (bytes, count) in [(0, 1), (two - 1, 1), (two, 2), (usize::MAX, 4)] {
        assert_eq!(segment.read(Wanted { bytes, ..ALL }).unwrap().len(), count, "{bytes} bytes");
    }
    assert_eq!(values(&segment.read(Wanted { from: 1, end: 3, ..ALL }).unwrap()), ["b", "c"]);
    assert_eq!(segment.times(), Some((1000, 1003)));
    assert_eq!(segment.time_of(2).unwrap(), Some(1002));
}

#[test]
fn a_group_that_is_given_up_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut active = Active::create(folder.path(), 0, 0).unwrap();
    active.write(&record("a"), 0, 5).unwrap();
    active.flush().unwrap();
    active.publish();
    let before = std::fs::read(active.segment.path()).unwrap();
    active.write(&record(&"b".repeat(1 << 20)), 1, 5).unwrap();
    active.flush().unwrap();
    active.cut_back().unwrap();
    assert_eq!(std::fs::read(active.segment.path()).unwrap(), before);
    active.write(&record("c"), 1, 5).unwrap();
    active.flush().unwrap();
    active.publish();
    assert_eq!(values(&active.segment.read(ALL).unwrap()), ["a", "c"]);
}

#[test]
fn a_sealed_segment_that_was_cut_loses_the_record_at_the_cut_only() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ends) = written(folder.path(), &[&["a", "bb", "ccc"]]);
    recover(folder.path(), 0).unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    for cut in (ends[1]..length).rev() {
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let found = recover(folder.path(), 0).unwrap();
        assert_eq!(contents(&found), (vec!["a".into(), "bb".into()], vec![2]), "cut at {cut}");
    }
}

#[test]
fn the_cut_end_of_a_segment_that_another_follows_is_damage_and_not_torn() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ends) = written(folder.path(), &[&["a", "bb"]]);
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(ends[1] - 1).unwrap();
    let mut next = Active::create(folder.path(), 0, 2).unwrap();
    next.write(&record("ccc"), 2, 1002).unwrap();
    next.flush().unwrap();
    next.publish();
    for _ in 0..2 {
        let found = recover(folder.path(), 0).unwrap();
        assert_eq!(contents(&found), (vec!["a".into(), "ccc".into()], vec![1]));
    }
}
