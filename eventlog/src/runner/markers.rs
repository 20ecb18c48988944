//! What survives the death of the process: whether a group was running, and at which record it was when it is in
//! careful mode. A record at which the process died twice, alone, is given up.
//!
//! A marker is written with one `write` and no sync: it has to outlive the process, not the machine. A kill from
//! outside must not count against sound mail, so the death that leads to careful mode accuses nobody; only one that
//! comes while a single named record is being processed does, and it takes two of those at the same record.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use schemas::Position;
use serde::{Deserialize, Serialize};

/// Deaths at one record, processed alone, after which it is not tried again.
pub const DEATHS_BEFORE_GIVING_UP: u32 = 2;
/// A marker is padded to this, so that every write replaces the one before it.
const MARKER_BYTES: usize = 256;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    running: bool,
    /// The record that is being processed alone, and the deaths that would be its fault if the process died now.
    at: Option<(Position, u32)>,
}

/// The markers of one group.
#[derive(Debug)]
pub struct Markers {
    file: File,
    /// What the last process left.
    left: Marker,
}

impl Markers {
    /// Reads what the last process left, and marks the group as running.
    pub fn open(folder: &Path, group: &str) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let name: String = group.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let path = folder.join(format!("{name}.marker"));
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = Vec::new();
        file.by_ref().take(MARKER_BYTES as u64).read_to_end(&mut text)?;
        // An unreadable marker accuses nobody, but asks for care.
        let unreadable = Marker { running: true, at: None };
        let left =
            if text.is_empty() { Marker::default() } else { serde_json::from_slice(&text).unwrap_or(unreadable) };
        let markers = Self { file, left };
        // The accusation stands until the record is behind us: a death on the way there must not clear it.
        markers.write(&Marker { running: true, ..left })?;
        Ok(markers)
    }

    /// Whether the last process died while the group was running.
    pub const fn was_unclean(&self) -> bool {
        self.left.running
    }

    /// How often the process has died at this record.
    pub fn deaths(&self, position: Position) -> u32 {
        match self.left.at {
            Some((at, deaths)) if at == position => deaths,
            _ => 0,
        }
    }

    /// This record is being processed, alone.
    pub fn enter(&self, position: Position) -> std::io::Result<()> {
        let deaths = self.deaths(position).saturating_add(1);
        self.write(&Marker { running: true, at: Some((position, deaths)) })
    }

    /// It was survived. What the last process left stays until its record is committed.
    pub fn leave(&self) -> std::io::Result<()> {
        self.write(&Marker { running: true, at: self.left.at })
    }

    /// Careful mode is over.
    pub fn calm(&mut self) -> std::io::Result<()> {
        self.left = Marker::default();
        self.write(&Marker { running: true, at: None })
    }

    /// The group stops as it should. An accusation that was not settled stays.
    pub fn stop(&self) -> std::io::Result<()> {
        self.write(&Marker { running: self.left.at.is_some(), at: self.left.at })
    }

    fn write(&self, marker: &Marker) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(marker)?;
        text.resize(MARKER_BYTES.max(text.len()), b' ');
        self.file.write_all_at(&text, 0)
    }
}

#[cfg(test)]
mod tests {
    use schemas::Topic;

    use super::*;

    fn at(offset: u64) -> Position {
        Position::new(Topic::MailRaw, 0, offset)
    }

    #[test]
    fn a_first_start_and_a_clean_stop_need_no_care() {
        let folder = tempfile::tempdir().unwrap();
        let first = Markers::open(folder.path(), "mail/processors").unwrap();
        assert!(!first.was_unclean());
        first.stop().unwrap();
        assert!(!Markers::open(folder.path(), "mail/processors").unwrap().was_unclean());
    }

    #[test]
    fn the_death_of_a_running_group_asks_for_care_and_accuses_nobody() {
        let folder = tempfile::tempdir().unwrap();
        drop(Markers::open(folder.path(), "g").unwrap());
        let second = Markers::open(folder.path(), "g").unwrap();
        assert!(second.was_unclean());
        assert_eq!(second.deaths(at(4)), 0);
    }

    #[test]
    fn deaths_at_a_record_add_up_over_processes() {
        let folder = tempfile::tempdir().unwrap();
        for deaths in 0..3 {
            let markers = Markers::open(folder.path(), "g").unwrap();
            assert_eq!(markers.deaths(at(4)), deaths);
            markers.enter(at(3)).unwrap();
            markers.leave().unwrap();
            markers.enter(at(4)).unwrap();
        }
    }

    #[test]
    fn a_record_that_was_survived_is_not_accused() {
        let folder = tempfile::tempdir().unwrap();
        let mut markers = Markers::open(folder.path(), "g").unwrap();
        markers.enter(at(4)).unwrap();
        markers.calm().unwrap();
        drop(markers);
        assert_eq!(Markers::open(folder.path(), "g").unwrap().deaths(at(4)), 0);
    }

    #[test]
    fn an_unreadable_marker_asks_for_care() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("g.marker"), "{\"run").unwrap();
        assert!(Markers::open(folder.path(), "g").unwrap().was_unclean());
    }
}
