//! Events of every topic, each variant of each union among them. Each has a name: it is the golden file's.

use schemas::event::{
    AccountChange, AccountEvent, ActionChange, Address, AddressSettings, Attachment, AttemptOutcome, CorrectionScope,
    DeadLetter, Door, Folder, ForwardAttempt, ForwardDue, ForwardKind, ForwardPayload, ForwardTarget, HeaderField,
    MailAction, MailParsed, MailRaw, MailRouted, MailScored, Peer, ReleasedSchema, RoutedEntry, SealedSecret,
    SpamCorrection, SpamModel, SpamVerdict, Tls, TokenWeight,
};
use schemas::{Event, MessageId};

const ARRIVED_AT: i64 = 1_764_000_000_123;

pub fn all() -> Vec<(&'static str, Event)> {
    let mut examples = mail();
    examples.extend(actions());
    examples.extend(accounts());
    examples.extend(others());
    examples
}

fn id() -> MessageId {
    MessageId::from_parts(ARRIVED_AT, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
}

fn text(text: &str) -> String {
    text.to_owned()
}

pub fn raw_full() -> MailRaw {
    MailRaw {
        message_id: id(),
        arrived_at: ARRIVED_AT,
        door: Door::Submission,
        peer: Some(Peer { ip: text("2001:db8::1"), port: 65_535 }),
        received_by: text("mx.example.org"),
        helo: Some(text("client.example.com")),
        esmtp: true,
        tls: Some(Tls { protocol: text("TLSv1.3"), cipher: text("TLS_AES_128_GCM_SHA256") }),
        login: Some(text("ann")),
        mail_from: text("Sender@example.com"),
        recipients: vec![text("Ann+tag@example.org"), text("üser@example.org")],
        smtputf8: true,
        content: b"Subject: Hi\r\n\r\n\x00\xff Hello\r\n".to_vec(),
    }
}

fn mail() -> Vec<(&'static str, Event)> {
    let raw_least = MailRaw {
        door: Door::Smtp,
        peer: None,
        helo: None,
        esmtp: false,
        tls: None,
        login: None,
        mail_from: String::new(),
        recipients: Vec::new(),
        smtputf8: false,
        content: Vec::new(),
        ..raw_full()
    };
    let scored = MailScored {
        message_id: id(),
        raw_offset: 7,
        score: 0.875,
        log_odds: 1.945_910_149,
        model: text("bayes"),
        model_version: text("2025-11-24"),
        model_sequence: 3,
        tokens: vec![
            TokenWeight { token: text("subject:viagra"), weight: 2.5 },
            TokenWeight { token: text("hello"), weight: -0.5 },
        ],
        replay: None,
    };
    let unscored = MailScored {
        score: 0.5,
        log_odds: 0.0,
        model: String::new(),
        model_version: String::new(),
        model_sequence: 0,
        tokens: Vec::new(),
        replay: Some(text("replay-1")),
        ..scored.clone()
    };
    let folders = ["inbox", "all", "spam", "trash", "sent", "drafts"].into_iter().zip(Folder::ALL);
    let mut routed_to: Vec<_> = folders.map(|(name, folder)| (name, Event::Routed(routed(folder, None)))).collect();
    routed_to.push(("replayed", Event::Routed(routed(Folder::Inbox, Some(text("replay-1"))))));
    let mut spam = routed(Folder::Inbox, None);
    spam.entries.iter_mut().for_each(|entry| entry.starts_in_spam = true);
    routed_to.push(("entry-in-spam", Event::Routed(spam)));
    let mut others = vec![
        ("ingest", Event::Raw(MailRaw { door: Door::Ingest, ..raw_least.clone() })),
        ("least", Event::Raw(raw_least)),
        ("full", Event::Raw(raw_full())),
        ("full", Event::Parsed(parsed_full())),
        ("least", Event::Parsed(parsed_least())),
        ("full", Event::Scored(scored)),
        ("least", Event::Scored(unscored)),
    ];
    others.append(&mut routed_to);
    others
}

fn parsed_full() -> MailParsed {
    let address = |address: &str, name: &str| Address { address: text(address), name: text(name) };
    let header = |name: &str, value: &str| HeaderField { name: text(name), value: text(value) };
    MailParsed {
        message_id: id(),
        raw_offset: 7,
        headers: vec![header("Received", "from a"), header("Received", "from b"), header("Subject", "Hi")],
        from: vec![address("sender@example.com", "Sender")],
        to: vec![address("ann@example.org", ""), address("bob@example.org", "Bob")],
        cc: vec![address("cc@example.org", "")],
        bcc: vec![address("bcc@example.org", "")],
        reply_to: vec![address("reply@example.org", "Reply")],
        subject: text("Hi – ☃"),
        date: Some(-1),
        text: Some(text("Hello https://example.com/")),
        text_cut: true,
        html: Some(text("<p>Hello</p>")),
        html_cut: false,
        links: vec![text("https://example.com/")],
        attachments: vec![Attachment {
            checksum: text("d41d8cd98f00b204e9800998ecf8427e"),
            content_type: text("image/png"),
            content_disposition: text("attachment"),
            content_id: text("logo@example.com"),
            file_name: text("logo.png"),
            transfer_encoding: text("base64"),
            length_bytes: 5_000_000_000,
        }],
        size_bytes: 123_456,
        problems: vec![text("the date can't be read")],
    }
}

fn parsed_least() -> MailParsed {
    MailParsed {
        headers: Vec::new(),
        from: Vec::new(),
        to: Vec::new(),
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: Vec::new(),
        subject: String::new(),
        date: None,
        text: None,
        text_cut: false,
        html: None,
        links: Vec::new(),
        attachments: Vec::new(),
        size_bytes: 0,
        problems: Vec::new(),
        ..parsed_full()
    }
}

fn routed(folder: Folder, replay: Option<String>) -> MailRouted {
    MailRouted {
        message_id: id(),
        raw_offset: 7,
        arrived_at: ARRIVED_AT,
        entries: vec![RoutedEntry {
            index: 1,
            inbox: text("ann@example.org"),
            original_inbox: text("ann+tag@example.org"),
            recipients: vec![text("Ann+tag@example.org"), text("ann@example.org")],
            forwards: vec![text("f0f1")],
            starts_in_spam: false,
        }],
        folder,
        score: 0.875,
        accounts_offset: 42,
        replay,
    }
}

fn actions() -> Vec<(&'static str, Event)> {
    let action = |name, change| {
        (name, Event::Action(MailAction { message_id: id(), index: 1, at: ARRIVED_AT, by: text("ann"), change }))
    };
    let mut actions = vec![
        action("read", ActionChange::Read { read: true }),
        action("starred", ActionChange::Starred { saved_by: Some(text("ann")) }),
        action("unstarred", ActionChange::Starred { saved_by: None }),
        action("labelled", ActionChange::Labelled { label: text("later"), present: false }),
        action("deleted", ActionChange::Deleted { deleted: true }),
    ];
    let names = ["moved-inbox", "moved-all", "moved-spam", "moved-trash", "moved-sent", "moved-drafts"];
    actions
        .extend(names.into_iter().zip(Folder::ALL).map(|(name, folder)| action(name, ActionChange::Moved { folder })));
    actions
}

fn accounts() -> Vec<(&'static str, Event)> {
    let by = |name, by: Option<&str>, change| {
        (name, Event::Account(AccountEvent { event_id: text("e1"), at: ARRIVED_AT, by: by.map(text), change }))
    };
    let ann = |name, change| by(name, Some("ann"), change);
    let account = || text("ann");
    let owner = || text("ann");
    let domain = || text("example.org");
    let address = || text("ann@example.org");
    let key_sha256 = || "0f".repeat(32);
    let created = AccountChange::AccountCreated { account: account(), email: text("ann@example.org"), admin: true };
    let named = AccountChange::KeyCreated { account: account(), name: text("ci"), key_sha256: key_sha256() };
    let caught =
        AccountChange::CatchAllSet { domain: domain(), owner: owner(), inbox: address(), settings: settings() };
    vec![
        by("account-created", None, created),
        ann("account-removed", AccountChange::AccountRemoved { account: account() }),
        ann("key-created", named),
        ann("key-revoked", AccountChange::KeyRevoked { account: account(), key_sha256: key_sha256() }),
        ann("domain-added", AccountChange::DomainAdded { domain: domain(), owner: owner(), private: true }),
        ann(
            "domain-changed",
            AccountChange::DomainChanged { domain: domain(), private: false, enable_websocket: true },
        ),
        ann("domain-removed", AccountChange::DomainRemoved { domain: domain() }),
        ann(
            "address-reserved",
            AccountChange::AddressReserved { address: address(), owner: owner(), settings: settings() },
        ),
        ann(
            "address-changed",
            AccountChange::AddressChanged { address: address(), settings: AddressSettings::default() },
        ),
        ann("address-released", AccountChange::AddressReleased { address: address(), owner: owner() }),
        ann("catch-all-set", caught),
        ann("catch-all-removed", AccountChange::CatchAllRemoved { domain: domain() }),
        by(
            "forward-switched",
            None,
            AccountChange::ForwardSwitched { forward: text("f1"), owner: owner(), on: false, cause: text("410 Gone") },
        ),
        ann("spam-folder-set", AccountChange::SpamFolderSet { account: account(), over_thousandths: Some(900) }),
        ann("spam-folder-off", AccountChange::SpamFolderSet { account: account(), over_thousandths: None }),
    ]
}

fn settings() -> AddressSettings {
    let forward = |id: &str, kind, payload| ForwardTarget {
        id: text(id),
        kind,
        sealed_target: vec![0, 1, 2, 255],
        payload,
        ordered: kind == ForwardKind::Webhook,
        sealed_secrets: vec![SealedSecret { sealed: vec![3, 0] }, SealedSecret { sealed: vec![] }],
    };
    AddressSettings {
        info: text("tests"),
        enable_websocket: true,
        slack_to_from: true,
        forwards: vec![
            forward("f1", ForwardKind::Webhook, ForwardPayload::Full),
            forward("f2", ForwardKind::Slack, ForwardPayload::Thin),
            forward("f3", ForwardKind::Mail, ForwardPayload::Raw),
            forward("f4", ForwardKind::Unknown, ForwardPayload::Full),
        ],
    }
}

fn others() -> Vec<(&'static str, Event)> {
    let model = SpamModel {
        name: text("bayes"),
        version: text("2025-11-24"),
        sequence: 3,
        trained_at: ARRIVED_AT,
        spam_messages: 1_000,
        ham_messages: 2_000,
        counts: vec![0, 127, 128, 255],
    };
    let dead = DeadLetter {
        origin: text("mail.raw/2/7"),
        topic: text("mail.raw"),
        partition: 2,
        offset: 7,
        stage: text("processors"),
        cause: text("the value is empty"),
        timestamp: ARRIVED_AT,
        key: Some(b"key\xff".to_vec()),
        headers: vec![HeaderField { name: text("h"), value: text("v") }],
        value: vec![0, 0, 0, 0, 1, 255],
    };
    let keyless = DeadLetter { key: None, headers: Vec::new(), value: Vec::new(), ..dead.clone() };
    let schema =
        ReleasedSchema { subject: text("mail.raw-value"), version: 1, id: 1, schema: text(r#"{"type":"string"}"#) };
    let due = ForwardDue {
        delivery_id: text("d1"),
        forward: text("f1"),
        message_id: id(),
        index: 1,
        routed_offset: 9,
        arrived_at: ARRIVED_AT,
        next_at: ARRIVED_AT + 5_000,
        attempts: 1,
        origin: text("backfill b1"),
    };
    let attempt = |outcome| ForwardAttempt {
        delivery_id: text("d1"),
        forward: text("f1"),
        message_id: id(),
        index: 1,
        attempt: 1,
        at: ARRIVED_AT,
        duration_ms: 12,
        outcome,
        status: Some(503),
        cause: text("the answer was 503"),
        answer: text("later, please"),
        next_at: Some(ARRIVED_AT + 5_000),
    };
    let unanswered = ForwardAttempt { status: None, next_at: None, ..attempt(AttemptOutcome::Exhausted) };
    vec![
        ("full", Event::Due(due)),
        ("delivered", Event::Attempt(attempt(AttemptOutcome::Delivered))),
        ("later", Event::Attempt(attempt(AttemptOutcome::Later))),
        ("refused", Event::Attempt(attempt(AttemptOutcome::Refused))),
        ("exhausted", Event::Attempt(unanswered)),
        ("dropped", Event::Attempt(attempt(AttemptOutcome::Dropped))),
        ("unknown", Event::Attempt(attempt(AttemptOutcome::Unknown))),
        ("spam", Event::Correction(correction(SpamVerdict::Spam, CorrectionScope::Account))),
        ("ham", Event::Correction(correction(SpamVerdict::Ham, CorrectionScope::Everybody))),
        ("taken-back", Event::Correction(correction(SpamVerdict::TakenBack, CorrectionScope::Account))),
        ("full", Event::Model(model)),
        ("full", Event::Dead(dead)),
        ("keyless", Event::Dead(keyless)),
        ("full", Event::Schema(schema)),
    ]
}

fn correction(verdict: SpamVerdict, scope: CorrectionScope) -> SpamCorrection {
    SpamCorrection {
        message_id: id(),
        account: text("ann"),
        at: ARRIVED_AT,
        by: text("root"),
        verdict,
        scope,
        tokens: vec![0, 1, i64::MAX, i64::MIN, -1],
    }
}
