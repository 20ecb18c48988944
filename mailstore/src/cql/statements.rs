//! Every statement of the store, prepared once a generation. Their values stand in the order of the question marks.

use std::sync::Arc;

use scylla::statement::prepared::PreparedStatement;

use super::client::Client;
use super::schema::table;
use crate::Result;

pub type Prepared = Arc<PreparedStatement>;

/// For the tables that all generations share.
pub struct SharedStatements {
    pub read_state: Prepared,
    /// Write time, value.
    pub write_log_id: Prepared,
    pub write_generation: Prepared,
    pub write_building: Prepared,
    pub write_closing: Prepared,
    /// Generation.
    pub read_positions: Prepared,
    /// Write time, next offset, generation, topic, partition.
    pub write_position: Prepared,
    /// Id.
    pub read_bytes: Prepared,
    /// Id, chunk, data, write time.
    pub write_bytes: Prepared,
    /// Write time, id.
    pub delete_bytes: Prepared,
}

/// For the tables of one generation.
pub struct Statements {
    /// Id.
    pub read_message: Prepared,
    pub scan_messages: Prepared,
    pub scan_ids: Prepared,
    /// Write time, value, id.
    pub write_raw: Prepared,
    pub write_parsed: Prepared,
    pub write_routed: Prepared,
    /// Write time, key, value, id.
    pub write_score: Prepared,
    pub write_flag: Prepared,
    /// Write time, set, id.
    pub add_swept: Prepared,
    pub add_listings: Prepared,
    /// Write time, value, id.
    pub write_gone: Prepared,
    pub write_copied: Prepared,
    /// Write time, id.
    pub strip_message: Prepared,
    pub delete_message: Prepared,
    /// List, level, start, sort, id, index; content; write time.
    pub insert_entry: Prepared,
    pub insert_size: Prepared,
    pub insert_bare: Prepared,
    /// Write time, list, level, start, sort, id, index.
    pub delete_listed: Prepared,
    /// List, level, start, then the place behind which it begins, and how many rows.
    pub newest_entries: Prepared,
    pub oldest_listed: Prepared,
    /// List, level, start.
    pub tally: Prepared,
    /// List, level, the latest or earliest start, and how many rows.
    pub newest_buckets: Prepared,
    pub oldest_buckets: Prepared,
    /// List, level, start.
    pub read_bucket: Prepared,
    pub scan_lists: Prepared,
    /// Write time, writer, mark, list, level, start.
    pub mark_bucket: Prepared,
    /// Write time, rows, list, level, start.
    pub estimate_bucket: Prepared,
    /// Write time, what was counted, list, level, start.
    pub count_bucket: Prepared,
}

pub const MESSAGE_COLUMNS: &str = "id, raw, parsed, scores, routed, flags, swept, gone, copied, listings";

impl SharedStatements {
    pub async fn prepare(client: &Client, keyspace: &str) -> Result<Self> {
        let set = async |column: &str| {
            let text = format!("UPDATE {keyspace}.state USING TIMESTAMP ? SET {column} = ? WHERE id = 0");
            client.prepare(&text).await
        };
        let prepare = async |text: String| client.prepare(&text).await;
        Ok(Self {
            read_state: prepare(format!(
                "SELECT log_id, generation, building, closing FROM {keyspace}.state WHERE id = 0"
            ))
            .await?,
            write_log_id: set("log_id").await?,
            write_generation: set("generation").await?,
            write_building: set("building").await?,
            write_closing: set("closing").await?,
            read_positions: prepare(format!(
                "SELECT topic, log_partition, next_offset FROM {keyspace}.position WHERE generation = ?"
            ))
            .await?,
            write_position: prepare(format!(
                "UPDATE {keyspace}.position USING TIMESTAMP ? SET next_offset = ?
                    WHERE generation = ? AND topic = ? AND log_partition = ?"
            ))
            .await?,
            read_bytes: prepare(format!("SELECT data FROM {keyspace}.bytes WHERE id = ?")).await?,
            write_bytes: prepare(format!(
                "INSERT INTO {keyspace}.bytes (id, chunk, data) VALUES (?, ?, ?) USING TIMESTAMP ?"
            ))
            .await?,
            delete_bytes: prepare(format!("DELETE FROM {keyspace}.bytes USING TIMESTAMP ? WHERE id = ?")).await?,
        })
    }
}

impl Statements {
    pub async fn prepare(client: &Client, keyspace: &str, generation: i64) -> Result<Self> {
        let [message, list, bucket] =
            ["message", "listed", "bucket"].map(|name| format!("{keyspace}.{}", table(name, generation)));
        let prepare = async |text: String| client.prepare(&text).await;
        let set =
            async |column: &str| prepare(format!("UPDATE {message} USING TIMESTAMP ? SET {column} WHERE id = ?")).await;
        let insert = async |columns: &str, marks: &str| {
            let text = "list_name, level, start, sort, id, idx";
            let values = format!("(?, ?, ?, ?, ?, ?{marks})");
            prepare(format!("INSERT INTO {list} ({text}{columns}) VALUES {values} USING TIMESTAMP ?")).await
        };
        let set_bucket = async |column: &str| {
            let place = "list_name = ? AND level = ? AND start = ?";
            prepare(format!("UPDATE {bucket} USING TIMESTAMP ? SET {column} WHERE {place}")).await
        };
        let in_bucket = "list_name = ? AND level = ? AND start = ?";
        let bucket_columns = "start, marks, row_estimate, counted";
        Ok(Self {
            read_message: prepare(format!("SELECT {MESSAGE_COLUMNS} FROM {message} WHERE id = ?")).await?,
            scan_messages: prepare(format!("SELECT {MESSAGE_COLUMNS} FROM {message}")).await?,
            scan_ids: prepare(format!("SELECT id FROM {message}")).await?,
            write_raw: set("raw = ?").await?,
            write_parsed: set("parsed = ?").await?,
            write_routed: set("routed = ?").await?,
            write_score: set("scores[?] = ?").await?,
            write_flag: set("flags[?] = ?").await?,
            add_swept: set("swept = swept + ?").await?,
            add_listings: set("listings = listings + ?").await?,
            write_gone: set("gone = ?").await?,
            write_copied: set("copied = ?").await?,
            strip_message: set("parsed = null, scores = null, routed = null, flags = null, swept = null").await?,
            delete_message: prepare(format!("DELETE FROM {message} USING TIMESTAMP ? WHERE id = ?")).await?,
            insert_entry: insert(", entry, unread", ", ?, ?").await?,
            insert_size: insert(", entry_count, size_bytes", ", ?, ?").await?,
            insert_bare: insert("", "").await?,
            delete_listed: prepare(format!(
                "DELETE FROM {list} USING TIMESTAMP ? WHERE {in_bucket} AND sort = ? AND id = ? AND idx = ?"
            ))
            .await?,
            newest_entries: prepare(format!(
                "SELECT sort, id, idx, entry FROM {list}
                    WHERE {in_bucket} AND (sort, id, idx) < (?, ?, ?) LIMIT ?"
            ))
            .await?,
            oldest_listed: prepare(format!(
                "SELECT sort, id, idx, entry FROM {list}
                    WHERE {in_bucket} AND (sort, id, idx) > (?, ?, ?)
                    ORDER BY sort ASC, id ASC, idx ASC LIMIT ?"
            ))
            .await?,
            tally: prepare(format!("SELECT unread, entry_count, size_bytes FROM {list} WHERE {in_bucket}")).await?,
            newest_buckets: prepare(format!(
                "SELECT {bucket_columns} FROM {bucket} WHERE list_name = ? AND level = ? AND start <= ? LIMIT ?"
            ))
            .await?,
            oldest_buckets: prepare(format!(
                "SELECT {bucket_columns} FROM {bucket} WHERE list_name = ? AND level = ? AND start >= ?
                    ORDER BY start ASC LIMIT ?"
            ))
            .await?,
            read_bucket: prepare(format!("SELECT {bucket_columns} FROM {bucket} WHERE {in_bucket}")).await?,
            scan_lists: prepare(format!("SELECT DISTINCT list_name, level FROM {bucket}")).await?,
            mark_bucket: set_bucket("marks[?] = ?").await?,
            estimate_bucket: set_bucket("row_estimate = ?").await?,
            count_bucket: set_bucket("counted = ?").await?,
        })
    }
}
