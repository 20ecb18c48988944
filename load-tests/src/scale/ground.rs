//! What Postlog stands on: the embedded log and store, a Kafka, a Kafka and a Cassandra. Gives each measurement a place
//! of its own on them, where nobody has been.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::foreign::Foreign;
use crate::cli::Options;
use crate::dialect::Kind;
use crate::server::{ADMIN_KEY, How, Recipe, Source};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Embedded,
    Kafka,
    KafkaAndCassandra,
}

pub struct Ground {
    program: PathBuf,
    work: PathBuf,
    pub kafka: Option<Foreign>,
    pub cassandra: Option<Foreign>,
    /// Places given so far.
    places: usize,
}

/// CPU time used so far by those that Postlog stands on.
#[derive(Clone, Copy, Default)]
pub struct Used {
    pub kafka: Duration,
    pub cassandra: Duration,
}

impl Body {
    pub const ALL: [Self; 3] = [Self::Embedded, Self::Kafka, Self::KafkaAndCassandra];

    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded log, embedded store",
            Self::Kafka => "Kafka, embedded store",
            Self::KafkaAndCassandra => "Kafka, Cassandra",
        }
    }
}

impl Ground {
    /// Postlog's program, and nothing that it stands on yet.
    pub fn new(options: &Options) -> Result<Self> {
        let program = options.program()?;
        let work = std::path::absolute(options.work.clone().unwrap_or_else(std::env::temp_dir))?;
        Ok(Self { program, work, kafka: None, cassandra: None, places: 0 })
    }

    pub fn start_kafka(&mut self, options: &Options) -> Result<()> {
        self.kafka = Some(Foreign::start(&options.scripts.join("kafka"), &self.work)?);
        Ok(())
    }

    pub fn start_cassandra(&mut self, options: &Options) -> Result<()> {
        self.cassandra = Some(Foreign::start(&options.scripts.join("cassandra"), &self.work)?);
        Ok(())
    }

    /// A log, and a store, that nobody has used; every server that is started by it stands on the same ones.
    pub fn place(&mut self, body: Body, partitions: Option<u32>) -> Result<Recipe> {
        self.places += 1;
        let number = self.places;
        let mut settings = vec![
            (ADMIN_KEY, format!("k_{:032x}", rand::random::<u128>())),
            ("POSTLOG_SEAL_KEY", format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())),
        ];
        if let Some(partitions) = partitions {
            settings.push(("POSTLOG_LOG_PARTITIONS", partitions.to_string()));
        }
        if body != Body::Embedded {
            let kafka = self.kafka.as_ref().context("no Kafka was started")?;
            settings.push(("POSTLOG_LOG", format!("kafka://{}", kafka.address)));
            settings.push(("POSTLOG_KAFKA_PREFIX", format!("load{number}-")));
        }
        if body == Body::KafkaAndCassandra {
            let cassandra = self.cassandra.as_ref().context("no Cassandra was started")?;
            settings.push(("POSTLOG_STORE", format!("cql://{}/load{number}", cassandra.address)));
        }
        let how = How { settings, ..How::default() };
        let source = Source::Program { program: self.program.clone(), work: self.work.clone(), how };
        Ok(Recipe { kind: Kind::Postlog, source })
    }

    pub fn used(&self) -> Used {
        let of = |server: &Option<Foreign>| server.as_ref().and_then(Foreign::cpu).unwrap_or_default();
        Used { kafka: of(&self.kafka), cassandra: of(&self.cassandra) }
    }
}

impl Used {
    pub fn since(self, before: Self) -> Self {
        Self {
            kafka: self.kafka.saturating_sub(before.kafka),
            cassandra: self.cassandra.saturating_sub(before.cassandra),
        }
    }
}
