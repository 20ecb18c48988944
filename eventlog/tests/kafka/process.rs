//! A member of a group in a process of its own, so that it can be frozen and killed: this test program again, asked
//! for one test that is a member instead.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use eventlog::kafka::{KafkaLog, KafkaSettings};
use rustix::process::{Pid, Signal, kill_process};

use super::bench::settings;
use super::nodes;

const ASKED: &str = "POSTLOG_TEST_MEMBER";

/// Killed when it is dropped.
pub struct Process(Child);

impl Process {
    /// The node starts, and joins when it comes to it.
    pub fn start(settings: &KafkaSettings, node: &str) -> Self {
        let asked = format!("{} {} {} {node}", settings.brokers, settings.prefix, settings.partitions);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "process::a_member_in_a_process_of_its_own", "--nocapture"])
            .env(ASKED, asked)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// `SIGSTOP` and `SIGCONT` freeze and thaw it, `SIGKILL` ends it.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it is what the other tests start as a process of its own"]
async fn a_member_in_a_process_of_its_own() {
    let asked = std::env::var(ASKED).unwrap();
    let mut words = asked.split(' ').map(str::to_owned);
    let mut next = || words.next().unwrap();
    let (brokers, prefix, partitions, node) = (next(), next(), next(), next());
    let mut settings = settings(brokers, partitions.parse().unwrap());
    settings.prefix = prefix;
    settings.node_id = Some(node);
    settings.message_timeout = Duration::from_secs(10);
    let log = KafkaLog::open(settings).await.unwrap();
    let (_stop, ran) = nodes::run_slowly(&log);
    // Only a fault that does not pass ends it.
    panic!("the member has ended: {:?}", ran.await.unwrap());
}
