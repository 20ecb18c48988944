//! How the tables in memory are folded from their topics. A record that can't be read is passed over, and said so:
//! the earlier ones stay in force.

use std::time::{Duration, Instant};

use accounts::Table;
use eventlog::Follower;
use processors::spam::Models;
use schemas::{Event, Record, codec};

/// For a table to be where its topic ends, at the start: there may be much of it.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Waits until everything is folded that stands on the topic now.
pub async fn caught_up<T: Send + Sync + 'static>(table: &Follower<T>) -> eventlog::Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        match table.catch_up().await {
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                tracing::info!(%error, offset = table.offset(), "waiting for a table to be folded");
            }
            done => return done,
        }
    }
}

pub fn fold_account(table: &mut Table, record: &Record) {
    let Some(value) = &record.value else { return };
    match codec::decode(record.position.topic, value) {
        Ok(Event::Account(event)) => table.fold(record.position.offset, &event),
        Ok(_) => {}
        Err(error) => unreadable(record, &error),
    }
}

pub fn fold_model(models: &mut Models, record: &Record) {
    let Some(value) = &record.value else {
        // A tombstone: the model is withdrawn.
        let name = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        name.into_iter().for_each(|name| models.withdraw(name));
        return;
    };
    match codec::decode(record.position.topic, value) {
        Ok(Event::Model(model)) => {
            if let Err(error) = models.fold(&model) {
                unreadable(record, &error);
            }
        }
        Ok(_) => {}
        Err(error) => unreadable(record, &error),
    }
}

fn unreadable(record: &Record, error: &dyn std::fmt::Display) {
    let position = record.position;
    tracing::error!(topic = %position.topic, offset = position.offset, %error, "a record can't be taken into its table");
}
