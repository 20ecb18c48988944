//! Keyspace and tables: what a store is made of, and the numbered steps that bring an older one up to date. Only what
//! Scylla and Cassandra 4.1 and 5 share. It knows nothing of what is written into the tables.

use scylla::value::CqlValue;

use super::client::Client;
use super::settings::CqlSettings;
use crate::{Result, StoreError};

/// One step: done once in a keyspace, in the order of the numbers. A released step is never edited.
struct Migration {
    number: i32,
    about: &'static str,
    /// With `{keyspace}` for its name.
    statements: &'static [&'static str],
}

const MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    about: "the state of the store, positions, bytes",
    statements: &[
        // One row. Its columns have write times that grow with what they say, so that no clock decides.
        "CREATE TABLE IF NOT EXISTS {keyspace}.state (id int PRIMARY KEY, log_id text, migration int,
            generation bigint, building text, closing text)",
        "CREATE TABLE IF NOT EXISTS {keyspace}.position (generation bigint, topic text, log_partition int,
            next_offset bigint, PRIMARY KEY (generation, topic, log_partition))",
        // A message's bytes, whatever generation shows it.
        "CREATE TABLE IF NOT EXISTS {keyspace}.bytes (id text, chunk int, data blob, PRIMARY KEY (id, chunk))",
    ],
}];

/// The tables of one generation, with `{tables}` for its number. See the decision on the data model.
const TABLES: [(&str, &str); 3] = [
    // Everything that is known of a message: a column for each topic, each cell with its own write time.
    (
        "message",
        "(id text PRIMARY KEY, raw blob, parsed blob, scores map<bigint, blob>, routed blob, flags map<text, blob>,
            swept set<int>, gone boolean, copied boolean, listings set<blob>)",
    ),
    // Rows of every list, newest first, in partitions that end with their time.
    (
        "listed",
        "(list_name text, level int, start bigint, sort bigint, id text, idx int, entry blob, unread boolean, entry_count int,
            size_bytes bigint, PRIMARY KEY ((list_name, level, start), sort, id, idx))
            WITH CLUSTERING ORDER BY (sort DESC, id DESC, idx DESC)",
    ),
    // Which partitions a list has, whether they changed since they were counted, and what was counted.
    (
        "bucket",
        "(list_name text, level int, start bigint, marks map<bigint, bigint>, row_estimate bigint, counted blob,
            PRIMARY KEY ((list_name, level), start)) WITH CLUSTERING ORDER BY (start DESC)",
    ),
];

/// Makes the keyspace where it is missing, and takes the steps that it lacks. Says which ones it took.
pub async fn migrate(client: &Client, settings: &CqlSettings) -> Result<Vec<String>> {
    let keyspace = &settings.keyspace;
    let replication = settings.replication_text()?;
    client.change_schema(&format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}")).await?;
    let mut taken = Vec::new();
    let done = migration_of(client, keyspace).await?;
    for step in MIGRATIONS.iter().filter(|step| step.number > done) {
        for statement in step.statements {
            client.change_schema(&statement.replace("{keyspace}", keyspace)).await?;
        }
        let record = format!("UPDATE {keyspace}.state USING TIMESTAMP ? SET migration = ? WHERE id = 0");
        let statement = client.prepare(&record).await?;
        let values = vec![CqlValue::BigInt(step.number.into()), CqlValue::Int(step.number)];
        client.write(&super::client::Write { statement, values }).await?;
        taken.push(format!("{}: {}", step.number, step.about));
    }
    if !taken.is_empty() {
        client.learn_schema().await?;
    }
    Ok(taken)
}

/// Refuses tables that this program is too old or too new for.
pub async fn check(client: &Client, settings: &CqlSettings) -> Result<()> {
    let done = migration_of(client, &settings.keyspace).await?;
    let needed = MIGRATIONS.last().map_or(0, |step| step.number);
    if done < needed {
        let cause = format!("its tables are of step {done}, and this program needs {needed}: migrate it first");
        return Err(StoreError::Damaged(cause));
    }
    if done > needed {
        return Err(StoreError::Damaged(format!("its step {done} is newer than this program's, {needed}")));
    }
    Ok(())
}

/// 0 where nothing is there yet.
async fn migration_of(client: &Client, keyspace: &str) -> Result<i32> {
    if !tables(client, keyspace).await?.iter().any(|table| table == "state") {
        return Ok(0);
    }
    let statement = client.prepare(&format!("SELECT migration FROM {keyspace}.state WHERE id = 0")).await?;
    let row = client.row::<(Option<i32>,)>(&statement, &[]).await?;
    Ok(row.and_then(|(number,)| number).unwrap_or(0))
}

async fn tables(client: &Client, keyspace: &str) -> Result<Vec<String>> {
    let text = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
    let statement = client.prepare(text).await?;
    let rows = client.rows::<(String,)>(&statement, &[CqlValue::Text(keyspace.to_owned())]).await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

pub fn table(name: &str, generation: i64) -> String {
    format!("{name}_{generation}")
}

pub async fn create_generation(client: &Client, keyspace: &str, generation: i64) -> Result<()> {
    for (name, layout) in TABLES {
        let table = table(name, generation);
        client.change_schema(&format!("CREATE TABLE IF NOT EXISTS {keyspace}.{table} {layout}")).await?;
    }
    Ok(())
}

/// The generations that have tables, whole or not.
pub async fn generations(client: &Client, keyspace: &str) -> Result<Vec<i64>> {
    let mut numbers: Vec<i64> = tables(client, keyspace).await?.iter().filter_map(|name| generation_of(name)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

pub async fn drop_generation(client: &Client, keyspace: &str, generation: i64) -> Result<()> {
    for (name, _) in TABLES {
        let table = table(name, generation);
        client.change_schema(&format!("DROP TABLE IF EXISTS {keyspace}.{table}")).await?;
    }
    Ok(())
}

fn generation_of(table: &str) -> Option<i64> {
    let (name, number) = table.rsplit_once('_')?;
    TABLES.iter().any(|(known, _)| *known == name).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_without_gaps() {
        let numbers: Vec<i32> = MIGRATIONS.iter().map(|step| step.number).collect();
        assert_eq!(numbers, (1..=i32::try_from(MIGRATIONS.len()).unwrap()).collect::<Vec<_>>());
    }

    #[test]
    fn a_table_names_its_generation() {
        assert_eq!(generation_of(&table("message", 12)), Some(12));
        for other in ["state", "bytes", "position", "message", "other_1", "listed_x"] {
            assert_eq!(generation_of(other), None, "{other}");
        }
    }
}
