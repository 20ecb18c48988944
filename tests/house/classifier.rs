//! The spam classifier as a tool: trained, asked and judged on files, reviewed by a person at a terminal, and served.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::support::eventually;
use crate::support::mail::plain;
use crate::support::program;
use crate::support::server::{House, signal, text_of};

const ANN: &str = "ann@example.org";

/// Twelve mails of each kind, in folders `spam` and `ham`, and two that are like neither.
fn mails(house: &House) -> PathBuf {
    let folder = house.data.with_extension("mails");
    let write = |path: String, subject: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mail = format!("From: a@example.com\nTo: {ANN}\nSubject: {subject}\nX-Mailer: test\n\n{text}\n");
        fs::write(path, mail).unwrap();
    };
    for number in 0..12 {
        write(format!("spam/{number}.eml"), "Buy cheap pills", &format!("Order now, offer {number}, no prescription."));
        write(format!("ham/{number}.eml"), "Minutes of the meeting", &format!("Agenda, item {number}, as discussed."));
    }
    write("new/spam, \"cheap\".eml".into(), "Buy pills", "Order now \u{1b}[2J");
    write("new/ham.eml".into(), "Minutes", "Agenda as discussed");
    folder
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

fn trained(house: &House, folder: &Path) -> String {
    let (model, spam, ham) = (path(folder, "test.model"), path(folder, "spam"), path(folder, "ham"));
    house.run(&["spam", "train", "--spam", &spam, "--ham", &ham, "--model", &model]);
    model
}

#[test]
fn a_model_is_trained_and_asked_on_files_without_a_server() {
    let house = House::new();
    let folder = mails(&house);
    let model = trained(&house, &folder);
    let first = fs::read(&model).unwrap();
    trained(&house, &folder);
    assert_eq!(fs::read(&model).unwrap(), first, "the same training makes the same bytes");
    assert!(!folder.join("test.model.part").exists());
    let output = house.run(&["spam", "predict", "--csv", "--model", &model, &path(&folder, "new")]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let score = |line: &str| line.rsplit_once(',').unwrap().1.parse::<f64>().unwrap();
    assert!(lines[0].ends_with(&format!("ham.eml,{}", score(lines[0]))) && score(lines[0]) < 0.2, "{text}");
    assert!(lines[1].starts_with('"') && lines[1].contains("spam, \"\"cheap\"\".eml\","), "{text}");
    assert!(score(lines[1]) > 0.8, "{text}");
    assert!(!house.data.exists(), "no data folder is made");
}

#[test]
fn a_judgement_is_given_for_people_and_for_programs() {
    let house = House::new();
    let folder = mails(&house);
    let model = trained(&house, &folder);
    let (spam, ham) = (path(&folder, "spam"), path(&folder, "ham"));
    let ask = |more: &[&str]| {
        let mut arguments = vec!["spam", "eval", "--spam", &spam, "--ham", &ham, "--model", &model];
        arguments.extend(more);
        String::from_utf8(house.run(&arguments).stdout).unwrap()
    };
    let figures: Value = serde_json::from_str(&ask(&["--json"])).unwrap();
    assert_eq!((figures["spam"].as_u64(), figures["ham"].as_u64()), (Some(12), Some(12)));
    assert_eq!((figures["roc_area"].as_f64(), figures["accuracy"].as_f64()), (Some(1.0), Some(1.0)));
    assert!(figures["log_loss"].as_f64().unwrap() < 0.2, "{figures}");
    assert_eq!(figures["calibration"].as_array().unwrap().len(), 10);
    let told = ask(&[]);
    for part in ["1-ROCA", "accuracy at 0.5", "ham over 0.5", "log loss", "share of spam", "ham taken for spam", "█"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn mail_that_can_not_be_read_is_told_and_the_rest_is_scored() {
    let house = House::new();
    let folder = mails(&house);
    let (good, gone) = (path(&folder, "new/ham.eml"), path(&folder, "gone.eml"));
    let output = house.command(&["spam", "predict", &gone, &good]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text_of(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("gone.eml"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("ham.eml"));
    let other = house.command(&["spam", "predict", "--model", &good, &good]).output().unwrap();
    assert_eq!(other.status.code(), Some(1));
    assert!(text_of(&other).contains("it is no model"), "{}", text_of(&other));
}

/// Presses keys on a terminal of its own, each when the line of keys has been shown, and gives what was shown.
const AT_A_TERMINAL: &str = r#"
import os, pty, re, select, sys, time
keys, arguments = sys.argv[1], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(arguments[0], arguments)
shown, asked, deadline = b"", 0, time.monotonic() + 60
while time.monotonic() < deadline:
    if select.select([terminal], [], [], 0.2)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    if asked < len(keys) and shown.count(b"q quit\r\n") > asked:
        os.write(terminal, keys[asked].encode())
        asked += 1
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

fn at_a_terminal(house: &House, keys: &str, arguments: &[&str]) -> String {
    let command = house.command(arguments);
    let mut python = program("python3", "python3");
    python.args(["-c", AT_A_TERMINAL, keys]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", text_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_person_reviews_a_folder_at_a_terminal_and_train_takes_what_was_said() {
    let house = House::new();
    let folder = mails(&house);
    let (model, file, new) = (trained(&house, &folder), path(&folder, "said.jsonl"), path(&folder, "new"));
    let review = ["spam", "review", "--model", &model, "--file", &file, &new];
    // Skip, say, take that back, say the other thing, leave.
    let shown = at_a_terminal(&house, "khusq", &review);
    assert!(shown.contains("1 of 2") && shown.contains("2 of 2"), "{shown}");
    assert!(shown.contains("for spam:") && shown.contains("for ham:"), "{shown}");
    assert!(shown.contains("1 spam, 0 ham said"), "{shown}");
    assert!(!shown.contains("\u{1b}[2J"), "nothing of a mail is obeyed: {shown:?}");
    let said = fs::read_to_string(&file).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("\"verdict\":\"spam\"") && !said.contains("Order now"), "{said}");
    // The one that is left, and then none.
    let shown = at_a_terminal(&house, "hq", &review);
    assert!(shown.contains("1 of 1") && shown.contains("1 spam, 1 ham said"), "{shown}");
    let output = house.run(&review);
    assert!(text_of(&output).contains("nothing left to review"), "{}", text_of(&output));
    let taught = path(&folder, "taught.model");
    house.run(&["spam", "train", "--reviewed", &file, "--onto", &model, "--model", &taught]);
    assert_ne!(fs::read(taught).unwrap(), fs::read(model).unwrap());
}

#[test]
fn a_review_over_the_server_moves_the_mail_and_undo_moves_it_back() {
    let house = House::new();
    let server = house.start();
    server.deliver(&[ANN], &plain("first", 700));
    server.deliver(&[ANN], &plain("second", 700));
    server.inbox_of(ANN, 2);
    let file = house.data.with_extension("jsonl");
    let file = file.to_str().unwrap();
    let folders = || {
        let mut folders: Vec<String> =
            server.inbox(ANN).iter().map(|mail| mail["folder"].as_str().unwrap().to_owned()).collect();
        folders.sort();
        folders
    };
    at_a_terminal(&house, "suhsq", &["spam", "review", "--inbox", ANN, "--file", file]);
    assert_eq!(folders(), ["inbox", "spam"]);
    assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 2);
    let output = house.run(&["spam", "models"]);
    assert!(text_of(&output).contains("default"), "{}", text_of(&output));
    assert!(server.stop().success());
}

#[test]
fn the_classifier_serves_alone_and_ends_when_it_is_asked_to() {
    let house = House::new();
    let mut command = house.command(&["spam", "serve", "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
    let body = r#"{"to":"a@x.org","from":"b@y.org","subject":"Cheap pills","text":"Buy pills online now"}"#;
    let mut stream = TcpStream::connect(&address).unwrap();
    let head =
        "POST /api/spam-checks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"spam\":true"), "{answer}");
    signal(child.id(), "TERM");
    let status = eventually("it ends", || child.try_wait().unwrap());
    assert!(status.success());
    assert!(!house.data.exists(), "no data folder is made");
}
