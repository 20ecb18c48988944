//! The program as operators handle it: one process a folder, one format, settings that are checked, a clean end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::support::eventually;
use crate::support::mail::{plain, rich};
use crate::support::on_both_logs;
use crate::support::server::{House, KEY, OnLog, text_of};

on_both_logs!(
    domains_and_addresses_are_kept_by_the_command_line_whether_a_server_runs_or_not,
    ingest_takes_files_folders_and_mboxes_and_makes_crlf_of_lf,
);

/// The file that says which format a data folder has.
const FORMAT_FILE: &str = "format";

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_second_process_on_the_folder_is_refused_with_a_clear_text() {
    let house = House::new();
    let server = house.start();
    let output =
        house.command(&["run", "--smtp-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]).output().unwrap();
    assert!(!output.status.success());
    let text = text_of(&output);
    assert!(text.contains(house.data.to_str().unwrap()), "it names the folder: {text}");
    assert!(text.contains(&server.pid().to_string()), "it names the other process: {text}");
    assert!(!text.contains("panicked"), "{text}");
    server.deliver(&["ann@example.org"], &plain("still-served", 300));
    assert!(server.stop().success());
}

#[test]
fn a_folder_of_a_newer_format_is_refused_untouched() {
    let house = House::new();
    let server = house.start();
    server.deliver(&["ann@example.org"], &plain("kept", 300));
    server.inbox_of("ann@example.org", 1);
    assert!(server.stop().success());
    let format = house.data.join(FORMAT_FILE);
    let written = fs::read_to_string(&format).unwrap();
    let number: String = written.chars().filter(char::is_ascii_digit).collect();
    fs::write(&format, written.replacen(&number, "9999", 1)).unwrap();
    let before = contents(&house.data);
    let failure = house.try_start().err().expect("it refuses");
    assert!(failure.contains("newer") && failure.contains("9999"), "{failure}");
    assert_eq!(contents(&house.data), before);
    fs::write(&format, written).unwrap();
    let server = house.start();
    server.inbox_of("ann@example.org", 1);
}

#[test]
fn unknown_keys_are_errors_that_name_the_key() {
    let mut house = House::new();
    house.config = "[log]\npartitoins = 3\n".to_owned();
    for command in ["check", "run"] {
        let output = house.command(&[command]).output().unwrap();
        assert!(!output.status.success());
        assert!(text_of(&output).contains("partitoins"), "{}", text_of(&output));
    }
    assert!(!house.data.exists(), "nothing was made");
}

#[test]
fn check_passes_what_runs_by_default() {
    House::new().run(&["check"]);
}

#[test]
fn port_0_picks_ports_that_are_printed_and_written_down() {
    let house = House::new();
    let server = house.start();
    assert_ne!(server.smtp.port(), 0);
    assert_ne!(server.http.port(), 0);
    let written: Value = serde_json::from_str(&fs::read_to_string(house.data.join("server.json")).unwrap()).unwrap();
    assert!(written.to_string().contains(&server.http.to_string()), "{written}");
    house.run(&["ready"]);
    assert!(server.stop().success());
    assert!(!house.command(&["ready"]).output().unwrap().status.success(), "nobody runs");
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_exits_0() {
    let house = House::new();
    let server = house.start();
    let mut client = server.smtp();
    for (line, code) in [("MAIL FROM:<a@example.com>", 250), ("RCPT TO:<ann@example.org>", 250), ("DATA", 354)] {
        client.expect(line, code).unwrap();
    }
    client.write(b"Subject: in flight\r\n\r\n").unwrap();
    let pid = server.pid();
    crate::support::server::signal(pid, "TERM");
    client.write(b"end\r\n.\r\n").unwrap();
    let reply = client.reply().unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    drop(client);
    let mut server = server;
    assert!(server.wait().success());
    assert!(server.log_text().lines().all(|line| !line.contains("panicked")));
    let server = house.start();
    assert_eq!(server.inbox_of("ann@example.org", 1)[0]["subject"], "in flight");
}

#[test]
fn the_first_start_makes_a_key_when_none_is_given() {
    let house = House::new();
    let mut command = house.command(&["address", "list", "--json"]);
    let output = command.env_remove("POSTLOG_ADMIN_KEY").output().unwrap();
    assert!(output.status.success(), "{}", text_of(&output));
    let key = fs::read_to_string(house.data.join("admin.key")).unwrap();
    assert!(key.trim().len() > 20 && key.trim() != KEY);
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(house.data.join("admin.key")).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

fn domains_and_addresses_are_kept_by_the_command_line_whether_a_server_runs_or_not(log: OnLog) {
    let house = House::on(log);
    house.run(&["domain", "add", "offline.example"]);
    let server = house.start();
    house.run(&["domain", "add", "online.example"]);
    let domains = server.json("/api/domains");
    let names: Vec<&str> = domains.as_array().unwrap().iter().map(|domain| domain["_id"].as_str().unwrap()).collect();
    assert!(names.contains(&"offline.example") && names.contains(&"online.example"), "{names:?}");
    assert!(server.stop().success());
}

fn ingest_takes_files_folders_and_mboxes_and_makes_crlf_of_lf(log: OnLog) {
    let house = House::on(log);
    let folder = house.data.with_extension("mails");
    fs::create_dir_all(folder.join("deeper")).unwrap();
    let mail = |to: &str| format!("From: a@example.com\nTo: {to}\nSubject: {to}\n\nHello\nfrom a file\n");
    fs::write(folder.join("one.eml"), mail("one@files.example")).unwrap();
    fs::write(folder.join("deeper/two.eml"), rich("two")).unwrap();
    let mbox = |to: &str| format!("From a@example.com Mon Nov 24 10:00:00 2025\n{}\n", mail(to));
    fs::write(folder.join("box.mbox"), format!("{}{}", mbox("three@files.example"), mbox("four@files.example")))
        .unwrap();
    house.run(&["ingest", folder.to_str().unwrap()]);
    let server = house.start();
    for to in ["one@files.example", "three@files.example", "four@files.example"] {
        let entry = server.inbox_of(to, 1).remove(0);
        server.content(to, entry["_id"].as_str().unwrap(), mail(to).replace('\n', "\r\n").as_bytes());
    }
    server.inbox_of("ann@example.org", 1);
    let tail = house.run(&["tail", "mail.raw", "--from", "earliest", "--json"]);
    let lines = String::from_utf8(tail.stdout).unwrap();
    assert_eq!(lines.lines().count(), 4, "{lines}");
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["topic"], "mail.raw");
        assert_eq!(record["event"]["door"], "Ingest");
    }
    assert!(server.stop().success());
}

#[test]
fn check_lists_every_fault_at_once_whatever_its_kind_and_wherever_it_comes_from() {
    let mut house = House::new();
    house.config = "[log]\npartitoins = 3\nqueue_bytes = 1\n[smtp]\nrecipients = \"many\"\n".to_owned();
    let mut command = house.command(&["check", "--set", "nonsense", "--set", "smtp.domains=a.example,,b.example"]);
    command.env("POSTLOG_SMPT_LISTEN", "127.0.0.1:1").env("POSTLOG_ADMIN_KEY", "short");
    let output = command.output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    let faults = ["log.partitoins", "log.queue_bytes", "smtp.recipients", "nonsense", "smtp.domains"];
    for fault in faults.into_iter().chain(["POSTLOG_SMPT_LISTEN", "POSTLOG_ADMIN_KEY"]) {
        assert!(text.contains(fault), "{fault} is missing: {text}");
    }
    assert!(!house.data.exists(), "nothing was made");
}

#[test]
fn check_reads_the_key_file_that_run_would_read() {
    let house = House::new();
    let file = house.data.with_extension("key");
    let check = |path: &str| {
        let mut command = house.command(&["check", "--admin-key-file", path]);
        command.env_remove("POSTLOG_ADMIN_KEY").output().unwrap()
    };
    for content in [None, Some(""), Some("short\n")] {
        content.into_iter().for_each(|content| fs::write(&file, content).unwrap());
        let output = check(file.to_str().unwrap());
        assert_eq!(output.status.code(), Some(2), "{content:?}: {}", text_of(&output));
        assert!(text_of(&output).contains("admin_key_file"), "{}", text_of(&output));
    }
    assert_eq!(check("").status.code(), Some(2));
    fs::write(&file, KEY).unwrap();
    assert!(check(file.to_str().unwrap()).status.success());
}

#[test]
fn tail_fails_when_a_record_can_not_be_read() {
    let mut house = House::new();
    house.config = "[log]\nsegment_bytes = 65536\n".to_owned();
    let server = house.start();
    for number in 0..4 {
        server.deliver(&["ann@example.org"], &plain(&format!("mail-{number}"), 40_000));
    }
    server.inbox_of("ann@example.org", 4);
    assert!(server.stop().success());
    house.run(&["tail", "mail.raw", "--json"]);
    let first = house.data.join("log/mail.raw/0/00000000000000000000.seg");
    let mut bytes = fs::read(&first).unwrap();
    bytes[20_000] ^= 1;
    fs::write(&first, bytes).unwrap();
    for form in [vec!["tail", "mail.raw"], vec!["tail", "mail.raw", "--json"]] {
        let output = house.command(&form).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_recipient_that_is_no_address_is_a_mistake_of_the_command_line() {
    let house = House::new();
    let file = house.data.with_extension("eml");
    fs::write(&file, plain("one", 300)).unwrap();
    for (flag, value) in [("--to", "bad addr"), ("--to", "nobody"), ("--from", "a b@example.org")] {
        let output = house.command(&["ingest", file.to_str().unwrap(), flag, value]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag} {value}: {}", text_of(&output));
        assert!(text_of(&output).contains(value), "{}", text_of(&output));
    }
    assert!(!house.data.exists(), "nothing was made");
    house.run(&["ingest", file.to_str().unwrap(), "--to", "Ann@Example.org", "--from", ""]);
}

#[test]
fn a_file_that_is_no_mail_is_refused_unless_it_is_named_eml() {
    let house = House::new();
    let (image, users) = (house.data.with_extension("png"), house.data.with_extension("passwd"));
    fs::write(&image, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap();
    fs::write(&users, "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\n").unwrap();
    for file in [&image, &users] {
        let output = house.command(&["ingest", file.to_str().unwrap(), "--to", "ann@example.org"]).output().unwrap();
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(4), "{text}");
        assert!(text.contains(file.to_str().unwrap()) && text.contains("no mail"), "{text}");
    }
    let (maildir, odd) = (house.data.with_extension("host,S=1:2,S"), house.data.with_extension("eml"));
    fs::write(&maildir, "Subject:x\n\nHello\n").unwrap();
    fs::write(&odd, "no header at all\n").unwrap();
    for file in [&maildir, &odd] {
        house.run(&["ingest", file.to_str().unwrap(), "--to", "ann@example.org"]);
    }
}

#[test]
fn server_and_key_may_be_named_behind_the_last_subcommand() {
    let house = House::new();
    let server = house.start();
    let url = format!("http://{}", server.http);
    for arguments in [["domain", "list"], ["address", "list"], ["account", "list"], ["key", "list"]] {
        let mut arguments = arguments.to_vec();
        if arguments[0] == "key" {
            arguments.push("admin");
        }
        arguments.extend(["--url", &url, "--key", KEY]);
        let mut command = House::new().command(&arguments);
        let output = command.env_remove("POSTLOG_ADMIN_KEY").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text_of(&output));
    }
}

#[test]
fn an_account_is_named_by_its_id_or_its_email() {
    let house = House::new();
    let server = house.start();
    house.run(&["account", "add", "ann@example.org", "--id", "ann"]);
    house.run(&["account", "add", "bob@example.org", "--id", "bob"]);
    house.run(&["key", "add", "bob@example.org", "--name", "laptop"]);
    house.run(&["account", "remove", "Ann@Example.org"]);
    house.run(&["account", "remove", "bob"]);
    let listed = String::from_utf8(house.run(&["account", "list"]).stdout).unwrap();
    assert!(!listed.contains("ann") && !listed.contains("bob"), "{listed}");
    let output = house.command(&["account", "remove", "eve@example.org"]).output().unwrap();
    assert!(!output.status.success() && text_of(&output).contains("eve@example.org"), "{}", text_of(&output));
    assert!(server.stop().success());
}

#[test]
fn commands_that_only_read_make_no_folder() {
    let house = House::new();
    for arguments in [vec!["dump"], vec!["tail", "mail.raw"], vec!["rebuild"]] {
        let output = house.command(&arguments).output().unwrap();
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.contains(house.data.to_str().unwrap()), "{text}");
        assert!(!house.data.exists(), "{arguments:?} has made it");
    }
    fs::create_dir(&house.data).unwrap();
    assert_eq!(house.command(&["dump"]).output().unwrap().status.code(), Some(1));
    assert_eq!(fs::read_dir(&house.data).unwrap().count(), 0, "an empty folder stays empty");
}

#[test]
fn a_server_without_the_stage_api_says_whether_it_is_ready_and_how_it_is() {
    let house = House::new();
    let mut child = house
        .command(&["run", "--stages", "ingest,processors", "--smtp-listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the server's file", || house.data.join("server.json").exists().then_some(()));
    let output = house.command(&["ready", "--wait"]).output().unwrap();
    let server: Value = serde_json::from_str(&fs::read_to_string(house.data.join("server.json")).unwrap()).unwrap();
    let probes = server["probes"].as_str().unwrap().parse().unwrap();
    let answers = ["/livez", "/readyz", "/metrics", "/api/me"]
        .map(|path| crate::support::http::request(probes, "GET", path, &[], &[]).unwrap());
    crate::support::server::signal(child.id(), "TERM");
    child.wait().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 200, 200, 404]);
    assert!(answers[2].text().contains("postlog_"), "{}", answers[2].text());
}

#[test]
fn what_is_reserved_is_named_as_it_is_kept_and_a_fault_is_told_once() {
    let house = House::new();
    let server = house.start();
    let output = house.run(&["address", "reserve", "Ann+shop@Example.org"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("ann@example.org is reserved."), "{text}");
    let released = String::from_utf8(house.run(&["address", "release", "Ann+shop@example.org"]).stdout).unwrap();
    assert!(released.starts_with("ann@example.org is released."), "{released}");
    let output = house.command(&["address", "reserve", "nope"]).output().unwrap();
    let text = text_of(&output);
    assert_eq!(text.matches("nope is not").count(), 1, "{text}");
    assert!(server.stop().success());
}

#[test]
fn the_version_is_told() {
    let output = House::new().run(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), concat!("postlog ", env!("CARGO_PKG_VERSION")));
}
