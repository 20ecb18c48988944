//! How a fact becomes a column of its message's row.

use std::collections::BTreeMap;

use schemas::event::{ActionChange, MailParsed, MailRaw, MailRouted, RoutedEntry};
use schemas::record::Offset;
use schemas::{Event, MessageId, Position};

use super::{Arrival, Flags, Place, Routing, Row, Score, Stamped, Summary};
use crate::{Envelope, Fact};

/// What a fact says of a message: a row with one column. `None` for facts that no view shows.
pub fn column_of(fact: Fact) -> Option<(MessageId, Row)> {
    let Position { partition, offset, .. } = fact.position;
    let row = Row { partition: Some(partition), ..Row::default() };
    match fact.event {
        Event::Raw(raw) => {
            let value = Arrival { partition, received_at: raw.arrived_at, envelope: envelope_of(&raw) };
            Some((raw.message_id, Row { raw: Some(Stamped { offset, value }), ..row }))
        }
        Event::Parsed(parsed) => {
            let raw_offset = Offset::try_from(parsed.raw_offset).ok();
            let (id, value) = summary_of(parsed);
            Some((id, Row { parsed: Some(Stamped { offset, value }), raw_offset, ..row }))
        }
        Event::Scored(scored) => {
            let score = Score { model_sequence: scored.model_sequence, offset, value: scored.score };
            let raw_offset = Offset::try_from(scored.raw_offset).ok();
            Some((scored.message_id, Row { score: Some(score), raw_offset, ..row }))
        }
        Event::Routed(routed) => {
            let raw_offset = Offset::try_from(routed.raw_offset).ok();
            let (id, value) = routing_of(routed);
            Some((id, Row { routed: Some(Stamped { offset, value }), raw_offset, ..row }))
        }
        Event::Action(action) => {
            let index = u32::try_from(action.index).ok()?;
            let flags = BTreeMap::from([(index, flags_of(action.change, offset))]);
            Some((action.message_id, Row { flags, ..row }))
        }
        // No view shows the others.
        _ => None,
    }
}

fn envelope_of(raw: &MailRaw) -> Envelope {
    Envelope {
        mail_from: raw.mail_from.clone(),
        peer_ip: raw.peer.as_ref().map(|peer| peer.ip.clone()),
        received_by: raw.received_by.clone(),
        helo: raw.helo.clone(),
        esmtp: raw.esmtp,
        tls: raw.tls.is_some(),
        size_bytes: raw.content.len() as u64,
    }
}

fn summary_of(parsed: MailParsed) -> (MessageId, Summary) {
    let summary = Summary {
        from: parsed.from,
        to: parsed.to,
        cc: parsed.cc,
        bcc: parsed.bcc,
        subject: parsed.subject,
        links: parsed.links,
        attachments: parsed.attachments,
        problems: parsed.problems,
    };
    (parsed.message_id, summary)
}

fn routing_of(routed: MailRouted) -> (MessageId, Routing) {
    let place = |entry: RoutedEntry| {
        Some(Place {
            index: u32::try_from(entry.index).ok()?,
            inbox: entry.inbox,
            original_inbox: entry.original_inbox,
            recipients: entry.recipients,
            starts_in_spam: entry.starts_in_spam,
        })
    };
    let entries = routed.entries.into_iter().filter_map(place).collect();
    (routed.message_id, Routing { entries, folder: routed.folder, score: routed.score })
}

fn flags_of(change: ActionChange, offset: Offset) -> Flags {
    let flags = Flags::default();
    match change {
        ActionChange::Read { read } => Flags { read: Some(Stamped { offset, value: read }), ..flags },
        ActionChange::Starred { saved_by } => Flags { saved_by: Some(Stamped { offset, value: saved_by }), ..flags },
        ActionChange::Moved { folder } => Flags { folder: Some(Stamped { offset, value: folder }), ..flags },
        ActionChange::Deleted { deleted } => Flags { deleted: Some(Stamped { offset, value: deleted }), ..flags },
        ActionChange::Labelled { label, present } => {
            Flags { labels: BTreeMap::from([(label, Stamped { offset, value: present })]), ..flags }
        }
    }
}
