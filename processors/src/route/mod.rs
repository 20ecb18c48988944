//! Where a message goes: one entry for each inbox, with the forwards that apply. The rules are the table's
//! ([`accounts::Table::resolve`]); here its answers for all recipients become one fact.

use std::collections::HashMap;

use accounts::Table;
use schemas::event::{Folder, MailRaw, MailRouted, RoutedEntry};

/// Where a message goes that is scored so.
pub fn route(raw: &MailRaw, raw_offset: i64, score: f64, accounts: &Table) -> MailRouted {
    routed(raw, raw_offset, entries(raw, accounts), score, accounts)
}

/// The entries of a message. Recipients that lead to the same inbox make one entry, named by the first of them. Copies
/// that forwards ask for are entries as well, numbered behind the recipients.
pub fn entries(raw: &MailRaw, accounts: &Table) -> Vec<RoutedEntry> {
    let mut entries = Entries::default();
    let mut copies = Vec::new();
    for (index, recipient) in raw.recipients.iter().enumerate() {
        let route = accounts.resolve(recipient);
        copies.extend(route.copies.into_iter().map(|copied| (copied, route.original_inbox.clone(), recipient)));
        entries.add(index, route.inbox, route.original_inbox, recipient, route.forwards);
    }
    for (behind, (copied, original_inbox, recipient)) in copies.into_iter().enumerate() {
        entries.add(raw.recipients.len() + behind, copied.inbox, original_inbox, recipient, copied.forwards);
    }
    entries.list
}

/// The account that every entry belongs to; `None` where there are several, or one belongs to nobody.
pub fn sole_owner<'a>(entries: &[RoutedEntry], accounts: &'a Table) -> Option<&'a str> {
    let mut owners = entries.iter().map(|entry| accounts.owner_of(&entry.inbox).map(|owner| owner.id.as_str()));
    let first = owners.next()??;
    owners.all(|owner| owner == Some(first)).then_some(first)
}

/// The fact that these entries make. Each starts in `spam` where its owner has set so for mail of this score.
pub fn routed(
    raw: &MailRaw,
    raw_offset: i64,
    mut entries: Vec<RoutedEntry>,
    score: f64,
    accounts: &Table,
) -> MailRouted {
    for entry in &mut entries {
        entry.starts_in_spam = accounts.owner_of(&entry.inbox).is_some_and(|owner| owner.takes_as_spam(score));
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

/// Entries in the making, one an inbox.
#[derive(Default)]
struct Entries {
    list: Vec<RoutedEntry>,
    place_of: HashMap<String, usize>,
}

impl Entries {
    fn add(&mut self, index: usize, inbox: String, original_inbox: String, recipient: &str, forwards: Vec<String>) {
        let known = self.place_of.get(&inbox).and_then(|place| self.list.get_mut(*place));
        if let Some(entry) = known {
            if entry.recipients.last().is_none_or(|last| last != recipient) {
                entry.recipients.push(recipient.to_owned());
            }
            for forward in forwards {
                if !entry.forwards.contains(&forward) {
                    entry.forwards.push(forward);
                }
            }
            return;
        }
        self.place_of.insert(inbox.clone(), self.list.len());
        self.list.push(RoutedEntry {
            index: i32::try_from(index).unwrap_or(i32::MAX),
            inbox,
            original_inbox,
            recipients: vec![recipient.to_owned()],
            forwards,
            starts_in_spam: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use schemas::event::{AccountChange, AccountEvent, AddressSettings, ForwardKind, ForwardTarget};

    use super::*;
    use crate::parse::tests::raw;

    fn settings(ids: &[&str]) -> AddressSettings {
        let target = |id: &&str| ForwardTarget::new((*id).to_owned(), ForwardKind::Webhook, Vec::new());
        AddressSettings { forwards: ids.iter().map(target).collect(), ..AddressSettings::default() }
    }

    /// ann owns d.org, whose catch-all saves to all@d.org, and has reserved desk@d.org.
    fn table() -> Table {
        let (ann, domain) = ("ann".to_owned(), "d.org".to_owned());
        let changes = [
            AccountChange::AccountCreated { account: ann.clone(), email: String::new(), admin: false },
            AccountChange::DomainAdded { domain: domain.clone(), owner: ann.clone(), private: true },
            AccountChange::CatchAllSet {
                domain,
                owner: ann.clone(),
                inbox: "all@d.org".to_owned(),
                settings: settings(&["all", "both"]),
            },
            AccountChange::AddressReserved {
                address: "desk@d.org".to_owned(),
                owner: ann,
                settings: settings(&["desk", "both"]),
            },
        ];
        let mut table = Table::default();
        for (offset, change) in (0..).zip(changes) {
            table.fold(offset, &AccountEvent { event_id: offset.to_string(), at: 0, by: None, change });
        }
        table
    }

    fn to(recipients: &[&str]) -> MailRouted {
        let mut mail = raw("");
        mail.recipients = recipients.iter().map(|recipient| (*recipient).to_owned()).collect();
        route(&mail, 9, 0.25, &table())
    }

    #[test]
    fn recipients_of_one_inbox_make_one_entry_named_by_the_first() {
        let routed = to(&["x@public.org", "One@d.org", "Desk+a@D.org", "two@d.org", "desk@d.org"]);
        let entries: Vec<_> = routed
            .entries
            .iter()
            .map(|entry| (entry.index, entry.inbox.as_str(), entry.original_inbox.as_str(), entry.recipients.join(" ")))
            .collect();
        assert_eq!(
            entries,
            [
                (0, "x@public.org", "x@public.org", "x@public.org".to_owned()),
                (1, "all@d.org", "one@d.org", "One@d.org two@d.org".to_owned()),
                (2, "desk@d.org", "desk+a@d.org", "Desk+a@D.org desk@d.org".to_owned()),
            ]
        );
    }

    #[test]
    fn each_forward_of_an_entry_applies_once() {
        let routed = to(&["desk@d.org", "desk+x@d.org", "any@d.org", "x@public.org"]);
        let forwards: Vec<_> = routed.entries.iter().map(|entry| entry.forwards.join(" ")).collect();
        assert_eq!(forwards, ["desk both all", "all both", ""]);
    }

    #[test]
    fn copies_are_entries_behind_the_recipients_and_go_round_nowhere() {
        let mut accounts = table();
        let copy = |to: &str| AddressSettings {
            forwards: vec![ForwardTarget::new(format!("to {to}"), ForwardKind::Mail, to.as_bytes().to_vec())],
            ..AddressSettings::default()
        };
        let reserve = |address: &str, settings| AccountChange::AddressReserved {
            address: address.to_owned(),
            owner: "ann".to_owned(),
            settings,
        };
        let changes = [
            reserve("one@a.org", copy("two@a.org")),
            reserve("two@a.org", copy("desk@d.org")),
            AccountChange::AddressChanged { address: "desk@d.org".to_owned(), settings: copy("one@a.org") },
        ];
        for (offset, change) in (accounts.offset()..).zip(changes) {
            accounts.fold(offset, &AccountEvent { event_id: offset.to_string(), at: 0, by: None, change });
        }
        let mut mail = raw("");
        mail.recipients = vec!["x@b.org".to_owned(), "one+t@a.org".to_owned()];
        let routed = route(&mail, 9, 0.25, &accounts);
        let entries: Vec<_> = routed
            .entries
            .iter()
            .map(|entry| (entry.index, entry.inbox.as_str(), entry.original_inbox.as_str(), entry.forwards.join(" ")))
            .collect();
        assert_eq!(
            entries,
            [
                (0, "x@b.org", "x@b.org", String::new()),
                (1, "one@a.org", "one+t@a.org", String::new()),
                (2, "two@a.org", "one+t@a.org", String::new()),
                (3, "desk@d.org", "one+t@a.org", "all both".to_owned()),
            ]
        );
    }

    #[test]
    fn the_route_says_at_which_state_of_the_accounts_it_was_decided() {
        let routed = to(&["desk@d.org"]);
        assert_eq!((routed.accounts_offset, routed.raw_offset, routed.arrived_at), (4, 9, 1_600_000_000_000));
        assert_eq!((routed.score, routed.folder, routed.replay), (0.25, Folder::Inbox, None));
    }

    fn set_spam_folder(accounts: &mut Table, over_thousandths: Option<i32>) {
        let change = AccountChange::SpamFolderSet { account: "ann".to_owned(), over_thousandths };
        let event = AccountEvent { event_id: "s".to_owned(), at: 0, by: None, change };
        accounts.fold(accounts.offset(), &event);
    }

    #[test]
    fn mail_over_an_accounts_score_starts_in_its_folder_spam_and_in_nobody_elses() {
        let mut accounts = table();
        let mut mail = raw("");
        mail.recipients = vec!["x@public.org".to_owned(), "desk@d.org".to_owned(), "any@d.org".to_owned()];
        let in_spam = |score: f64, accounts: &Table| -> Vec<bool> {
            let routed = route(&mail, 9, score, accounts);
            assert_eq!(routed.folder, Folder::Inbox);
            routed.entries.iter().map(|entry| entry.starts_in_spam).collect()
        };
        assert_eq!(in_spam(1.0, &accounts), [false; 3], "off by default");
        set_spam_folder(&mut accounts, Some(900));
        assert_eq!(in_spam(0.901, &accounts), [false, true, true]);
        assert_eq!(in_spam(0.9, &accounts), [false; 3]);
        set_spam_folder(&mut accounts, None);
        assert_eq!(in_spam(1.0, &accounts), [false; 3]);
    }

    #[test]
    fn a_message_has_a_sole_owner_when_every_entry_is_one_accounts() {
        let accounts = table();
        let owner = |recipients: &[&str]| {
            let mut mail = raw("");
            mail.recipients = recipients.iter().map(|recipient| (*recipient).to_owned()).collect();
            sole_owner(&entries(&mail, &accounts), &accounts).map(str::to_owned)
        };
        assert_eq!(owner(&["desk@d.org", "any@d.org"]).as_deref(), Some("ann"));
        assert_eq!(owner(&["desk@d.org", "x@public.org"]), None);
        assert_eq!(owner(&["x@public.org"]), None);
        assert_eq!(owner(&[]), None);
    }

    #[test]
    fn a_thousand_recipients_of_one_catch_all_make_one_entry() {
        let recipients: Vec<String> = (0..1000).map(|number| format!("r{number}@d.org")).collect();
        let routed = to(&recipients.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((routed.entries.len(), routed.entries[0].recipients.len()), (1, 1000));
        assert_eq!(routed.entries[0].forwards, ["all", "both"]);
    }
}
