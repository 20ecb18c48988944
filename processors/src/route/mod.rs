//! Where a message goes: one entry for each inbox, with the forwards that apply. The rules are the table's
//! ([`accounts::Table::resolve`]); here its answers for all recipients become one fact.

use std::collections::HashMap;

use accounts::Table;
use schemas::event::{Folder, MailRaw, MailRouted, RoutedEntry};

/// The entries of a message. Recipients that lead to the same inbox make one entry, named by the first of them.
pub fn route(raw: &MailRaw, raw_offset: i64, score: f64, accounts: &Table) -> MailRouted {
    let mut entries: Vec<RoutedEntry> = Vec::new();
    let mut entry_of: HashMap<String, usize> = HashMap::new();
    for (index, recipient) in raw.recipients.iter().enumerate() {
        let route = accounts.resolve(recipient);
        let known = entry_of.get(&route.inbox).and_then(|place| entries.get_mut(*place));
        if let Some(entry) = known {
            entry.recipients.push(recipient.clone());
            for forward in route.forwards {
                if !entry.forwards.contains(&forward) {
                    entry.forwards.push(forward);
                }
            }
            continue;
        }
        entry_of.insert(route.inbox.clone(), entries.len());
        entries.push(RoutedEntry {
            index: i32::try_from(index).unwrap_or(i32::MAX),
            inbox: route.inbox,
            original_inbox: route.original_inbox,
            recipients: vec![recipient.clone()],
            forwards: route.forwards,
        });
    }
    MailRouted {
        message_id: raw.message_id.clone(),
        raw_offset,
        arrived_at: raw.arrived_at,
        entries,
        folder: Folder::Inbox,
        score,
        accounts_offset: i64::try_from(accounts.offset()).unwrap_or(i64::MAX),
        replay: None,
    }
}
