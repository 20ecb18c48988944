//! Everything that can happen to an installation on Kafka, one thing after the other and some at once, while mail keeps
//! coming: afterwards each acknowledged mail is there once and nothing waits, and nobody had to help.
//!
//! `POSTLOG_TEST_FROZEN_SECONDS=30` says how long the broker stands still (2 without it).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::eventually;
use crate::support::kafka::Broker;
use crate::support::mail::plain;
use crate::support::server::{House, Server, signal};
use crate::support::smtp::Smtp;

/// The nodes, by their places.
const INGEST: usize = 0;
const TO_BE_FROZEN: usize = 1;
const PROCESSORS: usize = 2;
const SHOWN: usize = 3;
const STAGES: [&str; 4] = ["ingest", "processors", "processors", "sinks,api"];
const INBOXES: usize = 5;
const LOADERS: usize = 3;
/// Between two mails of one loader: the storm is a test of what goes wrong, not of how fast it goes.
const PACE: Duration = Duration::from_millis(40);
/// The load goes on between two blows.
const LULL: Duration = Duration::from_millis(1200);
/// Past the session of a member, which is 10 s.
const PAST_SESSION: Duration = Duration::from_secs(12);
const FROZEN_SECONDS: u64 = 2;

fn frozen() -> Duration {
    let seconds = std::env::var("POSTLOG_TEST_FROZEN_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds.unwrap_or(FROZEN_SECONDS))
}

/// What the senders know.
struct Weather {
    ingest: Mutex<SocketAddr>,
    /// Odd while there is no broker.
    outages: AtomicU32,
    is_over: AtomicBool,
    /// Inboxes by the id of an acknowledged mail.
    acknowledged: Mutex<BTreeMap<String, String>>,
    /// Answers that told a sender to come again.
    refusals: AtomicU32,
}

impl Weather {
    fn new(ingest: SocketAddr) -> Self {
        Self {
            ingest: Mutex::new(ingest),
            outages: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            refusals: AtomicU32::new(0),
        }
    }

    /// Sends until it is over; a connection that breaks, or is refused for now, is made again.
    fn send(&self, loader: usize) {
        let mut number = 0;
        while !self.is_over.load(Ordering::SeqCst) {
            let address = *self.ingest.lock().unwrap();
            if let Ok(mut smtp) = Smtp::open(address) {
                while !self.is_over.load(Ordering::SeqCst) && self.send_one(&mut smtp, loader, number) {
                    number += 1;
                    thread::sleep(PACE);
                }
                number += 1;
            }
            thread::sleep(PACE);
        }
    }

    /// Whether the connection may go on.
    fn send_one(&self, smtp: &mut Smtp, loader: usize, number: usize) -> bool {
        let inbox = format!("storm{}@example.org", number % INBOXES);
        let before = self.outages.load(Ordering::SeqCst);
        let reply = smtp.send("sender@example.com", &[&inbox], &plain(&format!("storm {loader} {number}"), 900));
        let is_away = before % 2 == 1 && self.outages.load(Ordering::SeqCst) == before;
        match reply {
            Ok(reply) if reply.code == 250 => {
                assert!(!is_away, "acknowledged without a broker");
                self.acknowledged.lock().unwrap().insert(format!("{}-0", reply.queued_as()), inbox);
                true
            }
            Ok(reply) => {
                assert!(matches!(reply.code, 421 | 451), "{reply:?}");
                self.refusals.fetch_add(1, Ordering::SeqCst);
                reply.code == 451
            }
            Err(_) => false,
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// The broker is away until `bring_back` has run, and a sender has heard of it.
    fn outage(&self, bring_back: impl FnOnce()) {
        self.outages.fetch_add(1, Ordering::SeqCst);
        let before = self.refusals.load(Ordering::SeqCst);
        eventually("a sender is told to come again", || (self.refusals.load(Ordering::SeqCst) > before).then_some(()));
        self.outages.fetch_add(1, Ordering::SeqCst);
        bring_back();
        let count = self.count();
        eventually("mail is taken again", || (self.count() > count).then_some(()));
    }
}

#[test]
fn after_a_storm_each_acknowledged_mail_is_there_once_and_nothing_waits() {
    let broker = Broker::start();
    let mut house = House::on_broker(&broker.address);
    house.set("POSTLOG_KAFKA_MESSAGE_TIMEOUT_SECONDS", "3");
    house.set("POSTLOG_LOG_PARTITIONS", "3");
    let nodes = STAGES.map(|stages| house.another_node_with(stages));
    let weather = Weather::new(SocketAddr::from(([127, 0, 0, 1], 1)));
    let mut servers: Vec<Server> = nodes.iter().map(House::start).collect();
    *weather.ingest.lock().unwrap() = servers[INGEST].smtp;
    thread::scope(|scope| {
        for loader in 0..LOADERS {
            let weather = &weather;
            scope.spawn(move || weather.send(loader));
        }
        let _over = Over(&weather.is_over);
        nodes_come_and_go(&house, &nodes, &mut servers, &weather);
        broker.signal(Signal::STOP);
        let begun = Instant::now();
        weather.outage(|| {
            thread::sleep(frozen().saturating_sub(begun.elapsed()));
            broker.signal(Signal::CONT);
        });
        broker.signal(Signal::KILL);
        weather.outage(|| broker.start_again());
        thread::sleep(LULL);
    });
    let is_calm = Instant::now();
    all_are_there(&servers[SHOWN], &weather);
    for (node, server) in nodes.iter().zip(&servers) {
        let stages = node.stages;
        eventually(&format!("{stages} is ready"), || (server.probe("/readyz").status == 200).then_some(()));
        if stages != "ingest" {
            eventually(&format!("{stages} has no lag"), || (server.lag_records() == Some(0)).then_some(()));
        }
    }
    eprintln!("{} mails, nothing waits {:?} after the storm", weather.count(), is_calm.elapsed());
    assert!(is_calm.elapsed() < Duration::from_secs(60), "{:?}", is_calm.elapsed());
}

/// Ends the senders however the storm ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One processor is frozen past its session, two more come and go meanwhile, and every stage is killed in turn.
fn nodes_come_and_go(house: &House, nodes: &[House; 4], servers: &mut Vec<Server>, weather: &Weather) {
    thread::sleep(LULL);
    let frozen = servers[TO_BE_FROZEN].pid();
    signal(frozen, "STOP");
    let since = Instant::now();
    let more = [house.another_node_with("processors"), house.another_node_with("processors")];
    let [one, other] = more.each_ref().map(House::start);
    thread::sleep(LULL);
    one.kill();
    assert!(other.stop().success());
    for killed in [INGEST, PROCESSORS, SHOWN] {
        servers.remove(killed).kill();
        servers.insert(killed, nodes[killed].start());
        *weather.ingest.lock().unwrap() = servers[INGEST].smtp;
    }
    thread::sleep(PAST_SESSION.saturating_sub(since.elapsed()));
    signal(frozen, "CONT");
    thread::sleep(LULL);
}

fn all_are_there(server: &Server, weather: &Weather) {
    let acknowledged = weather.acknowledged.lock().unwrap();
    for number in 0..INBOXES {
        let inbox = format!("storm{number}@example.org");
        let wanted: BTreeSet<&String> = acknowledged.iter().filter(|(_, of)| **of == inbox).map(|(id, _)| id).collect();
        let mails = eventually(&format!("what was acknowledged in {inbox}"), || {
            let mails = server.inbox(&inbox);
            let ids: BTreeSet<&str> = mails.iter().map(|mail| mail["_id"].as_str().unwrap()).collect();
            wanted.iter().all(|id| ids.contains(id.as_str())).then_some(mails)
        });
        for field in ["_id", "subject"] {
            let different: BTreeSet<&str> = mails.iter().map(|mail| mail[field].as_str().unwrap()).collect();
            assert_eq!(different.len(), mails.len(), "a mail twice in {inbox}");
        }
    }
}
