//! How much a message looks like spam: naive Bayes over the tokens of a message, with the newest model on
//! `spam.models`. Without a model nothing is read, and the score is 0.5.
//!
//! ```
//! use processors::spam::{MODEL_NAME, Models, TokenCount, encode_counts, score_tokens, token_hash};
//! use schemas::event::SpamModel;
//!
//! let counts = [("pills", 8, 0), ("meeting", 0, 7)];
//! let counts = counts.map(|(token, spam, ham)| TokenCount { hash: token_hash(token), spam, ham });
//! let model = SpamModel {
//!     name: MODEL_NAME.to_owned(),
//!     version: "by hand".to_owned(),
//!     sequence: 1,
//!     trained_at: 0,
//!     spam_messages: 8,
//!     ham_messages: 7,
//!     counts: encode_counts(&counts),
//! };
//! let mut models = Models::default();
//! models.fold(&model)?;
//! assert!(score_tokens(&["pills".to_owned()], &models) > 0.8);
//! assert!(score_tokens(&["meeting".to_owned()], &models) < 0.2);
//! assert_eq!(score_tokens(&["neither".to_owned()], &models), 0.5);
//! # Ok::<(), processors::spam::InvalidModel>(())
//! ```

mod model;
mod tokens;

pub use model::{InvalidModel, MAX_MODEL_TOKENS, MAX_TOP_TOKENS, MODEL_NAME, Model, Models, TokenCount, encode_counts};
pub use tokens::{MAX_TOKENS, hash as token_hash, of as tokens_of};

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

/// Scores tokens, wherever they come from.
pub fn score_tokens(tokens: &[String], models: &Models) -> f64 {
    models.current().map_or(UNKNOWN, |model| model.judge(tokens).score)
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
mod tests {
    use schemas::MessageId;
    use schemas::event::SpamModel;

    use super::*;
    use crate::chain::unread;
    use crate::parse;

    fn parsed(text: &str) -> MailParsed {
        let mut parsed = unread(&parse::tests::raw(""), 3);
        parsed.text = Some(text.to_owned());
        parsed
    }

    fn models(sequence: i64, counts: &[(&str, u32, u32)]) -> SpamModel {
        let counts: Vec<TokenCount> = counts
            .iter()
            .map(|(token, spam, ham)| TokenCount { hash: token_hash(token), spam: *spam, ham: *ham })
            .collect();
        SpamModel {
            name: MODEL_NAME.to_owned(),
            version: format!("v{sequence}"),
            sequence,
            trained_at: 0,
            spam_messages: 10,
            ham_messages: 10,
            counts: encode_counts(&counts),
        }
    }

    const COUNTS: [(&str, u32, u32); 4] = [("pills", 8, 0), ("hello", 5, 6), ("meeting", 0, 7), ("unseen", 1, 1)];

    #[test]
    fn without_a_model_the_score_is_one_half() {
        let scored = score(&parsed("pills pills"), &Models::default());
        assert_eq!((scored.score, scored.log_odds, scored.model_sequence), (0.5, 0.0, 0));
        assert!(scored.tokens.is_empty() && scored.model.is_empty());
    }

    #[test]
    fn the_score_is_the_formula_to_a_billionth() {
        let mut known = Models::default();
        known.fold(&models(1, &COUNTS)).unwrap();
        let scored = score(&parsed("pills, hello pills unknown"), &known);
        // Every count plus one, over all counts plus one each: 14 + 4 for spam, 14 + 4 for ham.
        let ratio = |spam: f64, ham: f64| ((spam + 1.0) / 18.0).ln() - ((ham + 1.0) / 18.0).ln();
        let log_odds = ratio(8.0, 0.0) + ratio(5.0, 6.0);
        let expected = 1.0 / (1.0 + (-log_odds / 2.0_f64.sqrt()).exp());
        assert!((scored.log_odds - log_odds).abs() < 1e-9, "{} {log_odds}", scored.log_odds);
        assert!((scored.score - expected).abs() < 1e-9, "{} {expected}", scored.score);
        assert_eq!((scored.model.as_str(), scored.model_version.as_str(), scored.model_sequence), ("default", "v1", 1));
    }

    #[test]
    fn the_tokens_that_weighed_most_come_first() {
        let mut known = Models::default();
        known.fold(&models(1, &COUNTS)).unwrap();
        let scored = score(&parsed("hello meeting pills"), &known);
        let tokens: Vec<&str> = scored.tokens.iter().map(|token| token.token.as_str()).collect();
        assert_eq!(tokens, ["pills", "meeting", "hello"]);
        assert!(scored.tokens[0].weight > 0.0 && scored.tokens[1].weight < 0.0);
        let sum: f64 = scored.tokens.iter().map(|token| token.weight).sum();
        assert!((sum - scored.log_odds).abs() < 1e-9);
    }

    #[test]
    fn a_mail_of_unknown_tokens_scores_one_half() {
        let mut known = Models::default();
        known.fold(&models(1, &COUNTS)).unwrap();
        assert_eq!(score(&parsed("nothing known here"), &known).score, 0.5);
        assert_eq!(score(&parsed(""), &known).score, 0.5);
    }

    #[test]
    fn the_model_with_the_highest_sequence_scores() {
        let mut known = Models::default();
        known.fold(&models(2, &COUNTS)).unwrap();
        known.fold(&models(1, &[])).unwrap();
        known.fold(&SpamModel { name: "another".to_owned(), ..models(9, &[]) }).unwrap();
        assert_eq!(score(&parsed("pills"), &known).model_sequence, 2);
        known.fold(&models(3, &[])).unwrap();
        let scored = score(&parsed("pills"), &known);
        assert_eq!((scored.model_sequence, scored.score), (3, 0.5));
    }

    #[test]
    fn a_model_that_cannot_be_read_leaves_the_one_before_it_in_force() {
        let mut known = Models::default();
        known.fold(&models(1, &COUNTS)).unwrap();
        let sound = models(2, &COUNTS);
        let changed = |change: fn(&mut Vec<u8>)| {
            let mut model = sound.clone();
            change(&mut model.counts);
            model
        };
        for broken in [
            changed(Vec::clear),
            changed(|counts| counts[0] = 9),
            changed(|counts| counts.truncate(20)),
            changed(|counts| counts[1] = 0xff),
        ] {
            known.fold(&broken).unwrap_err();
        }
        assert_eq!(score(&parsed("pills"), &known).model_sequence, 1);
    }

    #[test]
    fn a_model_of_the_most_tokens_is_taken_and_one_more_is_not() {
        let with = |tokens: usize| {
            let counts: Vec<TokenCount> =
                (0..tokens).map(|hash| TokenCount { hash: hash as u64, spam: 1, ham: 1 }).collect();
            Model::new(&SpamModel { counts: encode_counts(&counts), ..models(1, &[]) })
        };
        assert!(with(MAX_MODEL_TOKENS).is_ok());
        assert!(matches!(with(MAX_MODEL_TOKENS + 1), Err(InvalidModel::Tokens(_))));
    }

    #[test]
    fn so_many_tokens_of_a_mail_are_looked_at_and_not_one_more() {
        let words = |count: usize| (0..count).map(|number| format!("w{number} ")).collect::<String>();
        assert_eq!(tokens_of(&parsed(&words(MAX_TOKENS))).len(), MAX_TOKENS);
        assert_eq!(tokens_of(&parsed(&words(MAX_TOKENS + 1))).len(), MAX_TOKENS);
    }

    #[test]
    fn tokens_say_where_they_stood_and_count_once() {
        let content = "From: Ann <ann@x.org>\r\nSubject: Buy now\r\nContent-Type: text/html\r\n\r\n\
                       <b>Buy</b> <a href=\"https://shop.example/now\">Buy</a> $5.00";
        let tokens = tokens_of(&parse::parse(&parse::tests::raw(content), 0));
        assert_eq!(
            tokens,
            [
                "subject:Buy",
                "subject:now",
                "from:Ann",
                "from:ann",
                "from:x.org",
                "header:from",
                "header:subject",
                "header:content-type",
                "link:https",
                "link:shop.example",
                "link:now",
                "Buy",
                "$5.00"
            ]
        );
    }

    #[test]
    fn the_score_names_its_message() {
        let scored = unscored(&parsed(""));
        assert_eq!((scored.message_id, scored.raw_offset), (MessageId::from_parts(0, [0; 10]), 3));
    }
}
