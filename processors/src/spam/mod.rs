//! How much a message looks like spam: naive Bayes over the tokens of a message, with the newest model on
//! `spam.models`. Without a model nothing is read, and the score is 0.5.

mod model;
mod tokens;

pub use model::{InvalidModel, Model, Models, TokenCount, encode_counts};

use schemas::event::{MailParsed, MailScored};

/// The score of a message of which nothing is known.
pub const UNKNOWN: f64 = 0.5;

/// Scores a message with the model in force.
pub fn score(parsed: &MailParsed, models: &Models) -> MailScored {
    let Some(model) = models.current() else { return unscored(parsed) };
    let verdict = model.judge(&tokens::of(parsed));
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
