//! A real broker for the tests, and kcat, which knows nothing of Postlog, on it. `POSTLOG_TEST_KAFKA=HOST:PORT` names
//! one that runs already.

use std::fs::{self, File};
use std::ops::Deref;
use std::process::Stdio;
use std::sync::OnceLock;

use schemas::Topic;

use super::program;
use super::scripted::Scripted;
use super::server::{House, text_of};

pub struct Broker(Scripted);

/// A broker that is alone, and comes back from a kill, is no leader yet when it first looks for transactions that have
/// timed out: Kafka takes their partitions for deleted, ends them without a marker, and whoever reads committed records
/// waits for ever (seen with 4.4.0). With its own default it looks after 10 s, when it is one.
const KILLABLE: &str = "transaction.abort.timed.out.transaction.cleanup.interval.ms=10000\n";

/// The broker that all tests share, host:port.
pub fn shared() -> &'static str {
    static SHARED: OnceLock<(String, Option<Broker>)> = OnceLock::new();
    let shared = SHARED.get_or_init(|| match std::env::var("POSTLOG_TEST_KAFKA") {
        Ok(address) => (address, None),
        Err(_) => {
            let broker = Broker::start();
            (broker.address.clone(), Some(broker))
        }
    });
    &shared.0
}

/// What stands before the names of the house's topics, and where its broker is, host:port.
pub fn prefix_and_broker(house: &House) -> (String, String) {
    let value = |name: &str| house.environment.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    (value("POSTLOG_KAFKA_PREFIX"), value("POSTLOG_LOG").replace("kafka://", ""))
}

/// kcat on a topic of the house, to its end, which has to be good: what it printed.
pub fn kcat(house: &House, topic: Topic, arguments: &[&str]) -> String {
    kcat_given(house, topic, arguments, Stdio::null())
}

fn kcat_given(house: &House, topic: Topic, arguments: &[&str], input: Stdio) -> String {
    let (prefix, broker) = prefix_and_broker(house);
    let mut kcat = program("kcat", "kcat");
    kcat.args(["-b", &broker, "-t", &format!("{prefix}{topic}")]).args(arguments);
    let output = kcat.stdin(input).output().unwrap();
    assert!(output.status.success(), "kcat {topic} {arguments:?}: {}", text_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Has kcat put a record on the topic, as whoever writes there from outside would.
pub fn produce(house: &House, topic: Topic, partition: u32, key: Option<&str>, value: &[u8]) {
    let path = house.data.with_extension("record");
    let partition = partition.to_string();
    let mut arguments = vec!["-P", "-p", &partition];
    if value.is_empty() {
        // It makes no record of an empty file, but one of a line that ends behind its key.
        fs::write(&path, format!("{};", key.unwrap_or_default())).unwrap();
        kcat_given(house, topic, &[&arguments[..], &["-K", ";"]].concat(), File::open(&path).unwrap().into());
        return;
    }
    fs::write(&path, value).unwrap();
    arguments.extend(key.iter().flat_map(|key| ["-k", *key]));
    arguments.push(path.to_str().unwrap());
    kcat(house, topic, &arguments);
}

impl Broker {
    /// One of this test's own, that may be frozen and killed.
    pub fn start() -> Self {
        Self(Scripted::start_with("kafka", |broker| {
            fs::write(broker.folder().join("extra.properties"), KILLABLE).unwrap();
        }))
    }

    /// A place where nothing listens yet.
    pub fn absent() -> Self {
        Self(Scripted::absent("kafka"))
    }
}

impl Deref for Broker {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.0
    }
}
