//! What an operator does to the store: rebuild it from the log, and write out all of it.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use mailstore::Totals;
use serde::Serialize;

use super::stream::{line, lines};
use crate::http::doors::{Api, OperationError};
use crate::http::error::ApiError;
use crate::http::key::{Administrator, administrator};
use crate::http::request::Asked;

/// Bytes of lines that are sent together.
const CHUNK_BYTES: usize = 64 * 1024;

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/rebuild", post(rebuild)).route("/dump", get(dump))
}

/// The last line of a rebuild.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum End {
    Totals(Totals),
    Error(String),
}

/// Goes on when the caller leaves: half a rebuild is of no use. Steps that nobody takes are left out.
async fn rebuild(State(api): State<Arc<Api>>, asked: Asked) -> Result<Response, ApiError> {
    administrator(asked.caller)?;
    let (lines, response) = lines();
    tokio::spawn(async move {
        let steps = lines.clone();
        let report = move |step| {
            let _ = steps.try_send(line(&step));
        };
        let end = match api.doors.operations.rebuild(&report).await {
            Ok(totals) => End::Totals(totals),
            Err(error) => {
                if !matches!(error, OperationError::Busy) {
                    tracing::error!(%error, "the store could not be rebuilt");
                }
                End::Error(error.to_string())
            }
        };
        let _ = lines.send(line(&end)).await;
    });
    Ok(response)
}

/// The store hands its lines over one by one and can't wait in between, so it is read in a thread that may.
async fn dump(_: Administrator, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let (lines, response) = lines();
    tokio::task::spawn_blocking(move || {
        let mut chunk = Vec::new();
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let mut take = |text: String| {
            chunk.extend_from_slice(text.as_bytes());
            chunk.push(b'\n');
            if chunk.len() < CHUNK_BYTES {
                return Ok(());
            }
            lines.blocking_send(Bytes::from(std::mem::take(&mut chunk))).map_err(gone)
        };
        let dumped = futures::executor::block_on(api.doors.store.dump(&mut take));
        if let Err(error) = dumped
            && !lines.is_closed()
        {
            tracing::error!(%error, "the store could not be dumped");
            chunk.extend_from_slice(&line(&End::Error("the dump is not complete".to_owned())));
        }
        let _ = lines.blocking_send(Bytes::from(chunk));
    });
    Ok(response)
}
