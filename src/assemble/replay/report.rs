//! What a replay has changed, in numbers.

use std::collections::{BTreeMap, HashMap};

use api::http::OperationError;
use api::http::replay::{BUCKETS, ScoreReport};
use eventlog::Log;
use processors::spam::training::MAX_CORRECTIONS;
use schemas::event::SpamVerdict;
use schemas::{Event, MessageId, Topic, codec};

use super::mail::each;

/// Over this a score says spam.
const SPAM_OVER: f64 = 0.5;
/// Inboxes that a report names.
const MAX_NAMED: usize = 50;

/// What people say of messages now: the last word on each, by whom it may be.
pub struct Said(HashMap<MessageId, bool>);

impl Said {
    pub async fn read(log: &dyn Log) -> Result<Self, OperationError> {
        let mut said = HashMap::new();
        each(log, Topic::SpamCorrections, |record| {
            let event = record.value.as_deref().and_then(|value| codec::decode(Topic::SpamCorrections, value).ok());
            let Some(Event::Correction(correction)) = event else { return };
            match correction.verdict {
                SpamVerdict::TakenBack => drop(said.remove(&correction.message_id)),
                _ if said.len() >= MAX_CORRECTIONS => {}
                verdict => drop(said.insert(correction.message_id, verdict == SpamVerdict::Spam)),
            }
        })
        .await?;
        Ok(Self(said))
    }

    pub fn of(&self, id: &MessageId) -> Option<bool> {
        self.0.get(id).copied()
    }
}

#[derive(Default)]
pub struct Tally(ScoreReport);

impl Tally {
    pub fn add(&mut self, before: f64, after: f64, said: Option<bool>, from_store: bool) {
        let report = &mut self.0;
        report.scored += 1;
        report.from_store += u64::from(from_store);
        for (buckets, score) in [(&mut report.before, before), (&mut report.after, after)] {
            if let Some(bucket) = buckets.get_mut(bucket_of(score)) {
                *bucket += 1;
            }
        }
        let (was, is) = (before > SPAM_OVER, after > SPAM_OVER);
        report.became_spam += u64::from(!was && is);
        report.became_ham += u64::from(was && !is);
        if let Some(spam) = said {
            report.corrections.corrected += 1;
            report.corrections.agreed_before += u64::from(was == spam);
            report.corrections.agree_now += u64::from(is == spam);
        }
    }

    pub fn report(self) -> ScoreReport {
        self.0
    }
}

fn bucket_of(score: f64) -> usize {
    // Scores are from 0 to 1, and 1 is in the last one.
    ((score * BUCKETS as f64).max(0.0) as usize).min(BUCKETS - 1)
}

/// How much mail each inbox has got or lost; the first by name are told.
#[derive(Default)]
pub struct ByInbox(BTreeMap<String, u64>);

impl ByInbox {
    pub fn add(&mut self, inbox: &str) {
        if let Some(count) = self.0.get_mut(inbox) {
            *count += 1;
        } else if self.0.len() < MAX_NAMED {
            self.0.insert(inbox.to_owned(), 1);
        }
    }

    pub fn list(self) -> Vec<(String, u64)> {
        self.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_in_its_tenth() {
        for (score, bucket) in [(0.0, 0), (0.099, 0), (0.1, 1), (0.95, 9), (1.0, 9), (f64::NAN, 0)] {
            assert_eq!(bucket_of(score), bucket, "{score}");
        }
    }

    #[test]
    fn flips_and_agreement_are_counted() {
        let mut tally = Tally::default();
        tally.add(0.2, 0.9, Some(true), false);
        tally.add(0.9, 0.2, Some(true), false);
        tally.add(0.5, 0.5, Some(false), true);
        let report = tally.report();
        assert_eq!((report.became_spam, report.became_ham, report.scored, report.from_store), (1, 1, 3, 1));
        let said = report.corrections;
        assert_eq!((said.corrected, said.agreed_before, said.agree_now), (3, 2, 2));
    }
}
