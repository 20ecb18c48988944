//! How much a message looks like spam: naive Bayes over the tokens of a message, with the newest model on
//! `spam.models`, or the one that ships in the program until there is one.
//!
//! A library door of its own: it needs no log and no server.
//!
//! ```
//! use processors::spam::{Counts, Kind, MODEL_NAME, Model, hashes_of, judge, read};
//!
//! // The model that ships in the program.
//! let mail = b"From: bob@example.org\nSubject: Cheap pills\n\nBuy pills online now, no prescription.\n";
//! let mail = read(mail.to_vec());
//! let verdict = judge(&mail, &Model::starter());
//! assert!(verdict.score > 0.5);
//! println!("{} since {:?}", verdict.score, verdict.tokens.first());
//!
//! // Counts that learn, and take back exactly.
//! let mut counts = Counts::clone(&Counts::starter());
//! counts.learn(&hashes_of(&mail), Kind::Ham);
//! let taught = Model::new(&counts.to_event(MODEL_NAME, 1, 0))?;
//! assert!(judge(&mail, &taught).score < verdict.score);
//! counts.unlearn(&hashes_of(&mail), Kind::Ham);
//! assert_eq!(counts, *Counts::starter());
//! # Ok::<(), processors::spam::InvalidModel>(())
//! ```

mod bayes;
mod counts;
mod file;
mod form;
mod hash;
mod message;
mod model;
mod models;
mod starter;
mod tokens;
pub mod training;

pub use counts::{CORRECTION_WEIGHT, Counts, KEY_BITS, Kind};
pub use file::{InvalidFile, MAX_FILE_BYTES};
pub use form::{InvalidModel, MAX_MODEL_TOKENS, MIN_MESSAGES};
pub use message::{of_parts, read, text_of};
pub use model::{Model, TOP_TOKENS, Verdict};
pub use models::{Models, OF_ACCOUNT, own_model_name};
pub use tokens::{MAX_TOKENS, hashes_of, hashes_to_train, tokens_of};

use schemas::event::{MailParsed, MailScored};

/// The model that scores all mail.
pub const MODEL_NAME: &str = "default";
/// The score of a message of which nothing is known.
pub const UNKNOWN: f64 = 0.5;

/// What a model says of a message.
pub fn judge(parsed: &MailParsed, model: &Model) -> Verdict {
    model.judge(&tokens::of(parsed))
}

/// The same, and what a correction of the message holds ([`hashes_of`]).
pub fn judge_with_hashes(parsed: &MailParsed, model: &Model) -> (Verdict, Vec<u64>) {
    let tokens = tokens::of(parsed);
    (model.judge(&tokens), tokens::hashes(tokens.iter()))
}

/// Scores a message with the model in force for all mail.
pub fn score(parsed: &MailParsed, models: &Models) -> MailScored {
    score_with(parsed, &models.current())
}

/// Scores a message with this model.
pub fn score_with(parsed: &MailParsed, model: &Model) -> MailScored {
    let verdict = judge(parsed, model);
    MailScored {
        score: verdict.score,
        log_odds: verdict.log_odds,
        model: model.name().to_owned(),
        model_version: model.version().to_owned(),
        model_sequence: model.sequence(),
        tokens: verdict.tokens,
        ..unscored(parsed)
    }
}

/// The score of a message that nothing has looked at.
pub fn unscored(parsed: &MailParsed) -> MailScored {
    MailScored {
        message_id: parsed.message_id.clone(),
        raw_offset: parsed.raw_offset,
        score: UNKNOWN,
        log_odds: 0.0,
        model: String::new(),
        model_version: String::new(),
        model_sequence: 0,
        tokens: Vec::new(),
        replay: None,
    }
}

#[cfg(test)]
mod tests;
