//! A mail as it is shown for review. Everything of it is escaped: it is from strangers.

use std::fmt::Write as _;

use processors::spam::Kind;
use schemas::event::TokenWeight;

use super::answers::Answers;
use super::candidates::Candidate;
use super::screen;

/// Lines of the text, and characters of each.
const LINES: usize = 14;
const LINE_CHARS: usize = 100;
/// Reasons each way.
const REASONS: usize = 5;
const KEYS: &str = "s spam   h ham   k skip   u undo   q quit";

pub fn page(candidate: &Candidate, at: usize, all: usize, answers: &Answers) -> String {
    let mut page = String::new();
    let rule = "─".repeat(LINE_CHARS / 2);
    let line = |page: &mut String, text: &str| {
        let _ = writeln!(page, "{}", cut(&screen::escaped(text)));
    };
    let _ = writeln!(page, "\n{rule}\n{} of {all}   {}", at + 1, sum(answers));
    line(&mut page, &candidate.name);
    line(&mut page, &format!("From:    {}", candidate.from));
    line(&mut page, &format!("Subject: {}", candidate.subject));
    let _ = writeln!(page, "Score:   {:.3}\n", candidate.score);
    let lines: Vec<&str> = candidate.text.lines().filter(|line| !line.trim().is_empty()).take(LINES + 1).collect();
    lines.iter().take(LINES).for_each(|text| line(&mut page, text));
    if lines.len() > LINES {
        page.push_str("…\n");
    }
    page.push('\n');
    line(&mut page, &format!("for spam: {}", reasons(&candidate.reasons, |weight| weight > 0.0)));
    line(&mut page, &format!("for ham:  {}", reasons(&candidate.reasons, |weight| weight <= 0.0)));
    let _ = writeln!(page, "{rule}\n{KEYS}");
    page
}

/// Behind the last mail.
pub fn end(answers: &Answers) -> String {
    format!("\nThat was the last one: {}\nu undo   q quit\n", sum(answers))
}

/// What has been said so far.
pub fn sum(answers: &Answers) -> String {
    format!("{} spam, {} ham said", answers.count(Kind::Spam), answers.count(Kind::Ham))
}

fn reasons(tokens: &[TokenWeight], is_one: fn(f64) -> bool) -> String {
    let found = tokens.iter().filter(|token| is_one(token.weight)).take(REASONS);
    let words: Vec<String> = found.map(|token| format!("{} {:+.1}", token.token, token.weight)).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

fn cut(line: &str) -> String {
    if line.chars().count() <= LINE_CHARS {
        return line.to_owned();
    }
    line.chars().take(LINE_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_mail_reaches_the_terminal_as_more_than_text() {
        let folder = tempfile::tempdir().unwrap();
        let answers = Answers::open(&folder.path().join("reviewed.jsonl")).unwrap();
        let evil = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}".to_owned();
        let candidate = Candidate {
            name: evil.clone(),
            from: evil.clone(),
            subject: evil.clone(),
            text: format!("{evil}\r\n{}\n{}", "x".repeat(1000), "y\n".repeat(100)),
            reasons: vec![TokenWeight { token: evil, weight: 1.0 }],
            ..Candidate::default()
        };
        let page = page(&candidate, 0, 1, &answers);
        assert!(page.chars().all(|character| character == '\n' || !character.is_control()), "{page:?}");
        assert!(!page.contains('\u{202e}'));
        assert!(page.lines().count() < 30 && page.lines().all(|line| line.chars().count() <= LINE_CHARS), "{page}");
    }
}
