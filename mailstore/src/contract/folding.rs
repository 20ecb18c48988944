//! Facts become views, whatever their order and however often they come.

use std::sync::Arc;

use schemas::event::{ActionChange, Folder};
use schemas::{Event, Position, Topic};

use super::writing::{self, INBOXES};
use super::{Body, Chance, ModelLog, dump, ids, inbox, open, starred};
use crate::Fact;

const ANN: &str = INBOXES[0];
const BEN: &str = INBOXES[2];

/// Topics in random interleavings, each fact given twice.
pub async fn any_interleaving_ends_in_the_same_dump(body: &dyn Body) {
    for seed in 0..6 {
        let log = Arc::new(ModelLog::default());
        writing::by_chance(&log, &mut Chance::seeded(seed), 60, 3);
        let mut dumps = Vec::new();
        for order in 0..3 {
            let store = body.empty(log.clone()).await;
            log.fold(&*store, &mut Chance::seeded(1000 * seed + order)).await;
            dumps.push(dump(&*store).await);
        }
        assert!(dumps[0].len() > 60, "seed {seed}: too little to compare");
        assert!(dumps.iter().all(|dump| *dump == dumps[0]), "seed {seed}");
    }
}

pub async fn positions_move_with_the_facts_and_never_back(body: &dyn Body) {
    let (log, store) = open(body).await;
    writing::mail(&log, 1, 10, &[(0, ANN)]);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let mut positions = store.positions().await.unwrap();
    positions.sort();
    assert_eq!(positions, log.ends());
    store.apply(Vec::new(), &[Position::new(Topic::MailRaw, 0, 0)]).await.unwrap();
    let mut again = store.positions().await.unwrap();
    again.sort();
    assert_eq!(again, positions);
}

/// A place is folded once, whatever is said to stand there the second time.
pub async fn what_lies_behind_the_positions_is_ignored(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mail = writing::mail(&log, 1, 10, &[(0, ANN)]);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let at = Position::new(Topic::MailActions, 0, 0);
    store.apply(Vec::new(), &[at.next()]).await.unwrap();
    let event = Event::Action(schemas::event::MailAction {
        message_id: mail.id.clone(),
        index: 0,
        at: 0,
        by: String::new(),
        change: ActionChange::Deleted { deleted: true },
    });
    store.apply(vec![Fact { position: at, event }], &[at.next()]).await.unwrap();
    assert_eq!(ids(&*store, ANN).await, [mail.entry_text(0)]);
}

/// A list never lacks a field: an entry is shown when raw, parsed and routed are there, in any order.
pub async fn an_entry_is_shown_when_all_that_a_list_shows_is_there(body: &dyn Body) {
    let topics = [Topic::MailRaw, Topic::MailParsed, Topic::MailRouted];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (log, store) = open(body).await;
        let mail = writing::mail(&log, 1, 10, &[(0, ANN)]);
        for (step, topic) in order.into_iter().enumerate() {
            assert_eq!(inbox(&*store, ANN).await, [], "{order:?} step {step}");
            assert_eq!(store.entry(&mail.entry(0)).await.unwrap(), None);
            assert_eq!(store.counts(ANN).await.unwrap().messages, 0);
            log.fold_topic(&*store, topics[topic]).await;
        }
        let shown = inbox(&*store, ANN).await;
        assert_eq!(shown.len(), 1, "{order:?}");
        assert_eq!(store.entry(&mail.entry(0)).await.unwrap().as_ref(), shown.first());
        assert!(shown[0].subject == "subject 1" && shown[0].envelope.size_bytes == 100 && !shown[0].links.is_empty());
    }
}

pub async fn deletion_counts_in_whatever_order_it_comes(body: &dyn Body) {
    for first in [Topic::MailActions, Topic::MailRouted, Topic::MailRaw] {
        let (log, store) = open(body).await;
        let mail = writing::mail(&log, 1, 10, &[(0, ANN), (1, BEN)]);
        writing::delete(&log, &mail, 0);
        log.fold_topic(&*store, first).await;
        log.fold(&*store, &mut Chance::seeded(1)).await;
        assert_eq!(ids(&*store, ANN).await, [] as [&str; 0]);
        assert_eq!(store.entry(&mail.entry(0)).await.unwrap(), None);
        assert_eq!(ids(&*store, BEN).await, [mail.entry_text(1)]);
        writing::act(&log, &mail, 0, ActionChange::Deleted { deleted: false });
        log.fold(&*store, &mut Chance::seeded(1)).await;
        assert_eq!(ids(&*store, ANN).await, [mail.entry_text(0)]);
    }
}

pub async fn a_later_routing_replaces_the_earlier_whole(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mail = writing::mail(&log, 1, 10, &[(0, ANN), (1, BEN)]);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    writing::routed(&log, &mail, &[(0, INBOXES[3])]);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    for name in [ANN, BEN] {
        assert_eq!(ids(&*store, name).await, [] as [&str; 0]);
        assert_eq!(store.counts(name).await.unwrap(), crate::Counts::default());
    }
    assert_eq!(ids(&*store, INBOXES[3]).await, [mail.entry_text(0)]);
    assert_eq!(store.totals().await.unwrap().0, crate::Totals { messages: 1, entries: 1 });
}

/// The newest model's word counts; of one model, the later.
pub async fn scores_are_ordered_by_model_then_by_place(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mail = writing::raw(&log, 1, 0, 10, 10);
    writing::parsed(&log, &mail, "subject");
    writing::routed(&log, &mail, &[(0, ANN)]);
    for (model, score, shown) in [(None, 0.0, 0.25), (Some(2), 0.9, 0.9), (Some(1), 0.1, 0.9), (Some(2), 0.8, 0.8)] {
        if let Some(model) = model {
            writing::scored(&log, &mail, model, score);
        }
        log.fold(&*store, &mut Chance::seeded(1)).await;
        assert!((inbox(&*store, ANN).await[0].spam - shown).abs() < 1e-9, "{model:?}");
    }
}

/// One entry's flags say nothing of another's, and no flag replaces another.
pub async fn flags_belong_to_the_entry(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mail = writing::mail(&log, 1, 10, &[(0, ANN), (1, BEN)]);
    for (label, present) in [("blue", true), ("green", true), ("blue", false)] {
        writing::act(&log, &mail, 0, ActionChange::Labelled { label: label.to_owned(), present });
    }
    writing::act(&log, &mail, 0, ActionChange::Read { read: true });
    writing::act(&log, &mail, 0, ActionChange::Moved { folder: Folder::Trash });
    writing::star(&log, &mail, 0, Some("account-1"));
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let (ann, ben) = (inbox(&*store, ANN).await, inbox(&*store, BEN).await);
    assert_eq!((&*ann[0].labels, ann[0].read, ann[0].folder), (&["green".to_owned()][..], true, Folder::Trash));
    assert_eq!(ann[0].saved_by.as_deref(), Some("account-1"));
    assert_eq!((&*ben[0].labels, ben[0].read, ben[0].folder), (&[][..], false, Folder::Inbox));
    assert_eq!(ben[0].saved_by, None);
    assert_eq!(store.counts(ANN).await.unwrap(), crate::Counts { messages: 1, unread: 0 });
    assert_eq!(store.counts(BEN).await.unwrap(), crate::Counts { messages: 1, unread: 1 });
    assert_eq!(starred(&*store, "account-1").await, ann);
}

/// An entry starts in `spam` where its route says so; where people move it afterwards is another thing, and a later
/// route changes nothing of that.
pub async fn an_entry_starts_in_its_own_folder(body: &dyn Body) {
    const JUNK: &str = "junk@example.org";
    let (log, store) = open(body).await;
    let mail = writing::mail(&log, 1, 10, &[(0, ANN), (1, JUNK)]);
    log.fold(&*store, &mut Chance::seeded(1)).await;
    let folders = async |name| {
        let entry = inbox(&*store, name).await.remove(0);
        (entry.folder, entry.delivered_to)
    };
    assert_eq!(folders(ANN).await, (Folder::Inbox, Folder::Inbox));
    assert_eq!(folders(JUNK).await, (Folder::Spam, Folder::Spam));
    writing::act(&log, &mail, 1, ActionChange::Moved { folder: Folder::Inbox });
    writing::act(&log, &mail, 0, ActionChange::Moved { folder: Folder::Spam });
    writing::routed(&log, &mail, &[(0, ANN), (1, JUNK)]);
    log.fold(&*store, &mut Chance::seeded(2)).await;
    assert_eq!(folders(ANN).await, (Folder::Spam, Folder::Inbox));
    assert_eq!(folders(JUNK).await, (Folder::Inbox, Folder::Spam));
}

/// Facts about a message that the log does not hold any more show nothing.
pub async fn facts_without_their_mail_show_nothing(body: &dyn Body) {
    let (log, store) = open(body).await;
    let mail = writing::mail(&log, 1, 10, &[(0, ANN)]);
    writing::star(&log, &mail, 0, Some("account-1"));
    for topic in [Topic::MailParsed, Topic::MailScored, Topic::MailRouted, Topic::MailActions] {
        log.fold_topic(&*store, topic).await;
    }
    assert_eq!(dump(&*store).await.len(), 1, "only the totals, which are none");
    assert_eq!(store.raw(&mail.id).await.unwrap(), None);
}
