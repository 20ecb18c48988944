//! What every generation of the tables shares, and one generation.

use std::sync::Arc;
use std::time::Duration;

use schemas::record::Partition;
use schemas::{MessageId, Position};

use super::bucket::{Book, Bucket, Known, KnownCells};
use super::cells::{Cells, Stored};
use super::client::{Client, Write, bigint, int, text};
use super::listing::{sortable, written_at};
use super::statements::{SharedStatements, Statements};
use crate::{Result, StoreError};

pub struct Shared {
    pub client: Client,
    pub keyspace: String,
    pub statements: SharedStatements,
    /// Of this process: no two writers have the same.
    pub writer: i64,
    pub bucket_rows: i64,
    pub abandoned_after: Duration,
}

/// One generation, as this process reads and writes it.
pub struct Tables {
    pub shared: Arc<Shared>,
    pub generation: i64,
    pub statements: Statements,
    pub book: Book,
}

impl Tables {
    pub async fn open(shared: Arc<Shared>, generation: i64) -> Result<Arc<Self>> {
        let statements = Statements::prepare(&shared.client, &shared.keyspace, generation).await?;
        let book = Book::new(shared.writer, shared.bucket_rows);
        Ok(Arc::new(Self { shared, generation, statements, book }))
    }

    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    pub async fn read(&self, id: &MessageId) -> Result<Stored> {
        let cells = self.client().row::<Cells>(&self.statements.read_message, &[text(id.as_str())]).await?;
        match cells.map(Stored::read).transpose() {
            Ok(stored) => Ok(stored.map(|(_, stored)| stored).unwrap_or_default()),
            Err(StoreError::Damaged(cause)) => Err(StoreError::Damaged(format!("the message {id}: {cause}"))),
            Err(error) => Err(error),
        }
    }

    pub async fn positions(&self) -> Result<Vec<Position>> {
        let statement = &self.shared.statements.read_positions;
        let rows = self.client().rows::<(String, i32, Option<i64>)>(statement, &[bigint(self.generation)]).await?;
        let read = |(topic, partition, next): (String, i32, Option<i64>)| {
            let place = || {
                Some(Position::new(topic.parse().ok()?, Partition::try_from(partition).ok()?, next?.try_into().ok()?))
            };
            place().ok_or_else(|| StoreError::Damaged(format!("a position of {topic} can't be read")))
        };
        rows.into_iter().map(read).collect()
    }

    /// A position never goes back: its write time is the place itself.
    pub async fn move_to(&self, positions: &[Position]) -> Result<()> {
        let write = |place: &Position| Write {
            statement: self.shared.statements.write_position.clone(),
            values: vec![
                bigint(written_at(place.offset)),
                bigint(sortable(place.offset)),
                bigint(self.generation),
                text(place.topic.name()),
                int(place.partition.cast_signed()),
            ],
        };
        let writes: Vec<Write> = positions.iter().map(write).collect();
        self.client().write_together(&writes).await
    }

    pub async fn bucket(&self, bucket: &Bucket) -> Result<Option<Known>> {
        let cells = self.client().row::<KnownCells>(&self.statements.read_bucket, &bucket.key()).await?;
        cells.map(|cells| Known::read(&bucket.list, bucket.level, cells)).transpose()
    }
}
