//! Stages in groups.

use tokio::task::JoinHandle;

use super::*;
use crate::runner::markers::Markers;
use crate::runner::{BatchLimits, RunSettings, run_group};

fn run(log: &Arc<dyn Log>, stage: Capitals, settings: RunSettings) -> (Ending, JoinHandle<Result<()>>) {
    let (log, shutdown) = (Arc::clone(log), CancellationToken::new());
    let ending = Ending(shutdown.clone());
    let task = tokio::spawn(async move { run_group(log, "g", &[RAW], Arc::new(stage), settings, shutdown).await });
    (ending, task)
}

async fn stopped(run: (Ending, JoinHandle<Result<()>>)) -> Result<()> {
    drop(run.0);
    tokio::time::timeout(LONG, run.1).await.unwrap().unwrap()
}

#[tokio::test]
async fn outputs_come_in_the_order_of_their_records_and_the_position_moves() {
    let (_bench, log) = opened();
    let values: Vec<String> = (0..300).map(|number| format!("mail {number}")).collect();
    append(log.as_ref(), &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let settings = RunSettings { limits: BatchLimits { records: 100, bytes: 1 << 20 }, ..RunSettings::default() };
    let run = run(&log, Capitals::default(), settings);
    let facts = texts(&first_of(log.as_ref(), FACTS, 300).await);
    assert_eq!(facts, values.iter().map(|value| value.to_uppercase()).collect::<Vec<_>>());
    stopped(run).await.unwrap();
    assert_eq!(log.committed("g").await.unwrap(), [Position::new(RAW, 0, 300)]);
}

#[tokio::test]
async fn poison_and_panics_are_dead_lettered_and_hold_nobody_up() {
    let (_bench, log) = opened();
    append(log.as_ref(), &["a", "poison", "panic", "b"]).await;
    let run = run(&log, Capitals::default(), RunSettings::default());
    let facts = texts(&first_of(log.as_ref(), FACTS, 3).await);
    assert_eq!(facts, ["A", "given up: poison", "B"], "what giving up says is dropped where it panics");
    let letters = letters(log.as_ref(), 2).await;
    assert_eq!((letters[0].origin.as_str(), letters[0].cause.as_str()), ("mail.raw/0/1", "tastes bad"));
    assert_eq!((letters[0].stage.as_str(), letters[0].value.as_slice()), ("capitals", b"poison".as_slice()));
    assert!(letters[1].cause.contains("as it was told"), "{}", letters[1].cause);
    stopped(run).await.unwrap();
}

#[tokio::test]
async fn an_output_over_the_logs_limit_is_poison() {
    let (_bench, log) = opened();
    append(log.as_ref(), &["a", "large", "b"]).await;
    let run = run(&log, Capitals::default(), RunSettings::default());
    assert_eq!(texts(&first_of(log.as_ref(), FACTS, 3).await), ["A", "given up: large", "B"]);
    assert!(letters(log.as_ref(), 1).await[0].cause.contains("over the log's limit"));
    stopped(run).await.unwrap();
}

#[tokio::test]
async fn a_fault_that_passes_is_met_with_another_try() {
    let (_bench, log) = opened();
    append(log.as_ref(), &["a"]).await;
    let run = run(&log, Capitals { faults_left: AtomicU32::new(2) }, RunSettings::default());
    assert_eq!(texts(&first_of(log.as_ref(), FACTS, 1).await), ["A"]);
    stopped(run).await.unwrap();
    assert_eq!(log.bounds(FACTS).await.unwrap()[0].end, 1, "once");
}

#[tokio::test]
async fn a_position_that_is_gone_stops_the_stage() {
    let (_bench, log) = opened();
    append(log.as_ref(), &["a", "b", "c"]).await;
    let mut member = log.join("g", &[RAW]).await.unwrap();
    member.commit(Vec::new(), &[Position::new(RAW, 0, 1)]).await.unwrap();
    log.truncate(&[Position::new(RAW, 0, 2)]).await.unwrap();
    let (_ending, task) = run(&log, Capitals::default(), RunSettings::default());
    let stopped = tokio::time::timeout(LONG, task).await.unwrap().unwrap();
    assert!(matches!(stopped, Err(LogError::OutOfRange { .. })), "{stopped:?}");
}

#[tokio::test]
async fn a_second_runner_of_the_group_stops_the_first() {
    let (_bench, log) = opened();
    let (_first_ending, first) = run(&log, Capitals::default(), RunSettings::default());
    append(log.as_ref(), &["a"]).await;
    first_of(log.as_ref(), FACTS, 1).await;
    let second = run(&log, Capitals::default(), RunSettings::default());
    let fenced = tokio::time::timeout(LONG, first).await.unwrap().unwrap();
    assert!(matches!(fenced, Err(LogError::Fenced(_))), "{fenced:?}");
    append(log.as_ref(), &["b"]).await;
    assert_eq!(texts(&first_of(log.as_ref(), FACTS, 2).await), ["A", "B"]);
    stopped(second).await.unwrap();
}

#[tokio::test]
async fn a_record_that_cant_be_read_gets_a_letter_and_holds_nobody_up() {
    let bench = FolderBench::new(1);
    let log: Arc<dyn Log> = bench.open_log();
    append(log.as_ref(), &["a", "broken", "b"]).await;
    let segment = bench.segments_path(0).join(format!("{:020}.seg", 0));
    let mut bytes = std::fs::read(&segment).unwrap();
    let place = bytes.windows(6).position(|window| window == b"broken").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let run = run(&log, Capitals::default(), RunSettings::default());
    assert_eq!(texts(&first_of(log.as_ref(), FACTS, 2).await), ["A", "B"]);
    let letter = &letters(log.as_ref(), 1).await[0];
    assert!(letter.offset == 1 && letter.cause.contains("not what was written"), "{letter:?}");
    stopped(run).await.unwrap();
    assert_eq!(log.committed("g").await.unwrap(), [Position::new(RAW, 0, 3)]);
}

fn careful(folder: &tempfile::TempDir) -> RunSettings {
    let limits = BatchLimits { records: 4, bytes: 1 << 20 };
    RunSettings { limits, markers: Some(folder.path().to_owned()), ..RunSettings::default() }
}

/// A process that died while it processed this record alone.
fn die_at(folder: &tempfile::TempDir, offset: u64) {
    Markers::open(folder.path(), "g").unwrap().enter(Position::new(RAW, 0, offset)).unwrap();
}

#[tokio::test]
async fn a_record_at_which_the_process_died_twice_is_dead_lettered() {
    let (_bench, log) = opened();
    let folder = tempfile::tempdir().unwrap();
    append(log.as_ref(), &["a", "b", "c"]).await;
    die_at(&folder, 1);
    die_at(&folder, 1);
    let run = run(&log, Capitals::default(), careful(&folder));
    assert_eq!(texts(&first_of(log.as_ref(), FACTS, 3).await), ["A", "given up: b", "C"]);
    let letter = &letters(log.as_ref(), 1).await[0];
    assert_eq!((letter.offset, letter.cause.as_str()), (1, "the process died 2 times at this record"));
    stopped(run).await.unwrap();
}

#[tokio::test]
async fn a_record_that_kills_even_when_it_is_given_up_gets_its_letter_only() {
    let (_bench, log) = opened();
    let folder = tempfile::tempdir().unwrap();
    append(log.as_ref(), &["a", "b"]).await;
    for _ in 0..3 {
        die_at(&folder, 0);
    }
    let run = run(&log, Capitals::default(), careful(&folder));
    assert_eq!(texts(&first_of(log.as_ref(), FACTS, 1).await), ["B"]);
    assert_eq!(letters(log.as_ref(), 1).await[0].offset, 0);
    stopped(run).await.unwrap();
}

#[tokio::test]
async fn a_record_at_which_the_process_died_once_is_tried_again() {
    let (_bench, log) = opened();
    let folder = tempfile::tempdir().unwrap();
    append(log.as_ref(), &["a", "b", "c", "d", "e", "f"]).await;
    die_at(&folder, 1);
    let run = run(&log, Capitals::default(), careful(&folder));
    assert_eq!(texts(&first_of(log.as_ref(), FACTS, 6).await), ["A", "B", "C", "D", "E", "F"]);
    stopped(run).await.unwrap();
    assert_eq!(log.bounds(Topic::DeadLetters).await.unwrap()[0].end, 0);
    assert!(!Markers::open(folder.path(), "g").unwrap().was_unclean(), "the group stopped cleanly");
}
