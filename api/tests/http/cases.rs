//! `cases/*.case`: requests in order, each with the answer that is expected. `BLESS=1` rewrites the answers.
//!
//! ```text
//! ## What is shown
//! PUT /api/addresses/ann@x.org ann Content-Type=text/plain
//! {"info": "a body, if there is one"}
//! => 200
//! {"info": "…"}
//! ```

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::house::{Answer, House};

/// Members that differ from run to run.
const VOLATILE: [&str; 5] = ["created", "updated", "encryptedInbox", "lastLogin", "key"];

struct Step {
    title: String,
    request: String,
    body: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_is_answered_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/cases");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    files.sort();
    assert!(files.len() >= 5, "the case files are missing");
    let mut differing = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let answered = run(&text).await;
        if answered == text {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, answered).unwrap();
        } else {
            differing.push(format!("{}:\n{answered}", file.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

async fn run(text: &str) -> String {
    let house = House::new().await;
    for (to, content) in mails() {
        house.deliver(&to, content).await;
    }
    let mut answered = String::new();
    for step in steps(text) {
        let answer = house.send(&step.request, &step.body).await;
        let _ = writeln!(answered, "## {}\n{}", step.title, step.request);
        if !step.body.is_empty() {
            let _ = writeln!(answered, "{}", step.body);
        }
        let shown = shown(&answer);
        let _ = writeln!(answered, "=> {}\n{shown}", answer.status.as_u16());
    }
    answered
}

fn steps(text: &str) -> Vec<Step> {
    let blocks = text.split("## ").skip(1);
    blocks
        .map(|block| {
            let asked = block.split_once("=> ").map_or(block, |(asked, _)| asked);
            let mut lines = asked.lines();
            Step {
                title: lines.next().unwrap().trim().to_owned(),
                request: lines.next().unwrap().trim().to_owned(),
                body: lines.collect::<Vec<_>>().join("\n").trim().to_owned(),
            }
        })
        .collect()
}

fn shown(answer: &Answer) -> String {
    let mut text = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(mut json) if answer.header("content-type") == "application/json" => {
            blank(&mut json);
            serde_json::to_string_pretty(&json).unwrap()
        }
        _ => answer.text().replace("\r\n", "\n").trim_end().to_owned(),
    };
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn blank(json: &mut Value) {
    match json {
        Value::Array(members) => members.iter_mut().for_each(blank),
        Value::Object(members) => {
            for (name, value) in members {
                if VOLATILE.contains(&name.as_str()) && value.is_string() {
                    *value = Value::String("…".into());
                } else {
                    blank(value);
                }
            }
        }
        _ => {}
    }
}

/// What has arrived before every case.
fn mails() -> Vec<(Vec<&'static str>, &'static str)> {
    vec![
        (
            vec!["Ann+Tag@X.org"],
            "From: Sender <sender@y.org>\nTo: ann@x.org\nSubject: First\nX-Mailsac-Spam: 0\n\nSee https://y.org/a\n",
        ),
        (
            vec!["ann@x.org", "open@x.org"],
            "From: sender@y.org\nTo: ann@x.org, Open <open@x.org>\nSubject: Second\nReceived: a\nReceived: b\n\
             MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n\
             <p onclick=\"x()\">Hi <a href=\"https://y.org/\">there</a><script>x()</script><img src=\"https://y.org/i\"></p>\n\
             --b\nContent-Type: text/plain; name=\"n.txt\"\nContent-Disposition: attachment; filename=\"n.txt\"\n\n\
             attached\n--b--\n",
        ),
    ]
}
