use schemas::MessageId;

use super::*;

/// A topic of corrections, as one that is never compacted has it.
#[derive(Default)]
struct Topic {
    records: Vec<SpamCorrection>,
}

impl Topic {
    fn say(&mut self, message: u8, account: &str, verdict: SpamVerdict, hashes: &[u64]) -> Offset {
        self.records.push(SpamCorrection {
            message_id: MessageId::from_parts(0, [message; 10]),
            account: account.to_owned(),
            at: 0,
            by: account.to_owned(),
            verdict,
            scope: CorrectionScope::Account,
            tokens: hashes.iter().map(|hash| (hash << 42).cast_signed()).collect(),
        });
        self.records.len() as Offset - 1
    }

    fn fold(&self, training: &mut Training, offset: Offset) {
        let correction = &self.records[offset as usize];
        let needed = training.needs(correction);
        let tokens = needed.into_iter().map(|at| (at, self.records[at as usize].hashes())).collect();
        training.fold(offset, correction, &tokens).unwrap();
    }

    /// From the last record of each key alone, as after compaction.
    fn compacted(&self, starter: &Counts, limits: Limits) -> Training {
        let last = |offset: &usize| {
            let key = self.records[*offset].key();
            !self.records[offset + 1..].iter().any(|later| later.key() == key)
        };
        let mut training = Training::within(starter, limits);
        (0..self.records.len()).filter(last).for_each(|offset| self.fold(&mut training, offset as Offset));
        training
    }
}

const LIMITS: Limits = Limits { all: 12, of_account: 5 };

fn starter() -> Counts {
    let mut counts = Counts::default();
    for hashes in [[1_u64, 2, 3], [2, 3, 4]] {
        let hashes = hashes.map(|hash| hash << 42);
        counts.train(&hashes, Kind::Spam);
        counts.train(&hashes, Kind::Ham);
    }
    counts
}

#[test]
fn whatever_is_said_in_whatever_order_the_compacted_topic_makes_the_same() {
    let mut seed: u64 = 7;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..40 {
        let (mut topic, mut training) = (Topic::default(), Training::within(&starter(), LIMITS));
        for _ in 0..200 {
            let verdict = [SpamVerdict::Spam, SpamVerdict::Ham, SpamVerdict::TakenBack][next(3) as usize];
            let account = ["ann", "bob", "eve", "joe"][next(4) as usize];
            let message = next(9);
            // The same message has the same tokens, but for those of another version of the program.
            let hashes = [message, message + 1, if next(10) == 0 { 90 } else { message + 2 }];
            let offset = topic.say(message as u8, account, verdict, &hashes);
            topic.fold(&mut training, offset);
        }
        let anew = topic.compacted(&starter(), LIMITS);
        assert_eq!(training.all, anew.all);
        assert_eq!(training.places, anew.places);
        for (account, own) in &anew.own {
            let kept = &training.own[account];
            assert_eq!((&kept.counts, kept.spam, kept.ham), (&own.counts, own.spam, own.ham), "{account}");
        }
        assert_eq!(training.own.len(), anew.own.len());
    }
}

#[test]
fn taking_back_all_corrections_restores_the_first_model_bit_for_bit() {
    let (mut topic, mut training) = (Topic::default(), Training::new(&starter()));
    let first = training.model_for_all(1, 0);
    for round in [SpamVerdict::Spam, SpamVerdict::Ham, SpamVerdict::Ham, SpamVerdict::TakenBack] {
        for message in 0..50 {
            let offset = topic.say(message, "ann", round, &[u64::from(message), 1, 70]);
            topic.fold(&mut training, offset);
        }
        assert_eq!(training.model_for_all(1, 0) == first, round == SpamVerdict::TakenBack);
    }
    assert_eq!(training.all, starter());
}

#[test]
fn a_repeated_correction_counts_once() {
    let (mut topic, mut training) = (Topic::default(), Training::new(&starter()));
    let mut versions = Vec::new();
    for _ in 0..3 {
        let offset = topic.say(1, "ann", SpamVerdict::Spam, &[1, 2]);
        topic.fold(&mut training, offset);
        topic.fold(&mut training, offset);
        versions.push(training.model_for_all(1, 0).version);
    }
    versions.dedup();
    assert_eq!(versions.len(), 1);
}

#[test]
fn so_many_corrections_of_an_account_count_and_not_one_more() {
    let (mut topic, mut training) = (Topic::default(), Training::within(&starter(), LIMITS));
    for message in 0..LIMITS.of_account as u8 {
        let offset = topic.say(message, "ann", SpamVerdict::Spam, &[u64::from(message) + 100]);
        topic.fold(&mut training, offset);
    }
    let counts = |training: &Training, hash: u64| training.all.tokens.contains_key(&(hash as u32));
    assert!(counts(&training, 100));
    let offset = topic.say(200, "ann", SpamVerdict::Spam, &[300]);
    topic.fold(&mut training, offset);
    assert!(!counts(&training, 100) && counts(&training, 101) && counts(&training, 300));
}

#[test]
fn tokens_that_are_needed_and_gone_are_named() {
    let (mut topic, mut training) = (Topic::default(), Training::new(&starter()));
    let first = topic.say(1, "ann", SpamVerdict::Spam, &[1, 2]);
    topic.fold(&mut training, first);
    let second = topic.say(1, "ann", SpamVerdict::Ham, &[1, 9]);
    let folded = training.fold(second, &topic.records[second as usize], &Tokens::new());
    assert_eq!(folded, Err(TokensMissing(first)));
}

#[test]
fn an_account_with_enough_corrections_of_both_kinds_has_a_model_of_its_own() {
    let (mut topic, mut training) = (Topic::default(), Training::new(&starter()));
    let mut say = |training: &mut Training, message: usize, verdict| {
        let offset = topic.say(message as u8, "ann", verdict, &[message as u64, 50]);
        topic.fold(training, offset);
        training.take_own_models(1, 0)
    };
    for message in 0..ENOUGH {
        let verdict = if message < ENOUGH_OF_A_KIND { SpamVerdict::Ham } else { SpamVerdict::Spam };
        let made = say(&mut training, message, verdict);
        let is_trained = matches!(made.as_slice(), [NewModel::Trained(model)] if model.name == "account:ann");
        assert_eq!(is_trained, message + 1 == ENOUGH, "{message}");
    }
    assert_eq!(training.own_names().len(), 1);
    let made = say(&mut training, 0, SpamVerdict::TakenBack);
    assert_eq!(made, [NewModel::Withdrawn { name: "account:ann".to_owned() }]);
}

#[test]
fn a_correction_of_a_million_tokens_counts_to_the_limit() {
    let (mut topic, mut training) = (Topic::default(), Training::new(&Counts::default()));
    let hashes: Vec<u64> = (0..1_000_000).collect();
    let offset = topic.say(1, "ann", SpamVerdict::Spam, &hashes);
    topic.fold(&mut training, offset);
    assert_eq!(training.all.tokens(), MAX_CORRECTION_TOKENS);
}
