//! What is due: how much waits for each forward, and how more is made due.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use schemas::event::ForwardDue;
use schemas::record::Partition;
use schemas::{Event, MessageId, Topic, codec};

use super::scan::{ends, scan, starts};
use crate::http::doors::Api;
use crate::http::error::ApiError;
use crate::http::write;

/// Deliveries that are made due by one append.
const AT_ONCE: usize = 500;

/// A delivery with the partition of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub partition: Partition,
    pub due: ForwardDue,
}

/// Everything that is due, by the delivery's id.
pub async fn standing(api: &Api) -> Result<BTreeMap<String, Placed>, ApiError> {
    let mut due = BTreeMap::new();
    let ends = ends(api, Topic::ForwardDue).await?;
    scan(api, starts(api, Topic::ForwardDue).await?, &ends, |record| {
        let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else {
            return ControlFlow::Continue(());
        };
        match record.value.as_deref().map(|value| codec::decode(Topic::ForwardDue, value)) {
            Some(Ok(Event::Due(one))) => {
                due.insert(key.to_owned(), Placed { partition: record.position.partition, due: one });
            }
            Some(_) => {}
            None => {
                due.remove(key);
            }
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(due)
}

/// Which mail a delivery is of.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    pub message: &'a MessageId,
    pub index: i32,
    pub arrived_at: i64,
    /// Zero where it is not known: the store shows it already, or it is gone.
    pub routed_offset: i64,
}

/// A delivery that somebody asked for.
pub fn asked_for(api: &Api, mail: Mail<'_>, forward: &str, origin: &str) -> ForwardDue {
    let Mail { message, index, arrived_at, routed_offset } = mail;
    ForwardDue {
        delivery_id: (api.doors.delivery_id)(message, forward, origin),
        forward: forward.to_owned(),
        message_id: message.clone(),
        index,
        routed_offset,
        arrived_at,
        next_at: 0,
        attempts: 0,
        origin: origin.to_owned(),
    }
}

/// Makes them due, in order.
pub async fn put(api: &Api, deliveries: &[Placed]) -> Result<(), ApiError> {
    for some in deliveries.chunks(AT_ONCE) {
        let mut records = Vec::with_capacity(some.len());
        for Placed { partition, due } in some {
            let record = write::record(&due.delivery_id, &Event::Due(due.clone()))?;
            records.push(record.in_partition(*partition));
        }
        api.doors.log.append(records).await?;
    }
    Ok(())
}
