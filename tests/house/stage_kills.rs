//! Every stage in two processes on a Kafka and a Cassandra, and under load one of them after the other dies at once and
//! is started again: what was acknowledged is there once with its bytes, and nothing is left to do a minute later.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::kill::{self, Sent};
use crate::scale::house_on;
use crate::support::cassandra;
use crate::support::mail::plain;
use crate::support::server::{House, Server};
use crate::support::smtp::Smtp;

const STAGES: [&str; 4] = ["ingest", "processors", "sinks", "api"];
const NODES_OF_A_STAGE: usize = 2;
const WORKERS: usize = 2;
const MAILS_OF_AN_INBOX: usize = 200;
const MAIL_BYTES: [usize; 3] = [400, 6_000, 40_000];
/// Between two mails of a worker: a load, and not all that goes.
const PACE: Duration = Duration::from_millis(25);
/// How long the load goes on between a start and the next kill.
const LOAD: Duration = Duration::from_millis(1500);
const LAG_LIMIT: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(100);
const LAG: &str = "postlog_log_group_lag_records{";

fn rounds() -> usize {
    std::env::var("POSTLOG_TEST_STAGE_KILLS").ok().map_or(1, |kills| kills.parse().unwrap())
}

/// One process of a stage, and the folder that it is started on again.
struct Node {
    house: House,
    server: Option<Server>,
}

impl Node {
    fn start(house: House) -> Self {
        let server = Some(house.start());
        Self { house, server }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    fn die_and_start_again(&mut self) {
        self.server.take().expect("it runs").kill();
        self.server = Some(self.house.start());
    }
}

/// Where mail may be brought.
type Doors = Mutex<[SocketAddr; NODES_OF_A_STAGE]>;

/// Sends until it is over, and goes to the other door where one has gone. Mail that was not answered is not sent again.
fn work(name: &str, worker: usize, doors: &Doors, over: &AtomicBool) -> Vec<Sent> {
    let mut sent: Vec<Sent> = Vec::new();
    let mut door = worker;
    let mut open: Option<Smtp> = None;
    while !over.load(Ordering::Relaxed) {
        let address = doors.lock().unwrap()[door % NODES_OF_A_STAGE];
        let Some(mut smtp) = open.take().or_else(|| Smtp::open(address).ok()) else {
            door += 1;
            continue;
        };
        let number = sent.len();
        let inbox = format!("{name}i{}@kills.example", number / MAILS_OF_AN_INBOX);
        let (token, size_bytes) = (format!("{name}n{number}"), MAIL_BYTES[number % MAIL_BYTES.len()]);
        let answer = smtp.send("sender@example.com", &[&inbox], &plain(&token, size_bytes));
        let acknowledged = answer.as_ref().ok().filter(|reply| reply.code == 250).map(|reply| reply.queued_as());
        if answer.is_ok() {
            open = Some(smtp);
        } else {
            door += 1;
        }
        sent.push(Sent { inbox, token, size_bytes, acknowledged });
        thread::sleep(PACE);
    }
    sent
}

/// Records that nobody has handled yet, over all groups and nodes; `None` where no node says anything of it.
fn lag(nodes: &[Vec<Node>]) -> Option<f64> {
    let all: String = nodes.iter().flatten().map(|node| node.server().metrics()).collect();
    let of_line = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
    all.lines().filter(|line| line.starts_with(LAG)).map(of_line).reduce(|sum, lag| sum + lag)
}

/// How long it takes until every node says that nothing is left.
fn until_nothing_is_left(nodes: &[Vec<Node>]) -> Duration {
    let began = Instant::now();
    while lag(nodes) != Some(0.0) {
        assert!(began.elapsed() < LAG_LIMIT, "{:?} records are left after {LAG_LIMIT:?}", lag(nodes));
        thread::sleep(GLANCE);
    }
    began.elapsed()
}

/// Sends mail until `disturb` is through with the nodes, and a little longer.
fn under_load(nodes: &mut [Vec<Node>], name: &str, disturb: impl FnOnce(&mut [Vec<Node>], &Doors)) -> Vec<Sent> {
    let doors = Doors::new([0, 1].map(|node| nodes[0][node].server().smtp));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (doors, over) = (&doors, &over);
        let worker = |worker| scope.spawn(move || work(&format!("{name}w{worker}"), worker, doors, over));
        let workers: Vec<_> = (0..WORKERS).map(worker).collect();
        disturb(nodes, doors);
        thread::sleep(LOAD);
        over.store(true, Ordering::Relaxed);
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

fn start_all(house: &House) -> Vec<Vec<Node>> {
    let of_stage = |stage| (0..NODES_OF_A_STAGE).map(|_| Node::start(house.another_node_with(stage))).collect();
    STAGES.map(of_stage).into()
}

#[test]
fn a_process_of_every_stage_in_turn_dies_under_load_and_nothing_is_lost_or_doubled() {
    let mut nodes = start_all(&house_on(cassandra::shared()));
    let sent = under_load(&mut nodes, "", |nodes, doors| {
        for kill in 0..rounds() * STAGES.len() {
            thread::sleep(LOAD); // Not to wait for anything: so much is under way when the next one dies.
            let (stage, node) = (kill % STAGES.len(), kill / STAGES.len() % NODES_OF_A_STAGE);
            nodes[stage][node].die_and_start_again();
            doors.lock().unwrap()[node] = nodes[0][node].server().smtp;
        }
    });
    let took = until_nothing_is_left(&nodes);
    let acknowledged = sent.iter().filter(|mail| mail.acknowledged.is_some()).count();
    eprintln!("{acknowledged} of {} mails were acknowledged, nothing was left after {took:?}", sent.len());
    assert!(acknowledged > sent.len() / 2, "the load was a load");
    for api in &nodes[3] {
        kill::check(api.server(), &sent);
    }
    until_nothing_is_left(&nodes);
}
