//! The bytes of messages, in chunks: one partition a message, whatever generation of the tables shows it.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use schemas::MessageId;

use super::client::{Write, bigint, blob, int, text};
use super::listing::{REMOVAL, written_at};
use super::tables::Shared;
use crate::Result;

/// Far below what one write may hold (16 MiB by default), and few enough for the largest mail.
const CHUNK_BYTES: usize = 256 * 1024;
const CHUNKS_AT_ONCE: usize = 4;

/// Written at the place of the mail: a repeat writes the same, and comes too late where the message was removed.
pub async fn write(shared: &Shared, id: &MessageId, offset: u64, content: &[u8]) -> Result<()> {
    let chunk = |(number, data): (usize, &[u8])| Write {
        statement: shared.statements.write_bytes.clone(),
        values: vec![
            text(id.as_str()),
            int(i32::try_from(number).unwrap_or(i32::MAX)),
            blob(data.to_vec()),
            bigint(written_at(offset)),
        ],
    };
    let writes = content.chunks(CHUNK_BYTES).enumerate().map(chunk);
    stream::iter(writes)
        .map(|write| async move { shared.client.write(&write).await })
        .buffer_unordered(CHUNKS_AT_ONCE)
        .try_collect()
        .await
}

pub async fn read(shared: &Shared, id: &MessageId) -> Result<Bytes> {
    let mut content = BytesMut::new();
    let statement = &shared.statements.read_bytes;
    let mut chunks = pin!(shared.client.stream::<(Option<Vec<u8>>,)>(statement, &[text(id.as_str())]).await?);
    while let Some((data,)) = chunks.try_next().await? {
        content.extend_from_slice(&data.unwrap_or_default());
    }
    Ok(content.freeze())
}

pub async fn remove(shared: &Shared, id: &MessageId) -> Result<()> {
    let values = vec![bigint(REMOVAL), text(id.as_str())];
    shared.client.write(&Write { statement: shared.statements.delete_bytes.clone(), values }).await
}
