//! How the tables in memory are folded from their topics. A record that can't be read is passed over, and said so:
//! the earlier ones stay in force.

use accounts::Table;
use processors::spam::Models;
use schemas::{Event, Record, codec};

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
