//! Mails as files, `cases/*.eml`, and what is read in each, `cases/*.json`. `BLESS=1` writes the latter anew; review
//! the difference.

use std::fs;
use std::path::{Path, PathBuf};

use processors::parse::{parse, read};
use serde_json::{Value, json};

use crate::hostile::raw;

fn mails() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut mails: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "eml")).collect();
    mails.sort();
    assert!(!mails.is_empty());
    mails
}

/// Everything that is read in a mail: the fact, and what its readers are given beyond it.
fn everything(content: &[u8]) -> Value {
    let mut parsed = serde_json::to_value(parse(&raw(content.to_vec()), 0)).unwrap();
    let fact = parsed.as_object_mut().unwrap();
    fact.remove("message_id");
    fact.remove("raw_offset");
    let attachments: Vec<Value> = read::attachments(content)
        .into_iter()
        .map(|(attachment, bytes)| {
            let found = read::attachment(content, &attachment.checksum).map(|(found, _)| found.checksum);
            assert_eq!(found, Some(attachment.checksum.clone()));
            json!({ "checksum": attachment.checksum, "bytes": String::from_utf8_lossy(&bytes) })
        })
        .collect();
    json!({
        "parsed": parsed,
        "read": {
            "header_block": read::header_block(content),
            "text": read::text(content),
            "dirty_html": read::dirty_html(content),
            "attachments": attachments,
        },
    })
}

#[test]
fn every_mail_reads_as_its_file_says() {
    let mut failed = Vec::new();
    for mail in mails() {
        let found = format!("{:#}\n", everything(&fs::read(&mail).unwrap()));
        let file = mail.with_extension("json");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &found).unwrap();
        } else if fs::read_to_string(&file).unwrap_or_default() != found {
            failed.push(format!("{}\nis now\n{found}", file.display()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_fact_and_its_readers_say_the_same() {
    for mail in mails() {
        let content = fs::read(&mail).unwrap();
        let parsed = parse(&raw(content.clone()), 0);
        assert_eq!(read::headers(&content), parsed.headers, "{}", mail.display());
        assert_eq!(read::html(&content), parsed.html, "{}", mail.display());
        let attachments: Vec<_> = read::attachments(&content).into_iter().map(|(attachment, _)| attachment).collect();
        assert_eq!(attachments, parsed.attachments, "{}", mail.display());
        if let Some(text) = parsed.text {
            assert_eq!(read::text(&content), text, "{}", mail.display());
        }
    }
}

#[test]
fn every_mail_can_be_cut_anywhere() {
    for mail in mails() {
        let content = fs::read(&mail).unwrap();
        for end in 0..content.len() {
            parse(&raw(content[..end].to_vec()), 0);
        }
    }
}
