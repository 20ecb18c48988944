//! The three steps in one go: the message is read once, and each step's result is a fact of its own.

use std::sync::Arc;

use accounts::Table;
use schemas::event::{MailParsed, MailRaw, MailRouted, MailScored};

use crate::spam::{Model, Models};
use crate::{parse, route, spam};

/// What the processors conclude from one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub parsed: MailParsed,
    pub scored: MailScored,
    pub routed: MailRouted,
}

/// Parses, scores and routes a message that stands at `raw_offset` on `mail.raw`.
pub fn process(raw: &MailRaw, raw_offset: i64, accounts: &Table, models: &Models) -> Facts {
    let parsed = parse::parse(raw, raw_offset);
    let entries = route::entries(raw, accounts);
    let model = model_for(route::sole_owner(&entries, accounts), models);
    let scored = spam::score_with(&parsed, &model);
    let routed = route::routed(raw, raw_offset, entries, scored.score, accounts);
    Facts { parsed, scored, routed }
}

/// The model that scores a message: an account's own where the message is that account's alone, else the one for all.
pub fn model_for(sole_owner: Option<&str>, models: &Models) -> Arc<Model> {
    sole_owner.map_or_else(|| models.current(), |account| models.of_account(account))
}

/// What can still be said about a message that could not be processed: it reaches its inboxes, and says why no more
/// is known about it.
pub fn minimal(raw: &MailRaw, raw_offset: i64, accounts: &Table, cause: &str) -> Facts {
    let mut parsed = unread(raw, raw_offset);
    parsed.problems.push(format!("the message could not be processed: {cause}"));
    let scored = spam::unscored(&parsed);
    let routed = route::route(raw, raw_offset, scored.score, accounts);
    Facts { parsed, scored, routed }
}

/// A message of which nothing is read.
pub(crate) fn unread(raw: &MailRaw, raw_offset: i64) -> MailParsed {
    MailParsed {
        message_id: raw.message_id.clone(),
        raw_offset,
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
        html_cut: false,
        links: Vec::new(),
        attachments: Vec::new(),
        size_bytes: i64::try_from(raw.content.len()).unwrap_or(i64::MAX),
        problems: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::tests::raw;

    #[test]
    fn the_three_facts_of_a_message_agree() {
        let mail = raw("Subject: Hi\r\n\r\nbody");
        let facts = process(&mail, 7, &Table::default(), &Models::default());
        assert_eq!((facts.parsed.raw_offset, facts.scored.raw_offset, facts.routed.raw_offset), (7, 7, 7));
        assert_eq!((facts.parsed.subject.as_str(), facts.parsed.size_bytes), ("Hi", 19));
        assert_eq!(facts.routed.score, facts.scored.score);
        assert!((0.0..=1.0).contains(&facts.scored.score) && facts.scored.score != 0.5);
        assert_eq!(facts, process(&mail, 7, &Table::default(), &Models::default()));
    }

    #[test]
    fn what_could_not_be_processed_still_reaches_its_inboxes() {
        let mail = raw("Subject: Hi\r\n\r\nbody");
        let facts = minimal(&mail, 7, &Table::default(), "it panicked");
        let routed = process(&mail, 7, &Table::default(), &Models::default()).routed;
        assert_eq!((facts.routed.score, facts.scored.score), (0.5, 0.5));
        assert_eq!(facts.routed, MailRouted { score: 0.5, ..routed });
        assert_eq!(facts.parsed.problems, ["the message could not be processed: it panicked"]);
        assert_eq!((facts.parsed.subject.as_str(), facts.parsed.size_bytes), ("", 19));
    }
}
