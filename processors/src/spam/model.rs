//! A model, and what it says of a message: naive Bayes over the tokens that it knows.

use std::sync::{Arc, LazyLock};

use schemas::event::{SpamModel, TokenWeight};

use super::bayes;
use super::counts::{Counts, Tally, key};
use super::form::{self, InvalidModel};
use super::tokens::Token;
use super::{MODEL_NAME, UNKNOWN};

/// Tokens that a score names for spam, and as many for ham.
pub const TOP_TOKENS: usize = 10;
/// What is added to every count, so that no token settles a score.
const SMOOTHING: f64 = 1.0;

static STARTER: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let event = Counts::starter().to_event(MODEL_NAME, 0, 0);
    // What was just written can be read.
    Arc::new(Model::new(&event).unwrap_or_default())
});

/// A model that can score.
#[derive(Clone, Debug, Default)]
pub struct Model {
    name: String,
    version: String,
    sequence: i64,
    /// In rising order, and at the same place how many messages they stood in.
    pub(super) keys: Vec<u32>,
    tallies: Vec<Tally>,
    /// All counts of a kind, smoothed.
    pub(super) spam_sum: f64,
    pub(super) ham_sum: f64,
    /// The model that this one's counts are added to.
    base: Option<Arc<Self>>,
}

/// What a model says of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub score: f64,
    pub log_odds: f64,
    /// How many tokens the model knows.
    pub known: usize,
    /// The tokens that weighed most, heaviest first.
    pub tokens: Vec<TokenWeight>,
}

impl Model {
    pub fn new(event: &SpamModel) -> Result<Self, InvalidModel> {
        let tokens = form::decode(&event.counts)?;
        let sum_of_all = |kind: fn(&Tally) -> u32| -> f64 {
            tokens.iter().map(|(_, tally)| f64::from(kind(tally)) + SMOOTHING).sum()
        };
        Ok(Self {
            name: event.name.clone(),
            version: event.version.clone(),
            sequence: event.sequence,
            spam_sum: sum_of_all(|tally| tally.spam),
            ham_sum: sum_of_all(|tally| tally.ham),
            keys: tokens.iter().map(|(key, _)| *key).collect(),
            tallies: tokens.iter().map(|(_, tally)| *tally).collect(),
            base: None,
        })
    }

    /// The counts of `own` on top of those of `base`, as if they were one model's.
    pub(super) fn over(base: &Arc<Self>, own: &Self) -> Self {
        // What the base knows already has been smoothed there.
        let known = own.keys.iter().filter(|key| base.keys.binary_search(key).is_ok()).count();
        let twice = f64::from(u32::try_from(known).unwrap_or(u32::MAX)) * SMOOTHING;
        Self {
            version: format!("{}+{}", base.version, own.version),
            sequence: base.sequence.max(own.sequence),
            spam_sum: base.spam_sum + own.spam_sum - twice,
            ham_sum: base.ham_sum + own.ham_sum - twice,
            base: Some(Arc::clone(base)),
            ..own.clone()
        }
    }

    /// The model that ships in the program.
    pub fn starter() -> Arc<Self> {
        Arc::clone(&STARTER)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    /// How many tokens it knows.
    pub fn tokens(&self) -> usize {
        self.keys.len()
    }

    /// Score = sigmoid(log-odds / square root of the number of known tokens): the root keeps long mail from being
    /// certain, since its tokens are not independent as naive Bayes takes them to be.
    pub(crate) fn judge(&self, tokens: &[Token<'_>]) -> Verdict {
        let mut known: Vec<(f64, &Token<'_>)> = Vec::with_capacity(tokens.len());
        let (mut spam, mut ham) = (Vec::with_capacity(tokens.len()), Vec::with_capacity(tokens.len()));
        let (spam_log_of_all, ham_log_of_all) = (self.spam_sum.ln(), self.ham_sum.ln());
        for token in tokens {
            let Some(tally) = self.tally(key(token.hash)) else { continue };
            let spam_log = (f64::from(tally.spam) + SMOOTHING).ln() - spam_log_of_all;
            let ham_log = (f64::from(tally.ham) + SMOOTHING).ln() - ham_log_of_all;
            spam.push(spam_log);
            ham.push(ham_log);
            known.push((spam_log - ham_log, token));
        }
        let log_odds = bayes::log_odds(&spam, &ham);
        let root = f64::from(u32::try_from(known.len().max(1)).unwrap_or(u32::MAX)).sqrt();
        let score = sigmoid(log_odds / root);
        Verdict {
            score: if score.is_finite() { score } else { UNKNOWN },
            log_odds: if log_odds.is_finite() { log_odds } else { 0.0 },
            known: known.len(),
            tokens: heaviest(known),
        }
    }

    fn tally(&self, key: u32) -> Option<Tally> {
        let own = self.keys.binary_search(&key).ok().and_then(|at| self.tallies.get(at)).copied();
        let base = self.base.as_ref().and_then(|base| base.tally(key));
        match (base, own) {
            (Some(base), Some(own)) => {
                Some(Tally { spam: base.spam.saturating_add(own.spam), ham: base.ham.saturating_add(own.ham) })
            }
            (one, other) => one.or(other),
        }
    }
}

fn heaviest(mut known: Vec<(f64, &Token<'_>)>) -> Vec<TokenWeight> {
    known.sort_unstable_by(|one, other| other.0.abs().total_cmp(&one.0.abs()).then(one.1.hash.cmp(&other.1.hash)));
    let (mut for_spam, mut for_ham) = (0, 0);
    let mut heaviest = Vec::with_capacity(2 * TOP_TOKENS);
    for (weight, token) in known {
        let named = if weight > 0.0 { &mut for_spam } else { &mut for_ham };
        if *named < TOP_TOKENS {
            *named += 1;
            heaviest.push(TokenWeight { token: token.text(), weight });
        }
    }
    heaviest
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
