//! Mail and facts for the suite: by hand, and by chance.

use schemas::event::{
    ActionChange, Address, Attachment, Door, Folder, MailAction, MailParsed, MailRaw, MailRouted, MailScored,
    RoutedEntry,
};
use schemas::record::Partition;
use schemas::{EntryId, Event, MessageId, Topic};

use super::{Chance, ModelLog};

pub const INBOXES: [&str; 4] = ["ann@a.example", "ann@a.example.org", "ben@b.example", "zoë@c.example"];
pub const ACCOUNTS: [&str; 2] = ["account-1", "account-2"];
const FOLDERS: [Folder; 3] = [Folder::Inbox, Folder::Spam, Folder::Trash];
const LABELS: [&str; 3] = ["blue", "green", "to do"];

/// A message on the log, and what facts about it need to say.
#[derive(Clone, Debug)]
pub struct Written {
    pub id: MessageId,
    pub partition: Partition,
    pub received_at: i64,
    pub raw_offset: i64,
}

impl Written {
    pub fn entry(&self, index: u32) -> EntryId {
        EntryId { message: self.id.clone(), index }
    }

    pub fn entry_text(&self, index: u32) -> String {
        self.entry(index).to_string()
    }
}

/// A message of `size` bytes.
pub fn raw(log: &ModelLog, number: u64, partition: Partition, received_at: i64, size: usize) -> Written {
    let [_, _, _, _, _, _, low @ ..] = number.to_be_bytes();
    let random = [number.to_be_bytes().as_slice(), low.as_slice()].concat();
    let id = MessageId::from_parts(received_at, random.try_into().unwrap());
    let raw = MailRaw {
        message_id: id.clone(),
        arrived_at: received_at,
        door: Door::Smtp,
        peer: None,
        received_by: "mx.example".to_owned(),
        helo: Some("client.example".to_owned()),
        esmtp: true,
        tls: None,
        login: None,
        mail_from: format!("sender-{number}@s.example"),
        recipients: vec!["ann@a.example".to_owned()],
        smtputf8: false,
        content: format!("{number:>size$}").into_bytes(),
    };
    let place = log.append(partition, Event::Raw(raw));
    Written { id, partition, received_at, raw_offset: place.offset.cast_signed() }
}

pub fn parsed(log: &ModelLog, mail: &Written, subject: &str) {
    let address = |text: &str| vec![Address { address: text.to_owned(), name: "A name".to_owned() }];
    let attachment = Attachment {
        checksum: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        content_type: "text/plain".to_owned(),
        content_disposition: "attachment".to_owned(),
        content_id: String::new(),
        file_name: "a.txt".to_owned(),
        transfer_encoding: "base64".to_owned(),
        length_bytes: 12,
    };
    let parsed = MailParsed {
        message_id: mail.id.clone(),
        raw_offset: mail.raw_offset,
        headers: Vec::new(),
        from: address("from@s.example"),
        to: address("ann@a.example"),
        cc: address("cc@s.example"),
        bcc: Vec::new(),
        reply_to: Vec::new(),
        subject: subject.to_owned(),
        date: None,
        text: Some("the text is not kept".to_owned()),
        text_cut: false,
        html: None,
        html_cut: false,
        links: vec!["https://s.example/confirm".to_owned()],
        attachments: vec![attachment],
        size_bytes: 1,
        problems: vec!["a header line has no colon".to_owned()],
    };
    log.append(mail.partition, Event::Parsed(parsed));
}

pub fn scored(log: &ModelLog, mail: &Written, model_sequence: i64, score: f64) {
    let scored = MailScored {
        message_id: mail.id.clone(),
        raw_offset: mail.raw_offset,
        score,
        log_odds: 0.0,
        model: "spam".to_owned(),
        model_version: model_sequence.to_string(),
        model_sequence,
        tokens: Vec::new(),
        replay: None,
    };
    log.append(mail.partition, Event::Scored(scored));
}

pub fn routed(log: &ModelLog, mail: &Written, entries: &[(i32, &str)]) {
    let entry = |(index, inbox): &(i32, &str)| RoutedEntry {
        index: *index,
        inbox: (*inbox).to_owned(),
        original_inbox: format!("plus+{inbox}"),
        recipients: vec![format!("Plus+{inbox}")],
        forwards: Vec::new(),
        starts_in_spam: inbox.starts_with("junk"),
    };
    let routed = MailRouted {
        message_id: mail.id.clone(),
        raw_offset: mail.raw_offset,
        arrived_at: mail.received_at,
        entries: entries.iter().map(entry).collect(),
        folder: Folder::Inbox,
        score: 0.25,
        accounts_offset: 0,
        replay: None,
    };
    log.append(mail.partition, Event::Routed(routed));
}

pub fn act(log: &ModelLog, mail: &Written, index: i32, change: ActionChange) {
    let action =
        MailAction { message_id: mail.id.clone(), index, at: mail.received_at, by: "account-1".to_owned(), change };
    log.append(mail.partition, Event::Action(action));
}

pub fn star(log: &ModelLog, mail: &Written, index: i32, account: Option<&str>) {
    act(log, mail, index, ActionChange::Starred { saved_by: account.map(str::to_owned) });
}

pub fn delete(log: &ModelLog, mail: &Written, index: i32) {
    act(log, mail, index, ActionChange::Deleted { deleted: true });
}

/// A whole message in these inboxes.
pub fn mail(log: &ModelLog, number: u64, received_at: i64, inboxes: &[(i32, &str)]) -> Written {
    let mail = raw(log, number, 0, received_at, 100);
    parsed(log, &mail, &format!("subject {number}"));
    scored(log, &mail, 0, 0.5);
    routed(log, &mail, inboxes);
    mail
}

/// A whole message that arrived at this time.
pub fn whole_at(log: &ModelLog, received_at: i64) -> Written {
    mail(log, 0, received_at, &[(0, INBOXES[0])])
}

/// Mail by chance, in as many partitions, few times of receipt and few inboxes; with replays, later scores, and what
/// people do to it.
pub fn by_chance(log: &ModelLog, chance: &mut Chance, messages: u64, partitions: usize) -> Vec<Written> {
    let mut written: Vec<Written> = Vec::new();
    let first: u64 = log.ends().iter().filter(|end| end.topic == Topic::MailRaw).map(|end| end.offset).sum();
    for number in first..first + messages {
        let partition = u32::try_from(chance.below(partitions)).unwrap();
        let received_at = 1_700_000_000_000 + (number / 3).cast_signed();
        let mail = raw(log, number, partition, received_at, 1 + chance.below(300));
        parsed(log, &mail, &format!("subject {number}"));
        scored(log, &mail, 0, 0.5);
        route_by_chance(log, chance, &mail);
        written.push(mail);
        let later = chance.pick(&written).clone();
        match chance.below(5) {
            0 => route_by_chance(log, chance, &later),
            1 => scored(log, &later, chance.below(4) as i64, chance.below(100) as f64 / 100.0),
            _ => act_by_chance(log, chance, &later),
        }
    }
    written
}

fn route_by_chance(log: &ModelLog, chance: &mut Chance, mail: &Written) {
    let mut entries = Vec::new();
    for (index, inbox) in (0..).zip(INBOXES) {
        if chance.one_in(2) {
            entries.push((index, inbox));
        }
    }
    routed(log, mail, &entries);
}

fn act_by_chance(log: &ModelLog, chance: &mut Chance, mail: &Written) {
    let index = i32::try_from(chance.below(INBOXES.len())).unwrap();
    let flag = chance.one_in(2);
    let change = match chance.below(6) {
        0 => ActionChange::Read { read: flag },
        1 | 2 => ActionChange::Starred { saved_by: flag.then(|| (*chance.pick(&ACCOUNTS)).to_owned()) },
        3 => ActionChange::Labelled { label: (*chance.pick(&LABELS)).to_owned(), present: flag },
        4 => ActionChange::Moved { folder: *chance.pick(&FOLDERS) },
        _ => ActionChange::Deleted { deleted: flag },
    };
    act(log, mail, index, change);
}
