//! Where mail goes of which only the store knows: by the recipients of the entries that are shown. Those of entries that
//! were deleted are gone with them, so nothing deleted comes back. Copies that forwards have made stay, and none are made.
//!
//! An entry keeps the number by which it is known. Recipients that part from it get one that no arrival has given, made
//! of the recipient: the same whenever it is asked, also when what it named has been deleted since.

use std::collections::{BTreeSet, HashSet};

use accounts::Table;
use mailstore::Entry;
use schemas::event::{Folder, MailRouted, RoutedEntry};
use schemas::{EntryId, MessageId};
use sha2::{Digest, Sha256};

use super::marks::FROM_STORE;

/// No mail has so many recipients and copies.
const FIRST_NUMBER: i32 = 1 << 20;
const NUMBERS: u32 = 1 << 20;

/// The routing that the store shows.
pub fn before(id: &MessageId, shown: &[Entry]) -> MailRouted {
    let mut entries: Vec<RoutedEntry> = shown.iter().filter_map(routed_entry).collect();
    entries.sort_by_key(|entry| entry.index);
    let first = shown.first();
    MailRouted {
        message_id: id.clone(),
        raw_offset: FROM_STORE,
        arrived_at: first.map_or(0, |entry| entry.received_at),
        entries,
        folder: Folder::Inbox,
        score: first.map_or(0.0, |entry| entry.spam),
        accounts_offset: 0,
        replay: None,
    }
}

fn routed_entry(entry: &Entry) -> Option<RoutedEntry> {
    let id: EntryId = entry.id.parse().ok()?;
    Some(RoutedEntry {
        index: i32::try_from(id.index).ok()?,
        inbox: entry.inbox.clone(),
        original_inbox: entry.original_inbox.clone(),
        recipients: entry.recipients.clone(),
        forwards: Vec::new(),
        starts_in_spam: entry.delivered_to == Folder::Spam,
    })
}

/// The routing by the table of now.
pub fn after(before: &MailRouted, accounts: &Table) -> MailRouted {
    let mut entries: Vec<RoutedEntry> = Vec::new();
    let mut taken: BTreeSet<i32> = before.entries.iter().map(|entry| entry.index).collect();
    let mut known = HashSet::new();
    for entry in &before.entries {
        let mut number = Some(entry.index);
        for recipient in &entry.recipients {
            let route = accounts.resolve(recipient);
            let is_copy = !known.insert(recipient) || route.copies.iter().any(|copied| copied.inbox == entry.inbox);
            let (inbox, original_inbox) = if is_copy {
                (entry.inbox.clone(), entry.original_inbox.clone())
            } else {
                (route.inbox, route.original_inbox)
            };
            if let Some(there) = entries.iter_mut().find(|there| there.inbox == inbox) {
                if !there.recipients.contains(recipient) {
                    there.recipients.push(recipient.clone());
                }
                continue;
            }
            let is_moved = inbox != entry.inbox;
            let score = before.score;
            let owner_takes = || accounts.owner_of(&inbox).is_some_and(|owner| owner.takes_as_spam(score));
            let index = number.take().unwrap_or_else(|| number_of(recipient, &mut taken));
            // What is known by its number, or stays, starts where it started.
            let is_as_before = index == entry.index || !is_moved;
            let starts_in_spam = if is_as_before { entry.starts_in_spam } else { owner_takes() };
            let recipients = vec![recipient.clone()];
            entries.push(RoutedEntry {
                index,
                inbox,
                original_inbox,
                recipients,
                forwards: Vec::new(),
                starts_in_spam,
            });
        }
    }
    entries.sort_by_key(|entry| entry.index);
    let accounts_offset = i64::try_from(accounts.offset()).unwrap_or(i64::MAX);
    MailRouted { entries, accounts_offset, ..before.clone() }
}

/// A number that no entry has which is shown.
fn number_of(recipient: &str, taken: &mut BTreeSet<i32>) -> i32 {
    let digest = Sha256::digest(recipient.as_bytes());
    let hash = digest.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    let mut number = FIRST_NUMBER.saturating_add((hash % NUMBERS).cast_signed());
    while !taken.insert(number) {
        number = number.saturating_add(1);
    }
    number
}

#[cfg(test)]
mod tests {
    use schemas::event::{AccountChange, AccountEvent, AddressSettings};

    use super::*;

    /// ann owns d.org, whose catch-all saves to all@d.org, and has reserved these.
    fn table(reserved: &[&str]) -> Table {
        let ann = "ann".to_owned();
        let settings = AddressSettings::default();
        let mut changes = vec![
            AccountChange::AccountCreated { account: ann.clone(), email: String::new(), admin: false },
            AccountChange::DomainAdded { domain: "d.org".to_owned(), owner: ann.clone(), private: true },
            AccountChange::CatchAllSet {
                domain: "d.org".to_owned(),
                owner: ann.clone(),
                inbox: "all@d.org".to_owned(),
                settings: settings.clone(),
            },
        ];
        changes.extend(reserved.iter().map(|address| AccountChange::AddressReserved {
            address: (*address).to_owned(),
            owner: ann.clone(),
            settings: settings.clone(),
        }));
        let mut table = Table::default();
        for (offset, change) in (0..).zip(changes) {
            table.fold(offset, &AccountEvent { event_id: offset.to_string(), at: 0, by: None, change });
        }
        table
    }

    fn mail(entries: &[(i32, &str, &[&str])]) -> MailRouted {
        let entry = |(index, inbox, recipients): &(i32, &str, &[&str])| RoutedEntry {
            index: *index,
            inbox: (*inbox).to_owned(),
            original_inbox: recipients[0].to_owned(),
            recipients: recipients.iter().map(|recipient| (*recipient).to_owned()).collect(),
            forwards: Vec::new(),
            starts_in_spam: true,
        };
        let entries = entries.iter().map(entry).collect();
        MailRouted { entries, ..before(&MessageId::from_parts(0, [0; 10]), &[]) }
    }

    fn places(routed: &MailRouted) -> Vec<(i32, &str, String)> {
        fn place(entry: &RoutedEntry) -> (i32, &str, String) {
            (entry.index, &entry.inbox, entry.recipients.join(" "))
        }
        routed.entries.iter().map(place).collect()
    }

    #[test]
    fn what_is_where_it_should_be_stays_as_it_is() {
        let kept = mail(&[(0, "all@d.org", &["one@d.org", "two@d.org"]), (7, "x@public.org", &["x@public.org"])]);
        assert_eq!(after(&kept, &table(&[])).entries, kept.entries);
    }

    #[test]
    fn an_entry_moves_under_its_number_and_who_parts_from_it_has_one_for_ever() {
        let kept = mail(&[(1, "all@d.org", &["one@d.org", "two@d.org", "desk@d.org"])]);
        let moved = after(&kept, &table(&["one@d.org"]));
        let number = moved.entries[1].index;
        assert_eq!(
            places(&moved),
            [(1, "one@d.org", "one@d.org".to_owned()), (number, "all@d.org", "two@d.org desk@d.org".to_owned())]
        );
        assert!(number >= FIRST_NUMBER && moved.entries[0].starts_in_spam);
        let accounts = table(&["one@d.org", "desk@d.org"]);
        let again = after(&moved, &accounts);
        assert_eq!(again.entries.len(), 3);
        assert_eq!(places(&again)[..1], places(&moved)[..1]);
        assert_eq!(after(&again, &accounts).entries, again.entries, "asked again it is the same");
    }

    #[test]
    fn a_copy_stays_where_it_is() {
        let kept = mail(&[(0, "one@d.org", &["one@d.org"]), (1, "two@d.org", &["one@d.org"])]);
        assert_eq!(after(&kept, &table(&["one@d.org", "two@d.org"])).entries, kept.entries);
    }

    #[test]
    fn entries_of_one_inbox_become_one() {
        let kept = mail(&[(0, "one@d.org", &["one@d.org"]), (1, "two@d.org", &["two@d.org"])]);
        assert_eq!(places(&after(&kept, &table(&[]))), [(0, "all@d.org", "one@d.org two@d.org".to_owned())]);
    }
}
