use schemas::MessageId;
use schemas::event::{MailParsed, SpamModel};

use super::*;
use crate::chain::unread;
use crate::parse;

fn parsed(text: &str) -> MailParsed {
    let mut parsed = unread(&parse::tests::raw(""), 3);
    parsed.text = Some(text.to_owned());
    parsed
}

/// As many messages of each word as it says.
fn counts(words: &[(&str, u32, u32)]) -> Counts {
    let mut counts = Counts::default();
    for (word, spam, ham) in words {
        let hashes = [hash::of(&[word])];
        (0..*spam).for_each(|_| counts.train(&hashes, Kind::Spam));
        (0..*ham).for_each(|_| counts.train(&hashes, Kind::Ham));
    }
    counts
}

fn models(sequence: i64, words: &[(&str, u32, u32)]) -> SpamModel {
    counts(words).to_event(MODEL_NAME, sequence, 0)
}

const WORDS: [(&str, u32, u32); 4] = [("pills", 8, 0), ("hello", 5, 6), ("meeting", 0, 7), ("unseen", 1, 1)];

#[test]
fn the_score_is_the_formula_to_a_billionth() {
    let mut known = Models::default();
    known.fold(&models(1, &WORDS)).unwrap();
    let scored = score(&parsed("pills, hello pills unknown"), &known);
    // Every count plus one, over all counts plus one each: 14 + 4 for spam, 14 + 4 for ham.
    let ratio = |spam: f64, ham: f64| ((spam + 1.0) / 18.0).ln() - ((ham + 1.0) / 18.0).ln();
    let log_odds = ratio(8.0, 0.0) + ratio(5.0, 6.0);
    let expected = 1.0 / (1.0 + (-log_odds / 2.0_f64.sqrt()).exp());
    assert!((scored.log_odds - log_odds).abs() < 1e-9, "{} {log_odds}", scored.log_odds);
    assert!((scored.score - expected).abs() < 1e-9, "{} {expected}", scored.score);
    assert_eq!((scored.model.as_str(), scored.model_sequence), ("default", 1));
}

#[test]
fn the_tokens_that_weighed_most_come_first() {
    let mut known = Models::default();
    known.fold(&models(1, &WORDS)).unwrap();
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
    known.fold(&models(1, &WORDS)).unwrap();
    assert_eq!(score(&parsed("nothing known here"), &known).score, 0.5);
    assert_eq!(score(&parsed(""), &known).score, 0.5);
}

#[test]
fn the_model_with_the_highest_sequence_scores() {
    let mut known = Models::default();
    known.fold(&models(2, &WORDS)).unwrap();
    known.fold(&models(1, &[])).unwrap();
    known.fold(&SpamModel { name: "another".to_owned(), ..models(9, &[]) }).unwrap();
    assert_eq!(score(&parsed("pills"), &known).model_sequence, 2);
    known.fold(&models(3, &[])).unwrap();
    let scored = score(&parsed("pills"), &known);
    assert_eq!((scored.model_sequence, scored.score), (3, 0.5));
    assert_eq!(known.all().count(), 2);
}

#[test]
fn until_there_is_a_model_the_starter_scores() {
    let scored = score(&parsed("pills"), &Models::default());
    assert_eq!((scored.model.as_str(), scored.model_sequence), (MODEL_NAME, 0));
    assert_eq!(scored.model_version, Counts::starter().to_event(MODEL_NAME, 0, 0).version);
}

#[test]
fn a_model_that_cannot_be_read_leaves_the_one_before_it_in_force() {
    let mut known = Models::default();
    known.fold(&models(1, &WORDS)).unwrap();
    let broken = SpamModel { counts: vec![9], ..models(2, &WORDS) };
    known.fold(&broken).unwrap_err();
    assert_eq!(score(&parsed("pills"), &known).model_sequence, 1);
}

#[test]
fn so_many_tokens_of_a_mail_are_looked_at_and_not_one_more() {
    let words = |count: usize| (0..count).map(|number| format!("w{number} ")).collect::<String>();
    assert_eq!(hashes_of(&parsed(&words(MAX_TOKENS))).len(), MAX_TOKENS);
    assert_eq!(hashes_of(&parsed(&words(MAX_TOKENS + 1))).len(), MAX_TOKENS);
}

#[test]
fn a_flood_of_one_kind_of_token_pushes_out_no_other_and_does_not_grow_the_model() {
    let flood = |form: &dyn Fn(u32) -> String| (0..60_000).map(form).collect::<String>();
    let hostile = [
        format!(
            "{}Subject: needle\r\n\r\nhaystack",
            flood(&|n| if n < 900 { format!("X-{n}: v{n}\r\n") } else { String::new() })
        ),
        format!(
            "{}: {}\r\nSubject: needle\r\n\r\nhaystack",
            "x".repeat(100_000),
            flood(&|n| format!("{n} "))[..100_000].to_owned()
        ),
        // Within the bytes of a header that are read at all.
        format!(
            "Received: {}\r\nSubject: needle\r\n\r\nhaystack",
            flood(&|n| if n < 8_000 { format!("h{n} ") } else { String::new() })
        ),
        format!("Subject: needle\r\n\r\nhaystack {}", flood(&|n| format!("w{n} "))),
        format!("Subject: needle\r\n\r\nhaystack {}", flood(&|n| format!("http://h{n}.x/p{n} "))),
        format!(
            "Subject: needle\r\nContent-Type: text/html\r\n\r\n<p>haystack</p>{}",
            flood(&|n| format!("<t{n} a{n}>"))
        ),
    ];
    for content in hostile {
        let parsed = read(content.into_bytes());
        let tokens = tokens_of(&parsed);
        assert!(tokens.len() <= MAX_TOKENS);
        assert!(tokens.iter().all(|found| found.len() <= 256), "no name is taken that long");
        for token in ["subject:needle", "haystack"] {
            assert!(tokens.iter().any(|found| found == token), "{token}");
        }
        let mut counts = Counts::default();
        counts.learn(&hashes_of(&parsed), Kind::Spam);
        assert!(counts.tokens() <= MAX_TOKENS);
    }
}

#[test]
fn every_broken_mail_has_a_score_between_0_and_1() {
    let model = Model::starter();
    for charset in ["utf-8", "utf-7", "utf-16", "iso-2022-jp", "gb18030", "koi8-r", "no-such-charset", ""] {
        let mut content =
            format!("Subject: =?{charset}?B?////?=\r\nContent-Type: text/html; charset={charset}\r\n\r\n");
        content.push_str("<p>");
        let mut content = content.into_bytes();
        content.extend((0..=255_u8).cycle().take(4096));
        let score = judge(&read(content), &model).score;
        assert!((0.0..=1.0).contains(&score), "{charset}: {score}");
    }
    assert_eq!(judge(&read(Vec::new()), &model).score, UNKNOWN);
}

#[test]
fn senders_and_lists_are_taught_by_people_and_by_no_training() {
    let mail = "From: a@x.example\nReturn-Path: <bounce@lists.example>\nList-Id: <rust.lists.example>\n\
                List-Spam-Score: 9\nTo: bob@y.example\n\nHello\n";
    let parsed = read(mail.as_bytes().to_vec());
    let trained = hashes_to_train(&parsed);
    let taught: Vec<String> =
        tokens::of(&parsed).iter().filter(|token| !trained.contains(&token.hash)).map(tokens::Token::text).collect();
    let expected = ["return-path:bounce", "return-path:lists.example", "list-id:rust.lists.example"];
    assert_eq!(taught, expected, "neither whom it is for nor what a filter says");
    assert_eq!(hashes_of(&parsed).len(), trained.len() + taught.len());
    let model = Model::starter();
    assert_eq!(judge_with_hashes(&parsed, &model), (judge(&parsed, &model), hashes_of(&parsed)));
}

#[test]
fn hashes_rise_and_stand_once() {
    let hashes = hashes_of(&parsed("b a c b a"));
    assert_eq!(hashes, hashes_of(&parsed("c a b")));
    assert!(hashes.is_sorted_by(|one, next| one < next));
}

#[test]
fn the_score_names_its_message() {
    let scored = unscored(&parsed(""));
    assert_eq!((scored.message_id, scored.raw_offset), (MessageId::from_parts(0, [0; 10]), 3));
}

#[test]
fn an_accounts_own_model_is_as_good_as_one_of_both_counts() {
    let own = [("pills", 0, 9), ("wire", 6, 0)];
    let own_name = own_model_name("ann");
    let mut known = Models::default();
    known.fold(&models(1, &WORDS)).unwrap();
    known.fold(&counts(&own).to_event(&own_name, 2, 0)).unwrap();
    let both: Vec<_> = WORDS.iter().chain(&own).copied().collect();
    let one = Model::new(&models(1, &both)).unwrap();
    for text in ["pills", "wire hello", "meeting unseen", "pills wire hello meeting", "nothing", ""] {
        let mail = parsed(text);
        let (own, one) = (judge(&mail, &known.of_account("ann")), judge(&mail, &one));
        assert!((own.score - one.score).abs() < 1e-12, "{text}: {} {}", own.score, one.score);
        assert_eq!(own.known, one.known, "{text}");
    }
    let scored = score_with(&parsed("pills"), &known.of_account("ann"));
    assert_eq!((scored.model.as_str(), scored.model_sequence), (own_name.as_str(), 2));
    assert!(scored.score < score(&parsed("pills"), &known).score);
    assert_eq!(known.of_account("bob").version(), known.current().version());
}

#[test]
fn an_accounts_own_model_follows_the_one_for_all_and_is_withdrawn() {
    let mut known = Models::default();
    known.fold(&models(1, &WORDS)).unwrap();
    known.fold(&counts(&[("wire", 6, 0)]).to_event(&own_model_name("ann"), 1, 0)).unwrap();
    let before = known.of_account("ann").version().to_owned();
    known.fold(&models(2, &WORDS[..2])).unwrap();
    assert_ne!(known.of_account("ann").version(), before);
    assert_eq!(known.of_account("ann").sequence(), 2);
    known.withdraw(&own_model_name("ann"));
    assert_eq!(known.of_account("ann").name(), MODEL_NAME);
}

#[test]
fn when_the_model_for_all_is_withdrawn_an_accounts_own_stands_on_the_starter_asked_before_or_not() {
    let own = || counts(&[("pills", 0, 9), ("wire", 6, 0)]).to_event(&own_model_name("ann"), 2, 0);
    let folded = |asks: bool| {
        let mut known = Models::default();
        known.fold(&models(1, &WORDS)).unwrap();
        known.fold(&own()).unwrap();
        if asks {
            known.of_account("ann");
        }
        known.withdraw(MODEL_NAME);
        judge(&parsed("pills wire hello"), &known.of_account("ann")).score
    };
    assert_eq!(folded(true), folded(false));
}
