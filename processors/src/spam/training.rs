//! The model in force as a function of the starter and of `spam.corrections`: of each key the last record counts. It is
//! kept up to date record by record, and is the same when it is made anew from the compacted topic.
//!
//! - Of each account the last [`MAX_OF_ACCOUNT`] keys count, of all the last [`MAX_CORRECTIONS`], in the order in which
//!   their last records stand; one that was taken back holds its place. So nobody's corrections outweigh everybody
//!   else's, and what has fallen out never comes back but by a new record.
//! - Of a correction the first [`MAX_CORRECTION_TOKENS`] hashes count. They are in order, so that is a fair sample.
//! - Every correction counts in the model for all. An account that has corrected enough of its own mail ([`ENOUGH`],
//!   [`ENOUGH_OF_A_KIND`]) has its own on top of it, in which they count [`OWN_TIMES`] times more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use schemas::event::{CorrectionScope, SpamCorrection, SpamModel, SpamVerdict};
use schemas::record::Offset;
use sha2::{Digest, Sha256};

use super::counts::{Counts, Kind};
use super::{MODEL_NAME, own_model_name};

/// Corrections that count.
pub const MAX_CORRECTIONS: usize = 100_000;
/// Corrections of one account that count.
pub const MAX_OF_ACCOUNT: usize = 1000;
/// Hashes of one correction that count.
pub const MAX_CORRECTION_TOKENS: usize = 2048;
/// Corrections of its own mail that an account's own model takes.
pub const ENOUGH: usize = 20;
/// How many of them must be spam, and how many ham: one kind alone does not tell the two apart.
pub const ENOUGH_OF_A_KIND: usize = 5;
/// How often a correction is counted in the account's own model, besides once in the one for all.
pub const OWN_TIMES: usize = 2;

/// The hashes of a correction that count.
pub fn counted(hashes: &[u64]) -> &[u64] {
    hashes.get(..MAX_CORRECTION_TOKENS).unwrap_or(hashes)
}

/// See the module.
#[derive(Debug)]
pub struct Training {
    limits: Limits,
    all: Counts,
    own: BTreeMap<Arc<str>, Own>,
    keys: HashMap<Key, Standing>,
    /// Where the last record of each key stands.
    places: BTreeMap<Offset, Key>,
    changed: Changed,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    all: usize,
    of_account: usize,
}

/// The first half of the SHA-256 of a record's key.
type Key = [u8; 16];

/// What an account has said.
#[derive(Debug, Default)]
struct Own {
    counts: Counts,
    spam: usize,
    ham: usize,
    /// Where those that count stand.
    places: BTreeSet<Offset>,
}

impl Own {
    fn is_enough(&self) -> bool {
        self.spam + self.ham >= ENOUGH && self.spam.min(self.ham) >= ENOUGH_OF_A_KIND
    }
}

/// What is known of a key without its tokens.
#[derive(Clone, Debug)]
struct Standing {
    offset: Offset,
    said: Said,
    account: Arc<str>,
    /// Of the tokens, so that a later record is known to have the same.
    tokens: u64,
    counts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    kind: Option<Kind>,
    in_own: bool,
}

#[derive(Debug, Default)]
struct Changed {
    all: bool,
    own: BTreeSet<Arc<str>>,
}

/// A model that is in force from now on, or one that is no longer.
#[derive(Clone, Debug, PartialEq)]
pub enum NewModel {
    Trained(SpamModel),
    Withdrawn { name: String },
}

/// The tokens of records that are needed, by their places.
pub type Tokens = BTreeMap<Offset, Vec<u64>>;

/// Tokens that were needed are not there: everything has to be folded anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tokens of the correction at {0} are gone")]
pub struct TokensMissing(pub Offset);

impl Training {
    pub fn new(starter: &Counts) -> Self {
        Self::within(starter, Limits { all: MAX_CORRECTIONS, of_account: MAX_OF_ACCOUNT })
    }

    fn within(starter: &Counts, limits: Limits) -> Self {
        Self {
            limits,
            all: starter.clone(),
            own: BTreeMap::new(),
            keys: HashMap::new(),
            places: BTreeMap::new(),
            changed: Changed { all: true, own: BTreeSet::new() },
        }
    }

    /// The records whose tokens [`Training::fold`] needs besides those of this correction: what it pushes out, and what
    /// it replaces when that had other tokens.
    pub fn needs(&self, correction: &SpamCorrection) -> Vec<Offset> {
        let key = key_of(correction);
        let before = self.keys.get(&key);
        let mut needs = Vec::new();
        let counting = |standing: &&Standing| standing.counts && standing.said.kind.is_some();
        if let Some(before) = before.filter(counting)
            && before.tokens != digest(&correction.hashes())
        {
            needs.push(before.offset);
        }
        let own = self.own.get(correction.account.as_str());
        let in_own = own.map_or(0, |own| own.places.len());
        let replaces_own = before.is_some_and(|before| before.counts);
        if in_own >= self.limits.of_account && !replaces_own {
            needs.extend(own.and_then(|own| own.places.first()).copied());
        }
        if self.keys.len() >= self.limits.all && before.is_none() {
            needs.extend(self.places.keys().next().copied());
        }
        needs
    }

    /// Takes up the correction that stands at this place.
    pub fn fold(&mut self, offset: Offset, correction: &SpamCorrection, tokens: &Tokens) -> Result<(), TokensMissing> {
        let hashes = correction.hashes();
        let key = key_of(correction);
        if let Some(before) = self.keys.get(&key).cloned() {
            // A record that was folded already.
            if before.offset >= offset {
                return Ok(());
            }
            self.forget(key, before, Some(&hashes), tokens)?;
        }
        let account: Arc<str> = Arc::from(correction.account.as_str());
        let said = Said {
            kind: match correction.verdict {
                SpamVerdict::Spam => Some(Kind::Spam),
                SpamVerdict::Ham => Some(Kind::Ham),
                SpamVerdict::TakenBack => None,
            },
            in_own: correction.scope == CorrectionScope::Account,
        };
        self.count(&account, said, &hashes);
        self.own.entry(Arc::clone(&account)).or_default().places.insert(offset);
        self.places.insert(offset, key);
        let standing = Standing { offset, said, account: Arc::clone(&account), tokens: digest(&hashes), counts: true };
        self.keys.insert(key, standing);
        self.push_out(&account, tokens)
    }

    fn push_out(&mut self, account: &Arc<str>, tokens: &Tokens) -> Result<(), TokensMissing> {
        let oldest = self.own.get(account).filter(|own| own.places.len() > self.limits.of_account);
        if let Some(offset) = oldest.and_then(|own| own.places.first()).copied()
            && let Some(key) = self.places.get(&offset).copied()
            && let Some(standing) = self.keys.get(&key).cloned()
        {
            // Its place among all stays, so that what counts does not depend on when it was pushed out.
            self.uncount(&standing, None, tokens)?;
            self.keys.insert(key, Standing { counts: false, ..standing });
        }
        if self.keys.len() > self.limits.all
            && let Some((_, key)) = self.places.first_key_value().map(|(offset, key)| (*offset, *key))
            && let Some(standing) = self.keys.get(&key).cloned()
        {
            self.forget(key, standing, None, tokens)?;
        }
        Ok(())
    }

    fn forget(&mut self, key: Key, was: Standing, same: Option<&[u64]>, tokens: &Tokens) -> Result<(), TokensMissing> {
        if was.counts {
            self.uncount(&was, same, tokens)?;
        }
        self.places.remove(&was.offset);
        self.keys.remove(&key);
        Ok(())
    }

    fn uncount(&mut self, was: &Standing, same: Option<&[u64]>, tokens: &Tokens) -> Result<(), TokensMissing> {
        let hashes = match same.filter(|hashes| digest(hashes) == was.tokens) {
            Some(hashes) => hashes,
            None if was.said.kind.is_none() => &[],
            None => tokens.get(&was.offset).ok_or(TokensMissing(was.offset))?,
        };
        let Some(own) = self.own.get_mut(&was.account) else { return Ok(()) };
        own.places.remove(&was.offset);
        if let Some(kind) = was.said.kind {
            self.all.unlearn(counted(hashes), kind);
            self.changed.all = true;
            if was.said.in_own {
                *own.of(kind) -= 1;
                (0..OWN_TIMES).for_each(|_| own.counts.unlearn(counted(hashes), kind));
                self.changed.own.insert(Arc::clone(&was.account));
            }
        }
        if own.places.is_empty() {
            self.own.remove(&was.account);
        }
        Ok(())
    }

    fn count(&mut self, account: &Arc<str>, said: Said, hashes: &[u64]) {
        let own = self.own.entry(Arc::clone(account)).or_default();
        let Some(kind) = said.kind else { return };
        self.all.learn(counted(hashes), kind);
        self.changed.all = true;
        if said.in_own {
            *own.of(kind) += 1;
            (0..OWN_TIMES).for_each(|_| own.counts.learn(counted(hashes), kind));
            self.changed.own.insert(Arc::clone(account));
        }
    }

    pub fn has_changed(&self) -> bool {
        self.changed.all || !self.changed.own.is_empty()
    }

    /// Corrections that are looked at, those that were taken back among them.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What the counts for all make, whatever has changed.
    pub fn model_for_all(&self, sequence: i64, trained_at: i64) -> SpamModel {
        self.all.to_event(MODEL_NAME, sequence, trained_at)
    }

    /// The accounts' own that have changed since this was asked last: the model, or that there is none.
    pub fn take_own_models(&mut self, sequence: i64, trained_at: i64) -> Vec<NewModel> {
        self.changed.all = false;
        let changed = std::mem::take(&mut self.changed.own);
        changed.iter().map(|account| self.own_model(account, sequence, trained_at)).collect()
    }

    /// The names of every model of an account that there is.
    pub fn own_names(&self) -> BTreeSet<String> {
        self.own.iter().filter(|(_, own)| own.is_enough()).map(|(account, _)| own_model_name(account)).collect()
    }

    fn own_model(&self, account: &str, sequence: i64, trained_at: i64) -> NewModel {
        let name = own_model_name(account);
        match self.own.get(account).filter(|own| own.is_enough()) {
            Some(own) => NewModel::Trained(own.counts.to_event(&name, sequence, trained_at)),
            None => NewModel::Withdrawn { name },
        }
    }
}

impl Own {
    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Spam => &mut self.spam,
            Kind::Ham => &mut self.ham,
        }
    }
}

fn key_of(correction: &SpamCorrection) -> Key {
    let digest: [u8; 32] = Sha256::digest(correction.key().as_bytes()).into();
    let mut key = Key::default();
    key.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    key
}

fn digest(hashes: &[u64]) -> u64 {
    let mut digest = Sha256::new();
    counted(hashes).iter().for_each(|hash| digest.update(hash.to_be_bytes()));
    digest.finalize().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
#[path = "training/tests.rs"]
mod tests;
