//! A stage in a group: poll, prepare, process, one commit of outputs and positions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use schemas::{NewRecord, Position, Record, Topic};
use tokio_util::sync::CancellationToken;

use super::batch::{self, Concluded};
use super::lag::Lag;
use super::markers::{DEATHS_BEFORE_GIVING_UP, Markers};
use super::{Backoff, RunSettings, Stage};
use crate::{Log, LogError, Member, Result, metric};

/// Runs the stage as a member of the group until `shutdown`, which lets the batch in flight be committed. A fault
/// that may pass is met with back-off for as long as it takes, and the member joins anew; every other one stops the
/// stage, and positions are never reset.
pub async fn run_group(
    log: Arc<dyn Log>,
    group: &str,
    topics: &[Topic],
    stage: Arc<dyn Stage>,
    settings: RunSettings,
    shutdown: CancellationToken,
) -> Result<()> {
    let markers = match &settings.markers {
        Some(folder) => Some(Markers::open(folder, group).map_err(|error| marker_fault(&error))?),
        None => None,
    };
    let careful = if markers.as_ref().is_some_and(Markers::was_unclean) { settings.limits.records } else { 0 };
    if careful > 0 {
        tracing::info!(group, records = careful, "the last run ended uncleanly: the first records go one at a time");
    }
    let mut runner = Runner {
        log,
        group: group.to_owned(),
        topics: topics.to_vec(),
        stage,
        settings,
        markers,
        careful,
        backoff: Backoff::default(),
        lag: Lag::new(group, topics),
    };
    let ran = runner.run(&shutdown).await;
    if let (Ok(()), Some(markers)) = (&ran, &runner.markers) {
        markers.stop().map_err(|error| marker_fault(&error))?;
    }
    ran
}

struct Runner {
    log: Arc<dyn Log>,
    group: String,
    topics: Vec<Topic>,
    stage: Arc<dyn Stage>,
    settings: RunSettings,
    markers: Option<Markers>,
    /// Records that still go one at a time.
    careful: usize,
    backoff: Backoff,
    lag: Lag,
}

impl Runner {
    async fn run(&mut self, shutdown: &CancellationToken) -> Result<()> {
        loop {
            let error = match self.run_member(shutdown).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !error.is_transient() {
                tracing::error!(group = self.group, stage = self.stage.name(), %error, "a stage stops");
                return Err(error);
            }
            tracing::warn!(group = self.group, stage = self.stage.name(), %error, "a stage tries again");
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.backoff.wait() => {}
            }
        }
    }

    /// From joining to the first fault or the shutdown.
    async fn run_member(&mut self, shutdown: &CancellationToken) -> Result<()> {
        let mut member = self.log.join(&self.group, &self.topics).await?;
        let limits = self.settings.limits.poll();
        loop {
            let polled = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                polled = member.poll(&limits) => polled,
            };
            let records = match polled {
                Err(LogError::BadRecord { position, cause }) => {
                    self.pass(member.as_mut(), position, &cause).await?;
                    continue;
                }
                polled => polled?,
            };
            if records.is_empty() {
                self.measure_lag(member.as_ref());
                continue;
            }
            match self.handle(member.as_mut(), records).await {
                // Whoever has the partitions now does it; this member goes on with what it was given.
                Err(LogError::Moved(cause)) => {
                    tracing::info!(group = self.group, cause, "a batch went to another member");
                    metrics::counter!(metric::MOVED_BATCHES, "group" => self.group.clone()).increment(1);
                    continue;
                }
                handled => handled?,
            }
            self.backoff.reset();
            self.measure_lag(member.as_ref());
        }
    }

    /// Every record that the member was given is committed by now.
    fn measure_lag(&mut self, member: &dyn Member) {
        if self.lag.is_due() {
            self.lag.measure(Arc::clone(&self.log), member.positions());
        }
    }

    async fn handle(&mut self, member: &mut dyn Member, mut records: Vec<Record>) -> Result<()> {
        while self.careful > 0 && !records.is_empty() {
            let rest = records.split_off(1);
            for record in std::mem::replace(&mut records, rest) {
                self.stage.prepare().await?;
                self.handle_alone(member, record).await?;
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        self.stage.prepare().await?;
        let concluded = batch::process(&self.stage, records, self.settings.workers).await?;
        self.commit(member, concluded).await
    }

    /// A record after an unclean stop: marked while it is processed, so that its guilt shows if the process dies.
    async fn handle_alone(&mut self, member: &mut dyn Member, record: Record) -> Result<()> {
        let Some(markers) = &self.markers else { return Ok(()) };
        let deaths = markers.deaths(record.position);
        markers.enter(record.position).map_err(|error| marker_fault(&error))?;
        let concluded = if deaths < DEATHS_BEFORE_GIVING_UP {
            batch::process(&self.stage, vec![record], 1).await?
        } else {
            let stage = Arc::clone(&self.stage);
            let give_up = move || {
                let cause = format!("the process died {deaths} times at this record");
                // One more than that, and even giving up has killed it.
                let survivable = deaths == DEATHS_BEFORE_GIVING_UP;
                let conclude = if survivable { batch::given_up } else { batch::letter_only };
                conclude(stage.as_ref(), &record, &cause)
            };
            vec![tokio::task::spawn_blocking(give_up).await.map_err(|error| worker_fault(&error))?]
        };
        markers.leave().map_err(|error| marker_fault(&error))?;
        self.commit(member, concluded).await?;
        self.careful -= 1;
        match &mut self.markers {
            Some(markers) if self.careful == 0 => markers.calm().map_err(|error| marker_fault(&error)),
            _ => Ok(()),
        }
    }

    /// A record that can't be read any more stops nobody behind it; its letter says that it was there.
    async fn pass(&self, member: &mut dyn Member, position: Position, cause: &str) -> Result<()> {
        let record = Record { position, timestamp_ms: 0, key: None, headers: Vec::new(), value: None };
        let letter = batch::letter_only(self.stage.as_ref(), &record, cause);
        self.commit(member, vec![letter]).await
    }

    async fn commit(&self, member: &mut dyn Member, mut concluded: Vec<Concluded>) -> Result<()> {
        let positions = behind(&concluded);
        let started = Instant::now();
        let mut committed = member.commit(outputs(&concluded), &positions).await;
        if let Err(LogError::TooLarge { limit_bytes, .. }) = committed {
            concluded = concluded.into_iter().map(|one| batch::within(self.stage.as_ref(), one, limit_bytes)).collect();
            committed = member.commit(outputs(&concluded), &positions).await;
        }
        committed?;
        let group = self.group.clone();
        let poisoned = concluded.iter().filter(|one| one.poisoned).count();
        metrics::histogram!(metric::COMMIT_SECONDS, "group" => group.clone()).record(started.elapsed());
        metrics::histogram!(metric::BATCH_RECORDS, "group" => group.clone()).record(concluded.len() as f64);
        metrics::counter!(metric::DEAD_LETTERS, "group" => group).increment(poisoned as u64);
        Ok(())
    }
}

/// The positions behind the last record of each partition.
fn behind(concluded: &[Concluded]) -> Vec<Position> {
    let mut next = BTreeMap::new();
    for one in concluded {
        let position = one.record.position;
        next.insert((position.topic, position.partition), position.next());
    }
    next.into_values().collect()
}

fn outputs(concluded: &[Concluded]) -> Vec<NewRecord> {
    concluded.iter().flat_map(|one| one.outputs.iter().cloned()).collect()
}

fn marker_fault(error: &std::io::Error) -> LogError {
    LogError::Unavailable(format!("the marker of a group can't be kept: {error}"))
}

fn worker_fault(error: &tokio::task::JoinError) -> LogError {
    LogError::Unavailable(format!("a worker ended: {error}"))
}
