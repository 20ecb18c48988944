//! Models, and what they say. A model is counts of token hashes; linfa's multinomial naive Bayes is made from them
//! once, and asked for `joint_log_likelihood`. Its own training prints every count (`dbg!` in `fit_with` of 0.8.1),
//! and its `predict_proba` is not finite on real mail, so neither is used.

use std::collections::BTreeMap;
use std::sync::Arc;

use linfa_bayes::{MultinomialNb, NaiveBayes};
use ndarray::Array2;
use schemas::event::{SpamModel, TokenWeight};
use serde_json::json;

use super::UNKNOWN;
use super::tokens::hash;

/// The model that scores all mail.
pub const MODEL_NAME: &str = "default";
/// Tokens that a model may know.
pub const MAX_MODEL_TOKENS: usize = 1 << 17;
/// Tokens that a score names, for spam and for ham together.
pub const MAX_TOP_TOKENS: usize = 20;
/// What is added to every count, so that no token settles a score.
const SMOOTHING: f64 = 1.0;
/// The first byte of the counts: their form.
const COUNTS_FORM: u8 = 1;
const ENTRY_BYTES: usize = 16;

const HAM: usize = 0;
const SPAM: usize = 1;

/// In how many messages of each kind a token stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCount {
    pub hash: u64,
    pub spam: u32,
    pub ham: u32,
}

/// Counts in the form that `spam.models` carries: a byte for the form, then hash, spam and ham of every token, each
/// big-endian, in rising order of the hashes.
pub fn encode_counts(counts: &[TokenCount]) -> Vec<u8> {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable_by_key(|count| count.hash);
    let mut bytes = Vec::with_capacity(1 + sorted.len() * ENTRY_BYTES);
    bytes.push(COUNTS_FORM);
    for count in sorted {
        bytes.extend_from_slice(&count.hash.to_be_bytes());
        bytes.extend_from_slice(&count.spam.to_be_bytes());
        bytes.extend_from_slice(&count.ham.to_be_bytes());
    }
    bytes
}

/// A model on `spam.models` can't be used. The one before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum InvalidModel {
    #[error("its counts are in form {0:?}, and this program reads form {COUNTS_FORM}")]
    Form(Option<u8>),
    #[error("its counts end in the middle, or their hashes don't rise")]
    Counts,
    #[error("it knows {0} tokens, and {MAX_MODEL_TOKENS} are the most")]
    Tokens(usize),
    #[error("linfa does not take it: {0}")]
    Linfa(String),
}

/// A model that can score.
#[derive(Debug)]
pub struct Model {
    name: String,
    version: String,
    sequence: i64,
    hashes: Vec<u64>,
    /// What each token adds to the log-odds.
    ratios: Vec<f64>,
    bayes: MultinomialNb<f64, usize>,
}

/// What a model says of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) score: f64,
    pub(crate) log_odds: f64,
    pub(crate) tokens: Vec<TokenWeight>,
}

/// The newest model under each name, folded from `spam.models`.
#[derive(Clone, Debug, Default)]
pub struct Models {
    newest: BTreeMap<String, Arc<Model>>,
}

impl Models {
    /// Takes up a model, unless a later one of its name is there.
    pub fn fold(&mut self, event: &SpamModel) -> Result<(), InvalidModel> {
        if self.newest.get(&event.name).is_some_and(|known| known.sequence >= event.sequence) {
            return Ok(());
        }
        self.newest.insert(event.name.clone(), Arc::new(Model::new(event)?));
        Ok(())
    }

    /// The model that scores; `None` when there is none yet.
    pub fn current(&self) -> Option<&Model> {
        self.newest.get(MODEL_NAME).map(Arc::as_ref)
    }
}

impl Model {
    pub fn new(event: &SpamModel) -> Result<Self, InvalidModel> {
        let counts = decode_counts(&event.counts)?;
        let of = |kind: fn(&TokenCount) -> u32| -> Vec<f64> { counts.iter().map(|one| f64::from(kind(one))).collect() };
        let (spam, ham) = (of(|one| one.spam), of(|one| one.ham));
        let (spam_logs, ham_logs) = (log_probabilities(&spam), log_probabilities(&ham));
        let bayes = linfa_model(&[(HAM, &ham, &ham_logs), (SPAM, &spam, &spam_logs)])?;
        let ratios = spam_logs.iter().zip(&ham_logs).map(|(spam, ham)| spam - ham).collect();
        Ok(Self {
            name: event.name.clone(),
            version: event.version.clone(),
            sequence: event.sequence,
            hashes: counts.iter().map(|one| one.hash).collect(),
            ratios,
            bayes,
        })
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

    /// Score = sigmoid(log-odds / square root of the number of known tokens): the root keeps long mail from being
    /// certain, since its tokens are not independent as naive Bayes takes them to be.
    pub(crate) fn judge(&self, tokens: &[String]) -> Verdict {
        let mut row = Array2::<f64>::zeros((1, self.hashes.len()));
        let mut known: Vec<TokenWeight> = Vec::new();
        for token in tokens {
            let Ok(column) = self.hashes.binary_search(&hash(token)) else { continue };
            if let (Some(cell), Some(weight)) = (row.get_mut((0, column)), self.ratios.get(column)) {
                *cell = 1.0;
                known.push(TokenWeight { token: token.clone(), weight: *weight });
            }
        }
        let likelihoods = self.bayes.joint_log_likelihood(row.view());
        let of = |kind: usize| likelihoods.get(&kind).and_then(|column| column.first()).copied().unwrap_or(0.0);
        let log_odds = of(SPAM) - of(HAM);
        let count = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let score = if count == 0 { UNKNOWN } else { sigmoid(log_odds / f64::from(count).sqrt()) };
        known.sort_by(|one, other| other.weight.abs().total_cmp(&one.weight.abs()).then(one.token.cmp(&other.token)));
        known.truncate(MAX_TOP_TOKENS);
        Verdict { score, log_odds: if count == 0 { 0.0 } else { log_odds }, tokens: known }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn decode_counts(bytes: &[u8]) -> Result<Vec<TokenCount>, InvalidModel> {
    let (form, entries) = bytes.split_first().ok_or(InvalidModel::Form(None))?;
    if *form != COUNTS_FORM {
        return Err(InvalidModel::Form(Some(*form)));
    }
    if entries.len() / ENTRY_BYTES > MAX_MODEL_TOKENS {
        return Err(InvalidModel::Tokens(entries.len() / ENTRY_BYTES));
    }
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    let read = |entry: &[u8; ENTRY_BYTES]| {
        let bits = u128::from_be_bytes(*entry);
        TokenCount { hash: (bits >> 64) as u64, spam: (bits >> 32) as u32, ham: bits as u32 }
    };
    let counts: Vec<TokenCount> = entries.iter().map(read).collect();
    let rising = counts.is_sorted_by(|one, next| one.hash < next.hash);
    if rest.is_empty() && rising { Ok(counts) } else { Err(InvalidModel::Counts) }
}

/// As linfa's training smooths: of all counts of the class.
fn log_probabilities(counts: &[f64]) -> Vec<f64> {
    let total: f64 = counts.iter().map(|count| count + SMOOTHING).sum();
    counts.iter().map(|count| (count + SMOOTHING).ln() - total.ln()).collect()
}

/// linfa's model has no constructor but its training and its serde form. Both classes get the same prior: how much
/// spam was in the training says nothing about the next mail.
fn linfa_model(classes: &[(usize, &[f64], &[f64])]) -> Result<MultinomialNb<f64, usize>, InvalidModel> {
    let array = |values: &[f64]| json!({ "v": 1, "dim": [values.len()], "data": values });
    let mut class_info = serde_json::Map::new();
    for (label, counts, logs) in classes {
        let class = json!({
            "class_count": 1,
            "prior": 0.5,
            "feature_count": array(counts),
            "feature_log_prob": array(logs),
        });
        class_info.insert(label.to_string(), class);
    }
    serde_json::from_value(json!({ "class_info": class_info })).map_err(|error| InvalidModel::Linfa(error.to_string()))
}
