//! Runs `dialogues/*.smtp`. `BLESS=1` writes what was heard into the files; the diff is to be reviewed.
//!
//! `C:` is a line that the client sends, `c:` the same without its CRLF, `C*N:` the same N times; what stands between
//! two answers goes out in one write. `S:` is what the server says, `E:` that it has closed, `A:` what is on the log.
//! `@` sets something: `@ set NAME VALUE` before the first line, `@ log full` and the like before an append, `@ room no`, `@ wait
//! SECONDS`, `@ stop`. Escapes are `\r \n \0 \\ \xHH`; `#` opens a comment.

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use eventlog::LogError;
use ingest::{Domains, Room, Settings};
use schemas::event::MailRaw;

use crate::fake_log::Cue;
use crate::peer::Peer;

thread_local! {
    /// Whether the log has room; a dialogue has one thread.
    static ROOM: Cell<bool> = const { Cell::new(true) };
}

#[tokio::test(start_paused = true)]
async fn every_dialogue_goes_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut different = Vec::new();
    for file in files {
        let expected = std::fs::read_to_string(&file).unwrap();
        let heard = run(&expected).await;
        if heard != expected && std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, &heard).unwrap();
        } else if heard != expected {
            different.push(format!("{}\n--- expected\n{expected}\n--- heard\n{heard}", file.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The dialogue with the server's part as it was heard.
async fn run(text: &str) -> String {
    let (mut transcript, mut settings) = (String::new(), Settings::default());
    settings.server_name = "mx.example".to_owned();
    ROOM.with(|room| room.set(true));
    settings.room = Room::new(|| ROOM.with(Cell::get));
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next_if(|line| !line.starts_with("S:")) {
        transcript.push_str(line);
        transcript.push('\n');
        if let Some(setting) = line.strip_prefix("@ set ") {
            set(&mut settings, setting);
        }
    }
    let mut peer = Peer::connect(settings);
    hear(&mut peer, &mut transcript).await;
    let mut burst = Vec::new();
    for line in lines {
        let sends = line.starts_with(['C', 'c']) && line.contains(':');
        if !sends && !burst.is_empty() {
            peer.send(&std::mem::take(&mut burst)).await;
            hear(&mut peer, &mut transcript).await;
        }
        if line.starts_with("S:") || line.starts_with("E:") || line.starts_with("A:") {
            continue;
        }
        transcript.push_str(line);
        transcript.push('\n');
        if sends {
            burst.extend_from_slice(&bytes_of(line));
        } else if let Some(order) = line.strip_prefix("@ ") {
            obey(&mut peer, order).await;
            hear(&mut peer, &mut transcript).await;
        }
    }
    if !burst.is_empty() {
        peer.send(&burst).await;
        hear(&mut peer, &mut transcript).await;
    }
    peer.vanish().await;
    transcript
}

async fn hear(peer: &mut Peer, transcript: &mut String) {
    let (said, closed) = peer.hear().await;
    for line in said.split_terminator("\r\n") {
        let id = line.split_once("queued as ").map(|(_, id)| id);
        writeln!(transcript, "S: {}", id.map_or(line.to_owned(), |id| line.replace(id, "<id>"))).unwrap();
    }
    for raw in peer.log.take() {
        writeln!(transcript, "A: {}", appended(&raw)).unwrap();
    }
    if closed && !transcript.ends_with("E: closed\n") {
        transcript.push_str("E: closed\n");
    }
}

fn appended(raw: &MailRaw) -> String {
    let recipients: Vec<String> = raw.recipients.iter().map(|recipient| format!("<{recipient}>")).collect();
    let protocol = match (raw.smtputf8, raw.esmtp) {
        (true, _) => "UTF8SMTP",
        (false, true) => "ESMTP",
        (false, false) => "SMTP",
    };
    let helo = raw.helo.as_deref().unwrap_or_default();
    let content = raw.content.escape_ascii();
    format!("<{}> to {} by {protocol} from {helo}: {content}", raw.mail_from, recipients.join(", "))
}

fn set(settings: &mut Settings, setting: &str) {
    let (name, value) = setting.split_once(' ').unwrap();
    let number = || value.parse().unwrap();
    match name {
        "message_bytes" => settings.message_bytes = value.parse().unwrap(),
        "recipients" => settings.recipients = value.parse().unwrap(),
        "line_bytes" => settings.line_bytes = value.parse().unwrap(),
        "errors" => settings.errors = number(),
        "commands_without_mail" => settings.commands_without_mail = number(),
        "hops" => settings.hops = value.parse().unwrap(),
        "buffered_bytes" => settings.buffered_bytes = value.parse().unwrap(),
        "domains" => settings.domains = Domains::Listed(value.split(' ').map(str::to_owned).collect()),
        other => panic!("{other}"),
    }
}

async fn obey(peer: &mut Peer, order: &str) {
    let fail = |error| peer.log.cue(Cue::Fail(error));
    match order.split_once(' ') {
        Some(("room", there)) => ROOM.with(|room| room.set(there == "yes")),
        Some(("set", _)) => {}
        Some(("log", "full")) => fail(LogError::Full("no space".to_owned())),
        Some(("log", "unavailable")) => fail(LogError::Unavailable("gone".to_owned())),
        Some(("log", "too large")) => fail(LogError::TooLarge { size_bytes: 2, limit_bytes: 1 }),
        Some(("log", "damaged")) => fail(LogError::Damaged("torn".to_owned())),
        Some(("log", "fenced")) => fail(LogError::Fenced("group".to_owned())),
        Some(("log", "slow")) => peer.log.cue(Cue::Hold),
        Some(("wait", seconds)) => tokio::time::sleep(Duration::from_secs(seconds.parse().unwrap())).await,
        None if order == "stop" => peer.stopping.cancel(),
        _ => panic!("{order}"),
    }
}

fn bytes_of(line: &str) -> Vec<u8> {
    let (marker, rest) = line.split_once(':').unwrap();
    let mut bytes = unescaped(rest.strip_prefix(' ').unwrap_or(rest));
    if marker.starts_with('C') {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.repeat(marker.get(2..).map_or(1, |times| times.parse().unwrap()))
}

fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let mut length = 1;
        bytes.push(match escape.as_bytes()[0] {
            b'r' => b'\r',
            b'n' => b'\n',
            b'0' => 0,
            b'x' => {
                length = 3;
                u8::from_str_radix(&escape[1..3], 16).unwrap()
            }
            other => other,
        });
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
