//! The trainer: corrections in, models out. Over all nodes one member of its group has the topic and folds it
//! ([`processors::spam::training`]); a new model and the position behind what it was made of are one commit. The model
//! in force stands on `spam.models`, so nobody waits for the trainer when a node starts.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use eventlog::runner::Backoff;
use eventlog::{Follower, Limits, Log, LogError, Member, Result, Scan};
use processors::spam::training::{NewModel, Tokens, TokensMissing, Training};
use processors::spam::{Counts, Models};
use schemas::event::{SpamCorrection, SpamModel};
use schemas::record::Offset;
use schemas::{Event, NewRecord, Position, Record, Topic, codec};
use tokio_util::sync::CancellationToken;

/// The group whose member trains.
pub const GROUP: &str = "trainer";

const TOPIC: Topic = Topic::SpamCorrections;
/// Between two models: a person who corrects a folder full of mail does not make one a click.
const EVERY: Duration = Duration::from_secs(3);
/// Models of accounts in one commit: what is more follows in the next.
const MAX_BATCH_BYTES: usize = 8 << 20;
const BATCH: Limits = Limits { records: 256, bytes: 4 << 20, wait: Duration::from_secs(1) };
const ONE: Limits = Limits { records: 1, bytes: 0, wait: Duration::ZERO };

pub struct Trainer {
    pub log: Arc<dyn Log>,
    pub models: Arc<Follower<Models>>,
}

/// What a member that has the topic knows.
struct State {
    training: Training,
    /// The next record to fold, and the next one as the group's position says.
    next: Offset,
    committed: Offset,
    published: Option<Instant>,
}

impl Trainer {
    /// Trains until `stop`. A fault that may pass is met with back-off and begins anew.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let Some(ended) = stop.run_until_cancelled(self.as_member(&mut backoff)).await else { return Ok(()) };
            match ended {
                Ok(()) => return Ok(()),
                Err(error) if error.is_transient() => tracing::warn!(%error, "the trainer tries again"),
                Err(error) => return Err(error),
            }
            if stop.run_until_cancelled(backoff.wait()).await.is_none() {
                return Ok(());
            }
        }
    }

    /// From joining to the first fault.
    async fn as_member(&self, backoff: &mut Backoff) -> Result<()> {
        let mut member = self.log.join(GROUP, &[TOPIC]).await?;
        let mut state: Option<State> = None;
        loop {
            let wait = state.as_ref().map_or(BATCH.wait, State::wait);
            let records = match member.poll(&Limits { wait, ..BATCH }).await {
                Err(LogError::BadRecord { position, cause }) => {
                    tracing::error!(offset = position.offset, cause, "a correction is lost");
                    member.commit(Vec::new(), &[position.next()]).await?;
                    state = None;
                    continue;
                }
                polled => polled?,
            };
            backoff.reset();
            let Some(end) = member.positions().iter().find(|at| at.topic == TOPIC).map(|at| at.offset) else {
                // Another node's member has the topic.
                state = None;
                continue;
            };
            let begin = records.first().map_or(end, |record| record.position.offset);
            let mut trained = match state.take().filter(|state| state.next <= begin) {
                Some(state) => state,
                None => self.read_anew(begin).await?,
            };
            for record in &records {
                trained = self.fold(trained, record).await?;
            }
            trained.next = end;
            state = Some(self.publish(trained, member.as_mut()).await?);
        }
    }

    /// What the topic says up to this offset.
    async fn read_anew(&self, until: Offset) -> Result<State> {
        let begun = Instant::now();
        let training = Training::new(&Counts::starter());
        let mut state = State { training, next: 0, committed: until, published: None };
        let bounds = self.log.bounds(TOPIC).await?;
        let begin = Position::new(TOPIC, 0, bounds.first().map_or(0, |bounds| bounds.earliest));
        let mut scan = Scan::new(vec![begin], vec![Position::new(TOPIC, 0, until)]);
        while let Some(records) = scan.next(self.log.as_ref(), &BATCH).await? {
            for record in &records {
                if let Some(correction) = read(record) {
                    let tokens = self.tokens(&state.training, &correction).await?;
                    // What is missing was compacted away, and a later record of its key follows.
                    let _ = state.training.fold(record.position.offset, &correction, &tokens);
                }
            }
        }
        state.next = until;
        if !state.training.is_empty() {
            let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(corrections = state.training.len(), duration_ms, "the corrections are read");
        }
        Ok(state)
    }

    async fn fold(&self, mut state: State, record: &Record) -> Result<State> {
        let offset = record.position.offset;
        let Some(correction) = read(record).filter(|_| offset >= state.next) else { return Ok(state) };
        let tokens = self.tokens(&state.training, &correction).await?;
        if let Err(TokensMissing(at)) = state.training.fold(offset, &correction, &tokens) {
            tracing::info!(offset = at, "a correction that is replaced is compacted away: all are read anew");
            let published = state.published;
            state = self.read_anew(offset + 1).await?;
            state.published = published;
        }
        Ok(state)
    }

    /// The tokens of earlier records that this one makes needed.
    async fn tokens(&self, training: &Training, correction: &SpamCorrection) -> Result<Tokens> {
        let mut tokens = Tokens::new();
        for offset in training.needs(correction) {
            let at = Position::new(TOPIC, 0, offset);
            let found = Scan::new(vec![at], vec![at.next()]).next(self.log.as_ref(), &ONE).await?;
            if let Some(correction) = found.iter().flatten().find_map(read) {
                tokens.insert(offset, correction.hashes());
            }
        }
        Ok(tokens)
    }

    /// Commits what has been folded, with the models that follow from it, if it is time.
    async fn publish(&self, mut state: State, member: &mut dyn Member) -> Result<State> {
        if state.training.has_changed() && !state.is_due() {
            return Ok(state);
        }
        let mut models = Vec::new();
        if state.training.has_changed() {
            self.models.catch_up().await?;
            let known = self.models.read(Known::of);
            let making = tokio::task::spawn_blocking(move || {
                let models = models_of(&mut state.training, &known);
                (state, models)
            });
            (state, models) = making.await.map_err(|error| LogError::Unavailable(error.to_string()))?;
        }
        let mut batches = batches(models)?;
        let last = batches.pop().unwrap_or_default();
        for batch in batches {
            member.commit(batch, &[]).await?;
        }
        if !last.is_empty() || state.committed < state.next {
            if !last.is_empty() {
                state.published = Some(Instant::now());
            }
            member.commit(last, &[Position::new(TOPIC, 0, state.next)]).await?;
            state.committed = state.next;
        }
        Ok(state)
    }
}

impl State {
    fn is_due(&self) -> bool {
        self.published.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// How long a poll may take before something has to be published.
    fn wait(&self) -> Duration {
        match self.published.filter(|_| self.training.has_changed()) {
            Some(at) => EVERY.saturating_sub(at.elapsed()).min(BATCH.wait),
            None => BATCH.wait,
        }
    }
}

/// The versions in force, by name.
struct Known {
    versions: std::collections::BTreeMap<String, String>,
    for_all: String,
    sequence: i64,
}

impl Known {
    fn of(models: &Models) -> Self {
        Self {
            versions: models.all().map(|model| (model.name().to_owned(), model.version().to_owned())).collect(),
            for_all: models.current().version().to_owned(),
            sequence: models.all().map(|model| model.sequence()).max().unwrap_or(0),
        }
    }
}

/// What is not in force yet. All of one round have one number, so that scores by any two models can be put in order.
fn models_of(training: &mut Training, known: &Known) -> Vec<NewModel> {
    let sequence = known.sequence + 1;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let trained_at = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let mut models = Vec::new();
    let for_all = training.model_for_all(sequence, trained_at);
    if for_all.version != known.for_all {
        models.push(NewModel::Trained(for_all));
    }
    for model in training.take_own_models(sequence, trained_at) {
        let is_news = match &model {
            NewModel::Trained(SpamModel { name, version, .. }) => known.versions.get(name) != Some(version),
            NewModel::Withdrawn { name } => known.versions.contains_key(name),
        };
        if is_news {
            models.push(model);
        }
    }
    let own = training.own_names();
    let left = known.versions.keys().filter(|name| name.starts_with(processors::spam::OF_ACCOUNT));
    let gone = left.filter(|name| !own.contains(*name)).cloned().map(|name| NewModel::Withdrawn { name });
    let gone: Vec<NewModel> = gone.filter(|gone| !models.contains(gone)).collect();
    models.extend(gone);
    models
}

fn batches(models: Vec<NewModel>) -> Result<Vec<Vec<NewRecord>>> {
    let (mut batches, mut batch, mut size_bytes) = (Vec::new(), Vec::new(), 0);
    for model in models {
        let record = match model {
            NewModel::Trained(model) => {
                tracing::info!(
                    name = model.name,
                    version = model.version,
                    sequence = model.sequence,
                    "a model is trained"
                );
                let key = model.name.clone();
                let value =
                    codec::encode(&Event::Model(model)).map_err(|error| LogError::Refused(error.to_string()))?;
                NewRecord::new(Topic::SpamModels, key, value)
            }
            NewModel::Withdrawn { name } => {
                tracing::info!(name, "a model is withdrawn");
                NewRecord { value: None, ..NewRecord::new(Topic::SpamModels, name, bytes::Bytes::new()) }
            }
        };
        let record_bytes = record.value.as_ref().map_or(0, bytes::Bytes::len);
        if size_bytes + record_bytes > MAX_BATCH_BYTES && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            size_bytes = 0;
        }
        size_bytes += record_bytes;
        batch.push(record);
    }
    batches.push(batch);
    Ok(batches)
}

/// What can't be read says nothing.
fn read(record: &Record) -> Option<SpamCorrection> {
    match codec::decode(TOPIC, record.value.as_deref()?) {
        Ok(Event::Correction(correction)) => Some(correction),
        Ok(_) => None,
        Err(error) => {
            tracing::error!(offset = record.position.offset, %error, "a correction can't be read");
            None
        }
    }
}
