//! 250 means durable, seen from the kernel's side: strace shows which sync a reply followed, and makes syncs fail.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::support::mail::plain;
use crate::support::server::{House, Server, signal};
use crate::support::smtp::Smtp;
use crate::support::trace::Trace;
use crate::support::{eventually, program};

const CONNECTIONS: usize = 4;
const MAILS: usize = 10;

fn strace() -> Command {
    program("strace", "strace")
}

#[test]
fn each_250_and_each_answer_of_the_api_follows_a_sync_that_follows_its_data() {
    strace();
    let mut house = House::with_partitions(1);
    let trace = house.data.with_extension("trace");
    let calls = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,sync_file_range,msync";
    let wrapper = ["strace", "-f", "-s", "1000000", "-xx", "-y", "-e", calls, "-o", trace.to_str().unwrap()];
    house.wrapper = wrapper.map(str::to_owned).to_vec();
    let server = house.start();
    let address = server.smtp;
    let senders: Vec<_> = (0..CONNECTIONS).map(|sender| thread::spawn(move || send_all(sender, address))).collect();
    let mut ids: Vec<(String, String)> = Vec::new();
    for sender in senders {
        ids.extend(sender.join().unwrap());
    }
    server.change("POST", "/api/addresses/reserved-and-synced@example.org", &Value::Null);
    assert!(server.stop().success());
    let trace = Trace::read(&fs::read_to_string(trace).unwrap());
    for (token, id) in ids {
        assert_eq!(trace.synced(&format!("Subject: {token}"), &format!("queued as {id}")), Ok(()), "{token}");
    }
    let answer = r#""_id":"reserved-and-synced@example.org""#;
    assert_eq!(trace.synced("reserved-and-synced@example.org", answer), Ok(()), "what the API answers is durable, too");
}

fn send_all(sender: usize, address: std::net::SocketAddr) -> Vec<(String, String)> {
    let mut client = Smtp::open(address).unwrap();
    let mut ids = Vec::new();
    for number in 0..MAILS {
        let token = format!("synced-{sender}-{number}-end");
        let reply = client.send("sender@example.com", &["ann@example.org"], &plain(&token, 600)).unwrap();
        ids.push((token, reply.queued_as()));
    }
    ids
}

/// strace on a server that runs already.
struct Injection {
    strace: Child,
}

impl Injection {
    fn attach(server: &Server, inject: &str) -> Self {
        let log = server.log.with_extension("strace");
        let strace = strace()
            .args(["-f", "-e", "trace=fsync,fdatasync", "-e", inject, "-o", log.to_str().unwrap(), "-p"])
            .arg(server.pid().to_string())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let status = format!("/proc/{}/task", server.pid());
        eventually("every thread is traced", || {
            let traced = |task: fs::DirEntry| {
                let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
                status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
            };
            fs::read_dir(&status).unwrap().flatten().all(traced).then_some(())
        });
        Self { strace }
    }

    fn detach(mut self) {
        signal(self.strace.id(), "INT");
        self.strace.wait().unwrap();
    }
}

#[test]
fn a_sync_that_fails_never_yields_a_250_and_acceptance_resumes_by_itself() {
    let house = House::with_partitions(1);
    let server = house.start();
    let before = server.deliver(&["ann@example.org"], &plain("before", 600));
    let injection = Injection::attach(&server, "inject=fsync,fdatasync:error=EIO");
    for number in 0..5 {
        let content = plain(&format!("during{number}"), 600);
        let answer = Smtp::open(server.smtp)
            .and_then(|mut client| client.send("sender@example.com", &["ann@example.org"], &content));
        if let Ok(reply) = answer {
            assert!(matches!(reply.code, 421 | 451 | 452), "{reply:?}");
        }
    }
    injection.detach();
    let after = eventually("a 250 again", || {
        let mut client = Smtp::open(server.smtp).ok()?;
        let reply = client.send("sender@example.com", &["bob@example.org"], &plain("after", 600)).ok()?;
        (reply.code == 250).then(|| reply.queued_as())
    });
    assert!(server.inbox_of("bob@example.org", 1)[0]["_id"].as_str().unwrap().starts_with(&after));
    let ids = |server: &Server| -> Vec<String> {
        let inbox = server.inbox("ann@example.org");
        inbox.iter().map(|message| message["_id"].as_str().unwrap().to_owned()).collect()
    };
    assert!(ids(&server).contains(&format!("{before}-0")));
    assert!(server.stop().success());
    let server = house.start();
    assert!(ids(&server).contains(&format!("{before}-0")));
    server.inbox_of("bob@example.org", 1);
}
