//! What a routed message makes due. Pure: the same record gives the same deliveries under the same ids.

use std::collections::HashSet;

use schemas::MessageId;
use schemas::event::{ForwardDue, MailRouted, RoutedEntry};
use sha2::{Digest, Sha256};

const ID_PREFIX: &str = "dlv_";
const ID_BYTES: usize = 16;

/// What a record of `mail.routed` makes due: each forward once, for the first entry that names it. A replay's record
/// makes nothing due.
pub fn due(routed: &MailRouted, routed_offset: i64) -> Vec<ForwardDue> {
    if routed.replay.is_some() {
        return Vec::new();
    }
    let (mut due, mut named) = (Vec::new(), HashSet::new());
    for entry in &routed.entries {
        for forward in &entry.forwards {
            if named.insert(forward) {
                due.push(due_again(routed, routed_offset, entry, forward, ""));
            }
        }
    }
    due
}

/// A delivery of this entry to this forward because somebody asked for it: `origin` names the backfill, redelivery or
/// test, and is part of the delivery's id.
pub fn due_again(
    routed: &MailRouted,
    routed_offset: i64,
    entry: &RoutedEntry,
    forward: &str,
    origin: &str,
) -> ForwardDue {
    ForwardDue {
        delivery_id: delivery_id(&routed.message_id, forward, origin),
        forward: forward.to_owned(),
        message_id: routed.message_id.clone(),
        index: entry.index,
        routed_offset,
        arrived_at: routed.arrived_at,
        next_at: 0,
        attempts: 0,
        origin: origin.to_owned(),
    }
}

/// The id of a delivery. It holds no `.`, which Standard Webhooks puts between what it signs.
pub fn delivery_id(message: &MessageId, forward: &str, origin: &str) -> String {
    let mut hash = Sha256::new();
    for part in [message.as_str(), forward, origin] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut id = String::from(ID_PREFIX);
    for byte in digest.iter().take(ID_BYTES) {
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

#[cfg(test)]
mod tests {
    use schemas::event::Folder;

    use super::*;

    fn message() -> MessageId {
        MessageId::from_parts(1_700_000_000_000, [7; 10])
    }

    fn routed(entries: &[(i32, &[&str])]) -> MailRouted {
        let entry = |(index, forwards): &(i32, &[&str])| RoutedEntry {
            index: *index,
            inbox: format!("{index}@example.org"),
            original_inbox: format!("{index}@example.org"),
            recipients: Vec::new(),
            forwards: forwards.iter().map(|id| (*id).to_owned()).collect(),
            starts_in_spam: false,
        };
        MailRouted {
            message_id: message(),
            raw_offset: 3,
            arrived_at: 1_700_000_000_000,
            entries: entries.iter().map(entry).collect(),
            folder: Folder::Inbox,
            score: 0.5,
            accounts_offset: 9,
            replay: None,
        }
    }

    #[test]
    fn each_forward_is_due_once_for_the_first_entry_that_names_it() {
        let due = due(&routed(&[(0, &["a", "b"]), (2, &["b", "c", "a"]), (5, &[])]), 40);
        let told: Vec<_> = due.iter().map(|one| (one.forward.as_str(), one.index)).collect();
        assert_eq!(told, [("a", 0), ("b", 0), ("c", 2)]);
        for one in &due {
            assert_eq!(one.delivery_id, delivery_id(&message(), &one.forward, ""));
            assert_eq!((one.routed_offset, one.next_at, one.attempts, one.arrived_at), (40, 0, 0, 1_700_000_000_000));
            assert!(one.origin.is_empty());
        }
    }

    #[test]
    fn a_replay_makes_nothing_due() {
        let replayed = MailRouted { replay: Some("replay-1".to_owned()), ..routed(&[(0, &["a"])]) };
        assert!(due(&replayed, 40).is_empty());
    }

    #[test]
    fn an_id_depends_on_message_forward_and_origin_and_on_nothing_else() {
        let first = due(&routed(&[(0, &["a"])]), 40);
        let moved = due(&MailRouted { score: 0.9, ..routed(&[(1, &["a"])]) }, 77);
        assert_eq!(first[0].delivery_id, moved[0].delivery_id);
        let mut ids = vec![
            delivery_id(&message(), "a", ""),
            delivery_id(&message(), "b", ""),
            delivery_id(&message(), "a", "backfill-1"),
            delivery_id(&message(), "ab", "c"),
            delivery_id(&message(), "a", "bc"),
            delivery_id(&MessageId::from_parts(1, [0; 10]), "a", ""),
        ];
        for id in &ids {
            assert_eq!(id.len(), ID_PREFIX.len() + 2 * ID_BYTES);
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{id}");
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 6);
    }

    #[test]
    fn the_id_of_a_delivery_stays_what_it_has_been() {
        assert_eq!(delivery_id(&message(), "a", ""), "dlv_0afefff23521bdfcf4eae48bd660e0b0");
    }
}
