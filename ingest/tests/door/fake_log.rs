//! A log in memory that fails on cue.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use eventlog::{Bounds, Log, LogError, LogId, Member, Result, Tail};
use schemas::event::MailRaw;
use schemas::{Event, NewRecord, Position, Topic, codec};
use tokio::sync::Semaphore;

/// What an append comes to.
pub enum Cue {
    Fail(LogError),
    /// It waits until [`FakeLog::release`].
    Hold,
}

pub struct FakeLog {
    id: LogId,
    cues: Mutex<VecDeque<Cue>>,
    appended: Mutex<Vec<MailRaw>>,
    held: Semaphore,
}

impl FakeLog {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            id: LogId("fake".to_owned()),
            cues: Mutex::default(),
            appended: Mutex::default(),
            held: Semaphore::new(0),
        })
    }

    /// Appends to come meet these, one each, and then none.
    pub fn cue(&self, cue: Cue) {
        self.cues.lock().unwrap().push_back(cue);
    }

    pub fn release(&self) {
        self.held.add_permits(1);
    }

    /// What was appended since this was last asked.
    pub fn take(&self) -> Vec<MailRaw> {
        std::mem::take(&mut *self.appended.lock().unwrap())
    }
}

#[async_trait]
impl Log for FakeLog {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        let cue = self.cues.lock().unwrap().pop_front();
        match cue {
            Some(Cue::Fail(error)) => return Err(error),
            Some(Cue::Hold) => self.held.acquire().await.unwrap().forget(),
            None => {}
        }
        let mut appended = self.appended.lock().unwrap();
        let mut positions = Vec::new();
        for record in records {
            let Event::Raw(raw) = codec::decode(record.topic, &record.value.unwrap()).unwrap() else {
                panic!("{} is not where mail goes", record.topic)
            };
            assert_eq!(record.key.unwrap(), raw.message_id.as_str());
            positions.push(Position::new(Topic::MailRaw, 0, u64::try_from(appended.len()).unwrap()));
            appended.push(raw);
        }
        Ok(positions)
    }

    async fn join(&self, group: &str, _topics: &[Topic]) -> Result<Box<dyn Member>> {
        Err(LogError::Fenced(group.to_owned()))
    }

    async fn tail(&self, _from: &[Position]) -> Result<Box<dyn Tail>> {
        Err(LogError::Unavailable("nothing to read here".to_owned()))
    }

    async fn bounds(&self, _topic: Topic) -> Result<Vec<Bounds>> {
        Ok(Vec::new())
    }

    async fn offsets_at(&self, _topic: Topic, _timestamp_ms: i64) -> Result<Vec<Position>> {
        Ok(Vec::new())
    }

    async fn truncate(&self, _before: &[Position]) -> Result<()> {
        Ok(())
    }

    async fn committed(&self, _group: &str) -> Result<Vec<Position>> {
        Ok(Vec::new())
    }
}
