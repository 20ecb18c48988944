//! The mail to review, the least certain first, and as much of each as is shown or kept.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Context;
use hyper::Method;
use processors::spam::{self, Model};
use schemas::event::{MailParsed, TokenWeight};
use serde_json::Value;

use super::super::super::door::{Door, segment};
use super::super::labelled::Progress;
use super::answers::Answers;
use super::screen;
use crate::mails::{Found, read_all, walk_corpus};

/// Characters of a mail's text that are kept.
const TEXT_CHARS: usize = 4000;
/// Messages of an inbox that are looked at, the newest.
const MOST_OF_INBOX: usize = 1000;

#[derive(Clone, Debug, Default)]
pub struct Candidate {
    /// A file, or the id of a message.
    pub name: String,
    pub from: String,
    pub subject: String,
    pub text: String,
    pub score: f64,
    pub reasons: Vec<TokenWeight>,
    pub hashes: Vec<u64>,
    /// Where it lies on the server.
    pub folder: String,
}

impl Candidate {
    fn of(name: String, parsed: &MailParsed, hashes: Vec<u64>, score: f64, reasons: Vec<TokenWeight>) -> Self {
        let from = parsed.from.first().map(|from| format!("{} <{}>", from.name, from.address)).unwrap_or_default();
        Self {
            name,
            from,
            subject: parsed.subject.clone(),
            text: spam::text_of(parsed).chars().take(TEXT_CHARS).collect(),
            score,
            reasons,
            hashes,
            folder: String::new(),
        }
    }

    fn doubt(&self) -> f64 {
        (self.score - 0.5).abs()
    }
}

/// Of the mail in files that nothing was said of yet, so many of which the model is least certain.
pub fn of_files(paths: &[PathBuf], model: &Model, limit: usize, known: &HashSet<String>) -> Vec<Candidate> {
    let found: Vec<Found> = paths.iter().flat_map(|path| walk_corpus(path)).collect();
    let mut progress = Progress::new(found.iter(), false);
    let mut candidates: Vec<Candidate> = Vec::new();
    let _ = read_all(found, &mut |mail| {
        if let Some((name, content)) = progress.note(mail)
            && !known.contains(&name)
        {
            let parsed = spam::read(content);
            let (verdict, hashes) = spam::judge_with_hashes(&parsed, model);
            candidates.push(Candidate::of(name, &parsed, hashes, verdict.score, verdict.tokens));
            // Not all of a million mails are held.
            if candidates.len() > limit.max(1).saturating_mul(2) {
                keep(&mut candidates, limit);
            }
        }
        ControlFlow::Continue(())
    });
    // What could not be read was told.
    let _ = progress.finish();
    keep(&mut candidates, limit);
    candidates
}

fn keep(candidates: &mut Vec<Candidate>, limit: usize) {
    candidates.sort_by(|one, other| one.doubt().total_cmp(&other.doubt()).then(one.name.cmp(&other.name)));
    candidates.truncate(limit);
}

/// The same of an inbox's newest messages; scores and reasons are the server's.
pub async fn of_inbox(door: &Door, inbox: &str, limit: usize, answers: &Answers) -> anyhow::Result<Vec<Candidate>> {
    let inbox = segment(inbox);
    let list = door.json(Method::GET, &format!("/api/addresses/{inbox}/messages?limit={MOST_OF_INBOX}"), None).await?;
    let known = answers.names();
    let mut messages: Vec<(f64, String, String)> = Vec::new();
    for message in list.as_array().into_iter().flatten() {
        let (id, folder) = (screen::text_of(message, "_id"), screen::text_of(message, "folder"));
        let score =
            message.get("spam").and_then(Value::as_f64).context("the server lists a message without a score")?;
        if !known.contains(&id) {
            messages.push((score, id, folder));
        }
    }
    messages.sort_by(|one, other| (one.0 - 0.5).abs().total_cmp(&(other.0 - 0.5).abs()).then(one.1.cmp(&other.1)));
    messages.truncate(limit);
    let mut candidates = Vec::with_capacity(messages.len());
    for (score, id, folder) in messages {
        let raw = door.call(Method::GET, &format!("/api/raw/{inbox}/{}", segment(&id)), Vec::new()).await?;
        let explained = door.json(Method::GET, &format!("/api/admin/explain/{}", segment(&id)), None).await?;
        // Of mail older than the log the reasons are gone, and those of now are given.
        let tokens = explained.pointer("/score/tokens").or_else(|| explained.pointer("/scoredNow/tokens"));
        let tokens = tokens.cloned().unwrap_or(Value::Array(Vec::new()));
        let reasons = serde_json::from_value(tokens).context("the server explains a score in another form")?;
        let parsed = spam::read(raw.to_vec());
        candidates.push(Candidate { folder, ..Candidate::of(id, &parsed, spam::hashes_of(&parsed), score, reasons) });
    }
    Ok(candidates)
}

pub async fn move_to(door: &Door, inbox: &str, candidate: &Candidate, folder: &str) -> anyhow::Result<()> {
    let (inbox, id) = (segment(inbox), segment(&candidate.name));
    door.json(Method::PUT, &format!("/api/addresses/{inbox}/messages/{id}/folder/{folder}"), None).await?;
    Ok(())
}
