//! The rules of `accounts`, as files: `cases/*.case`. A line is an event (`BY: VERB …`, `server` being the server
//! itself), or a question with its answer (`VERB … = ANSWER`), or a comment. `BLESS=1` writes the answers anew.
//!
//! `alternate(ADDRESS)` stands for the local part of a reserved address's alternate.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

use std::fs;
use std::path::{Path, PathBuf};

use accounts::{Access, Table, key_sha256};
use schemas::event::{AccountChange, AccountEvent, AddressSettings, ForwardKind, ForwardTarget};

#[test]
fn every_case_ends_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failed = Vec::new();
    for file in files {
        let written = fs::read_to_string(&file).unwrap();
        let answered = play(&written);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &answered).unwrap();
            continue;
        }
        let differing = written.lines().zip(answered.lines()).filter(|(line, answer)| line != answer);
        failed.extend(differing.map(|(line, answer)| format!("{}\n  file: {line}\n  is:   {answer}", file.display())));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The file with every answer as it is.
fn play(text: &str) -> String {
    let mut table = Table::default();
    let mut answered = String::new();
    for (number, line) in text.lines().enumerate() {
        let bare = filled_in(line.trim(), &table);
        let line = match bare.split_once(": ").filter(|(by, _)| !by.contains(' ')) {
            _ if bare.is_empty() || bare.starts_with('#') => line.to_owned(),
            Some((by, asked)) => {
                let event = AccountEvent {
                    event_id: format!("event {number}"),
                    at: i64::try_from(number).unwrap(),
                    by: (by != "server").then(|| by.to_owned()),
                    change: change(asked),
                };
                table.fold(table.offset(), &event);
                line.to_owned()
            }
            None => {
                let question = line.split_once(" = ").map_or(line, |(question, _)| question);
                format!("{question} = {}", answer(&table, &filled_in(question, &table)))
            }
        };
        answered.push_str(&line);
        answered.push('\n');
    }
    answered
}

fn filled_in(line: &str, table: &Table) -> String {
    let Some((before, rest)) = line.split_once("alternate(") else { return line.to_owned() };
    let (address, after) = rest.split_once(')').unwrap();
    let alternate = table.reserved(address).map_or("inbox-0000000000000000", |reserved| reserved.alternate.as_str());
    format!("{before}{alternate}{after}")
}

fn change(asked: &str) -> AccountChange {
    let words: Vec<&str> = asked.split(' ').collect();
    let word = |at: usize| words.get(at).map(|word| (*word).to_owned()).unwrap_or_default();
    let private = |at: usize| words.get(at) != Some(&"public");
    match words[0] {
        "account" => AccountChange::AccountCreated {
            account: word(1),
            email: format!("{}@example.org", word(1)),
            admin: words.get(2) == Some(&"admin"),
        },
        "remove" => AccountChange::AccountRemoved { account: word(1) },
        "key" => AccountChange::KeyCreated { account: word(1), name: "a key".into(), key_sha256: key_sha256(&word(2)) },
        "revoke" => AccountChange::KeyRevoked { account: word(1), key_sha256: key_sha256(&word(2)) },
        "domain" => AccountChange::DomainAdded { domain: word(1), owner: word(2), private: private(3) },
        "make" => AccountChange::DomainChanged { domain: word(1), private: private(2), enable_websocket: true },
        "drop" => AccountChange::DomainRemoved { domain: word(1) },
        "reserve" => {
            AccountChange::AddressReserved { address: word(1), owner: word(2), settings: settings(&words[3..]) }
        }
        "set" => AccountChange::AddressChanged { address: word(1), settings: settings(&words[2..]) },
        "release" => AccountChange::AddressReleased { address: word(1), owner: word(2) },
        "catch-all" => AccountChange::CatchAllSet {
            domain: word(1),
            owner: word(2),
            inbox: word(3),
            settings: settings(&words[4..]),
        },
        "switch" => AccountChange::ForwardSwitched {
            forward: word(1),
            owner: word(2),
            on: words.get(3) == Some(&"on"),
            cause: words.get(4..).unwrap_or_default().join(" "),
        },
        "no-catch-all" => AccountChange::CatchAllRemoved { domain: word(1) },
        other => panic!("no such change: {other}"),
    }
}

fn settings(forwards: &[&str]) -> AddressSettings {
    let target = |id: &&str| ForwardTarget::new((*id).to_owned(), ForwardKind::Webhook, Vec::new());
    AddressSettings { forwards: forwards.iter().map(target).collect(), ..AddressSettings::default() }
}

fn answer(table: &Table, question: &str) -> String {
    let (verb, rest) = question.split_once(' ').unwrap_or((question, ""));
    let or_none = |text: Option<&str>| text.unwrap_or("nobody").to_owned();
    match verb {
        "route" => {
            let route = table.resolve(rest);
            format!("{} as {} [{}]", route.inbox, route.original_inbox, route.forwards.join(" "))
        }
        "inbox" => table.inbox_of(rest).unwrap_or_else(|error| error.to_string()),
        "access" => {
            let (account, inbox) = rest.split_once(' ').unwrap();
            match table.access(account, inbox) {
                Access::Own => "own",
                Access::Public => "public",
                Access::Other => "other",
            }
            .to_owned()
        }
        "owner" => or_none(table.reserved(rest).map(|reserved| reserved.owner.as_str())),
        "won" => or_none(table.reserved(rest).map(|reserved| reserved.event_id.as_str())),
        "domain-owner" => or_none(table.domain(rest).map(|domain| domain.owner.as_str())),
        "catch-all-owner" => or_none(table.catch_all(rest).map(|catch_all| catch_all.owner.as_str())),
        "key-opens" => or_none(table.account_by_key(rest).map(|account| account.id.as_str())),
        "forward" => table.forward(rest).map_or("nothing".to_owned(), |forward| {
            let off = forward.off.map_or("on".to_owned(), |off| format!("off {}", off.cause));
            format!("of {} at {}, {}", forward.owner, forward.rule, off.trim_end())
        }),
        "accounts" => table.accounts().map(|account| account.id.as_str()).collect::<Vec<_>>().join(" "),
        "reserved-of" => table.reserved_of(rest).map(|one| one.address.as_str()).collect::<Vec<_>>().join(" "),
        other => panic!("no such question: {other}"),
    }
}
