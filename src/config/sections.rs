//! Every key of the configuration with its default. The doc comments here are the reference: `docs/config.md` is made
//! of them.

use super::client::ClientTable;
use super::key::{Key, section};

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub top: Top,
    pub log: LogSection,
    pub kafka: KafkaSection,
    pub schema_registry: SchemaRegistrySection,
    pub store: StoreSection,
    pub cql: CqlSection,
    pub smtp: SmtpSection,
    pub http: HttpSection,
    pub processors: ProcessorsSection,
    pub forward: ForwardSection,
    pub upkeep: UpkeepSection,
    pub telemetry: TelemetrySection,
}

/// A section as the reference shows it.
pub struct Section {
    /// Empty at the top.
    pub name: &'static str,
    pub about: &'static str,
    pub keys: Vec<Key>,
}

impl Config {
    pub fn sections() -> Vec<Section> {
        vec![
            Section { name: "", about: Top::ABOUT, keys: Top::keys() },
            Section { name: "log", about: LogSection::ABOUT, keys: LogSection::keys() },
            Section { name: "kafka", about: KafkaSection::ABOUT, keys: KafkaSection::keys() },
            Section {
                name: "schema_registry",
                about: SchemaRegistrySection::ABOUT,
                keys: SchemaRegistrySection::keys(),
            },
            Section { name: "store", about: StoreSection::ABOUT, keys: StoreSection::keys() },
            Section { name: "cql", about: CqlSection::ABOUT, keys: CqlSection::keys() },
            Section { name: "smtp", about: SmtpSection::ABOUT, keys: SmtpSection::keys() },
            Section { name: "http", about: HttpSection::ABOUT, keys: HttpSection::keys() },
            Section { name: "processors", about: ProcessorsSection::ABOUT, keys: ProcessorsSection::keys() },
            Section { name: "forward", about: ForwardSection::ABOUT, keys: ForwardSection::keys() },
            Section { name: "upkeep", about: UpkeepSection::ABOUT, keys: UpkeepSection::keys() },
            Section { name: "telemetry", about: TelemetrySection::ABOUT, keys: TelemetrySection::keys() },
        ]
    }

    pub fn keys() -> Vec<Key> {
        Self::sections().into_iter().flat_map(|section| section.keys).collect()
    }
}

section! {
    /// What concerns the whole program.
    Top("") {
        /// The folder that everything is kept in. One process at a time uses it. With the log on Kafka each node has
        /// one of its own: its name, its secrets, and its store, if it has one.
        data_dir: String = "./data".to_owned(),
        /// Which stages this process runs: `ingest` (SMTP), `processors`, `sinks` (the store, the forwards), `api` (HTTP).
        /// With the log on Kafka any of them, and other nodes run the others.
        stages: Vec<String> = ["ingest", "processors", "sinks", "api"].map(str::to_owned).to_vec(),
        /// How long what is in flight may take to finish when the server is asked to stop.
        shutdown_seconds: u32 = 10,
        /// A file whose first line becomes the first account's API key at the first start. `POSTLOG_ADMIN_KEY` gives
        /// the key itself. With neither a key is made, printed once and kept in `DATA/admin.key`.
        /// With the log on Kafka only nodes with `api` look at it.
        admin_key_file: Option<String> = None,
        /// A file with the key that webhooks and their secrets are sealed with on the log: 32 bytes, or 64 hexadecimal
        /// digits. `POSTLOG_SEAL_KEY` gives the digits themselves. With neither one is made at the first start and kept
        /// in `DATA/seal.key`. Every node of an installation needs the same one; a node without `api` and `sinks`
        /// needs none.
        seal_key_file: Option<String> = None,
        /// Starts with a new seal key though the one that webhooks were sealed with is lost: they wait until they are
        /// set again.
        seal_key_lost: bool = false,
    }
}

section! {
    /// The message log.
    LogSection("log") {
        /// Which log is used: `embedded`, or the brokers of a Kafka, such as `kafka://one:9092,two:9092`.
        kind: String = "embedded".to_owned(),
        /// Partitions of the `mail.*` topics. Fixed when the log is made. Not set: what it was made with, and 1 in a
        /// new data folder, 12 on a Kafka.
        partitions: Option<u32> = None,
        /// Of the embedded log, as all that follow but `retention_days`: a segment file of `mail.raw` is closed when it would grow over this. Retention removes whole segments.
        segment_bytes: u64 = 64 << 20,
        /// A segment file is closed at the first mail after this time, so that old mail can go.
        segment_hours: u32 = 24,
        /// Mail is refused for now (452) while the disk has less free space than this; below half of it nothing more
        /// is computed either. Reading goes on.
        reserve_bytes: u64 = 256 << 20,
        /// Mail that may wait to be written, in bytes.
        queue_bytes: usize = 64 << 20,
        /// How long `mail.raw` keeps mail. Not set: as long as the store keeps it. On Kafka the topic is made with it.
        retention_days: Option<u32> = None,
        /// The oldest segments of `mail.raw` go while it is larger than this. What the store still shows is copied
        /// into the store before. Not set: no limit.
        retention_bytes: Option<u64> = None,
        /// Memory for blocks of the database that log and store share.
        cache_bytes: u64 = 16 << 20,
        /// Journals of that database: what has to be read again after a kill. At least 64 MiB.
        journal_bytes: u64 = 64 << 20,
    }
}

section! {
    /// The log on Kafka, where `log.kind` names its brokers.
    KafkaSection("kafka") {
        /// Stands before the name of every topic and group, so that several installations may share a cluster.
        prefix: String = String::new(),
        /// Copies of each partition, when the topics are made. Not set: as many as the cluster makes by itself.
        replication: Option<u32> = None,
        /// How long the brokers may take to acknowledge a mail before its sender is told to come again (451). Less
        /// than `smtp.append_wait_seconds`.
        message_timeout_seconds: u32 = 30,
        /// How long the start waits for a broker.
        start_wait_seconds: u32 = 60,
        /// Handed on to librdkafka, by its names: `"security.protocol" = "SASL_SSL"`, `"ssl.ca.location" = "…"`. A value
        /// may be `{ file = "PATH" }` (its first line) or `{ env = "VARIABLE" }`. In a variable and on the command
        /// line: `name=value,name=value`. What decides whether mail can be lost is not to be changed here.
        client: ClientTable = ClientTable::default(),
    }
}

section! {
    /// An outside schema registry. Without one, this server answers a registry's read calls, with ids of its own.
    SchemaRegistrySection("schema_registry") {
        /// Where it is, such as `http://registry.example.com:8081`. At the start every schema is found there or
        /// registered, and values carry its ids; what it refuses stops the start. The same on every node. Not set: none.
        url: Option<String> = None,
        /// A file whose first line is `user:password`. `POSTLOG_SCHEMA_REGISTRY_CREDENTIALS` gives the same itself.
        credentials_file: Option<String> = None,
    }
}

section! {
    /// What is read back: inboxes, messages, flags.
    StoreSection("store") {
        /// Which store is used: `embedded`, or the servers of a Cassandra or ScyllaDB and a keyspace, such as
        /// `cql://one:9042,two:9042/postlog`. On the embedded log one process uses it; on Kafka any number do.
        kind: String = "embedded".to_owned(),
        /// Mail that is older goes, unless it is starred. Not set: it stays.
        retention_days: Option<u32> = None,
        /// The oldest mail that is not starred goes while the mail kept is larger than this. Not set: no limit.
        retention_bytes: Option<u64> = None,
    }
}

section! {
    /// The store on CQL, where `store.kind` names its servers.
    CqlSection("cql") {
        /// How often the keyspace is kept, when it is made: a number for every data centre, or `dc1:3,dc2:2`. Not set:
        /// as often as servers are named, 3 times at most.
        replication: Option<String> = None,
        /// The name to log in with. `POSTLOG_CQL_PASSWORD` gives the password.
        user: Option<String> = None,
        /// A file whose first line is the password, in place of `POSTLOG_CQL_PASSWORD`.
        password_file: Option<String> = None,
        /// A file of certificates in PEM: with it every connection is encrypted, to servers whose certificates one of
        /// these has signed for the address that they are reached at. Not set: no connection is encrypted.
        tls_ca_file: Option<String> = None,
        /// The data centre whose servers are asked, and no others: the same on every node, since what is written is in a
        /// majority of its copies. Not set: all servers are asked alike, which is right where there is one data centre.
        datacenter: Option<String> = None,
        /// Whether the start makes the keyspace, and takes the steps that its tables lack. Otherwise
        /// `postlog store migrate` does, and a store that lacks some is refused.
        migrate: bool = true,
        /// How long one try of a statement may take.
        request_seconds: u32 = 5,
        /// Statements under way at a time; more wait.
        in_flight: usize = 128,
        /// How long the start waits for a server.
        start_wait_seconds: u32 = 60,
    }
}

section! {
    /// SMTP in.
    SmtpSection("smtp") {
        /// Where SMTP listens. Port 0 picks a free one.
        listen: String = "127.0.0.1:1025".to_owned(),
        /// What the server calls itself, in its greeting and in the Received line of every mail.
        server_name: String = "localhost".to_owned(),
        /// Mail is taken for these domains only. Empty: for every domain.
        domains: Vec<String> = Vec::new(),
        /// The largest mail, announced with SIZE. At most 30 MiB.
        message_bytes: u64 = 25 << 20,
        /// Recipients of one mail. At least 100 (RFC 5321 4.5.3.1.8).
        recipients: usize = 1000,
        /// Connections at a time.
        connections: usize = 1000,
        /// Connections at a time from one IPv4 address or IPv6 /64.
        connections_per_address: usize = 300,
        /// Connections at a time from one IPv4 /24 or IPv6 /48.
        connections_per_network: usize = 600,
        /// Bytes of mail that is not on the log yet, over all connections.
        buffered_bytes: usize = 64 << 20,
        /// How long a peer may take for a command (RFC 5321 4.5.3.2.7 wants five minutes).
        command_wait_seconds: u32 = 300,
        /// How long a peer may take for the next part of a mail (RFC 5321 4.5.3.2.5 wants three minutes).
        content_wait_seconds: u32 = 180,
        /// How long a session may last, whatever it does.
        session_seconds: u32 = 3600,
        /// How long the log may take for a mail before the peer is told to come again.
        append_wait_seconds: u32 = 120,
    }
}

section! {
    /// The HTTP API.
    HttpSection("http") {
        /// Where HTTP listens. Port 0 picks a free one.
        listen: String = "127.0.0.1:8025".to_owned(),
        /// Names that requests may call this server by, besides `localhost` and its address; `*` is any name. Empty:
        /// any name, unless it listens on a loopback address (a page whose name was pointed at this machine must not
        /// reach it).
        hosts: Vec<String> = Vec::new(),
        /// Web pages that may listen at `/incoming-messages` besides this server's own, such as
        /// `https://app.example.com`; `*` is any page. Programs send no origin and need none.
        origins: Vec<String> = Vec::new(),
    }
}

section! {
    /// Parsing, scoring and routing.
    ProcessorsSection("processors") {
        /// Threads that process one batch. 0: one a core.
        workers: usize = 0,
        /// Mails in one batch.
        batch_records: usize = 256,
        /// Bytes of mail in one batch; at least one mail comes, however big it is.
        batch_bytes: usize = 8 << 20,
    }
}

section! {
    /// Webhooks, Slack, and copies to other addresses.
    ForwardSection("forward") {
        /// Networks that a webhook may lead to though they are not public: `10.1.0.0/16`, `fd00::/8`, or one address.
        /// Every other private or special network is refused when it is connected to. Loopback may be called without
        /// this while `http.listen` is a loopback address.
        allow: Vec<String> = Vec::new(),
        /// How long a call may take, from looking up the name to the answer.
        answer_seconds: u32 = 20,
        /// Calls at a time.
        calls: usize = 64,
        /// Calls at a time to one target.
        calls_per_target: usize = 8,
        /// Where people reach this server, such as `https://mail.example.com`: messages to Slack lead there. Not set:
        /// they have no button.
        public_url: Option<String> = None,
    }
}

section! {
    /// Retention and removal.
    UpkeepSection("upkeep") {
        /// How often what is deleted or past its retention is removed.
        every_seconds: u32 = 60,
    }
}

section! {
    /// What the program says about itself.
    TelemetrySection("telemetry") {
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,ingest=debug`.
        log: String = "info".to_owned(),
        /// How it is written: `human`, `json`, or `auto` (human on a terminal, JSON otherwise).
        format: String = "auto".to_owned(),
        /// Where a process without the stage `api` answers `/livez`, `/readyz` and `/metrics`, which stand beside the
        /// API otherwise. Port 0 picks a free one, which `DATA/server.json` names.
        listen: String = "127.0.0.1:0".to_owned(),
    }
}
