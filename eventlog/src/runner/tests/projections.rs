//! Projections that keep their own position.

use std::sync::Mutex;

use super::*;
use crate::Progress;
use crate::runner::{BatchLimits, ProjectError, Projection, ProjectionError, project};

/// Remembers what it was given.
#[derive(Default)]
struct Memory {
    seen: Mutex<Vec<String>>,
    at: Mutex<Vec<Position>>,
    faults_left: AtomicU32,
}

#[async_trait]
impl Projection for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn positions(&self) -> std::result::Result<Vec<Position>, ProjectionError> {
        Ok(self.at.lock().unwrap().clone())
    }

    async fn apply(&self, records: Vec<Record>, positions: &[Position]) -> std::result::Result<(), ProjectionError> {
        let left = self.faults_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            return Err(ProjectionError::Later("on cue".into()));
        }
        if texts(&records).contains(&"stop".to_owned()) {
            return Err(ProjectionError::Stop("as it was told".into()));
        }
        self.seen.lock().unwrap().extend(texts(&records));
        *self.at.lock().unwrap() = positions.to_vec();
        Ok(())
    }
}

async fn follow(
    log: &Arc<dyn Log>,
    memory: &Arc<Memory>,
    until: u64,
    progress: Option<Arc<Progress>>,
) -> std::result::Result<(), ProjectError> {
    let until = Some(vec![Position::new(RAW, 0, until)]);
    let projection = Arc::clone(memory) as Arc<dyn Projection>;
    let limits = BatchLimits { records: 2, bytes: 1 << 20 };
    let done = project(Arc::clone(log), &[RAW], projection, limits, until, progress, CancellationToken::new());
    tokio::time::timeout(LONG, done).await.unwrap()
}

#[tokio::test]
async fn a_projection_follows_from_its_own_position_until_it_is_there() {
    let (_bench, log) = opened();
    append(log.as_ref(), &["a", "b", "c", "d"]).await;
    let memory = Arc::new(Memory { at: Mutex::new(vec![Position::new(RAW, 0, 1)]), ..Memory::default() });
    let progress = Arc::new(Progress::new());
    follow(&log, &memory, 3, Some(Arc::clone(&progress))).await.unwrap();
    assert_eq!(*memory.seen.lock().unwrap(), ["b", "c"]);
    assert_eq!(progress.positions(), [Position::new(RAW, 0, 3)]);
    follow(&log, &memory, 4, None).await.unwrap();
    assert_eq!(*memory.seen.lock().unwrap(), ["b", "c", "d"]);
}

#[tokio::test]
async fn a_projection_that_is_there_already_ends_at_once() {
    let (_bench, log) = opened();
    follow(&log, &Arc::new(Memory::default()), 0, None).await.unwrap();
}

#[tokio::test]
async fn what_fails_for_now_is_applied_again() {
    let (_bench, log) = opened();
    append(log.as_ref(), &["a"]).await;
    let memory = Arc::new(Memory { faults_left: AtomicU32::new(2), ..Memory::default() });
    follow(&log, &memory, 1, None).await.unwrap();
    assert_eq!(*memory.seen.lock().unwrap(), ["a"]);
}

#[tokio::test]
async fn a_projection_that_says_stop_stops_where_it_is() {
    let (_bench, log) = opened();
    append(log.as_ref(), &["a", "b", "stop"]).await;
    let memory = Arc::new(Memory::default());
    let stopped = follow(&log, &memory, 3, None).await;
    assert!(matches!(&stopped, Err(ProjectError::Stopped(text)) if text == "as it was told"), "{stopped:?}");
    assert_eq!(*memory.seen.lock().unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn a_projection_whose_position_is_gone_stops() {
    let (_bench, log) = opened();
    append(log.as_ref(), &["a", "b"]).await;
    log.truncate(&[Position::new(RAW, 0, 2)]).await.unwrap();
    let memory = Arc::new(Memory { at: Mutex::new(vec![Position::new(RAW, 0, 1)]), ..Memory::default() });
    let stopped = follow(&log, &memory, 2, None).await;
    assert!(matches!(stopped, Err(ProjectError::Log(LogError::OutOfRange { .. }))), "{stopped:?}");
}
