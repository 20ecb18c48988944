//! Statements on their way: prepared, idempotent, at LOCAL_QUORUM, so many at once and no more, each with a limit and
//! repeated a few times. What fails after that is for the caller to try again later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, TryStreamExt};
use metrics::{counter, histogram};
use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::{DbError, ExecutionError, PrepareError, RequestAttemptError};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::response::query_result::QueryResult;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, Statement};
use scylla::value::CqlValue;
use tokio::sync::Semaphore;

use super::CqlSettings;
use crate::{Result, StoreError, telemetry};

/// How often a statement is given to the cluster before its caller hears of it.
const TRIES: u32 = 3;
/// Before the second try; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// For tables to be made, and for all nodes to know of them.
const SCHEMA_LIMIT: Duration = Duration::from_secs(60);
const AGREEMENT_POLL: Duration = Duration::from_millis(20);
/// Rows that one answer may hold where more are read.
const PAGE_ROWS: i32 = 1000;

/// A prepared statement with its values.
#[derive(Clone, Debug)]
pub struct Write {
    pub statement: Arc<PreparedStatement>,
    pub values: Vec<CqlValue>,
}

pub struct Client {
    session: Session,
    in_flight: Semaphore,
}

impl Client {
    pub async fn connect(settings: &CqlSettings) -> Result<Self> {
        let mut policy = DefaultPolicy::builder();
        if let Some(datacenter) = &settings.datacenter {
            policy = policy.prefer_datacenter(datacenter.clone());
        }
        let profile = ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .load_balancing_policy(policy.build())
            .request_timeout(Some(settings.request_limit))
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&settings.nodes)
            .default_execution_profile_handle(profile.into_handle())
            .connection_timeout(settings.request_limit)
            .keyspaces_to_fetch([settings.keyspace.clone()])
            .schema_agreement_interval(AGREEMENT_POLL)
            .schema_agreement_timeout(SCHEMA_LIMIT)
            // Once for all tables, by `learn_schema`, and not after each.
            .refresh_metadata_on_auto_schema_agreement(false);
        if let Some((user, password)) = &settings.login {
            builder = builder.user(user, password);
        }
        if let Some(pem) = &settings.ca_pem {
            builder = builder.tls_context(Some(encryption(pem)?));
        }
        let session = builder.build().await.map_err(|error| {
            StoreError::Unavailable(format!("no connection to {}: {error}", settings.nodes.join(", ")))
        })?;
        Ok(Self { session, in_flight: Semaphore::new(settings.in_flight.max(1)) })
    }

    /// Makes or drops tables; returns when all nodes know.
    pub async fn change_schema(&self, text: &str) -> Result<()> {
        let mut statement = Statement::new(text);
        statement.set_request_timeout(Some(SCHEMA_LIMIT));
        self.session.query_unpaged(statement, ()).await.map(drop).map_err(|error| failed("schema", &error))
    }

    /// Which nodes have what, after tables were made: statements go straight there.
    pub async fn learn_schema(&self) -> Result<()> {
        self.session.refresh_metadata().await.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    pub async fn prepare(&self, text: &str) -> Result<Arc<PreparedStatement>> {
        let mut prepared = self.session.prepare(text).await.map_err(|error| failed("prepare", &error.into()))?;
        prepared.set_is_idempotent(true);
        prepared.set_page_size(PAGE_ROWS);
        Ok(Arc::new(prepared))
    }

    pub async fn write(&self, write: &Write) -> Result<()> {
        self.within_limits("write", || self.session.execute_unpaged(&write.statement, &write.values)).await.map(drop)
    }

    /// Writes of one partition: the server takes all of them or none.
    pub async fn write_together(&self, writes: &[Write]) -> Result<()> {
        match writes {
            [] => Ok(()),
            [write] => self.write(write).await,
            writes => {
                let statements = writes.iter().map(|write| BatchStatement::from((*write.statement).clone())).collect();
                let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
                batch.set_is_idempotent(true);
                let values: Vec<&[CqlValue]> = writes.iter().map(|write| &*write.values).collect();
                self.within_limits("write", || self.session.batch(&batch, &values)).await.map(drop)
            }
        }
    }

    /// The rows of an answer that is known to be small.
    pub async fn rows<R>(&self, statement: &Arc<PreparedStatement>, values: &[CqlValue]) -> Result<Vec<R>>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let answer = self.within_limits("read", || self.session.execute_unpaged(statement, values)).await?;
        let rows = answer.into_rows_result().map_err(|error| unreadable(&error))?;
        let rows = rows.rows::<R>().map_err(|error| unreadable(&error))?;
        rows.collect::<std::result::Result<_, _>>().map_err(|error| unreadable(&error))
    }

    pub async fn row<R>(&self, statement: &Arc<PreparedStatement>, values: &[CqlValue]) -> Result<Option<R>>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// The rows of a large answer, read page by page.
    pub async fn stream<R>(
        &self,
        statement: &Arc<PreparedStatement>,
        values: &[CqlValue],
    ) -> Result<impl Stream<Item = Result<R>> + Send + use<R>>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> + Send + 'static,
    {
        let pager = self.session.execute_iter((**statement).clone(), values).await;
        let pager = pager.map_err(|error| paging(&error))?;
        let rows = pager.rows_stream::<R>().map_err(|error| unreadable(&error))?;
        Ok(rows.map_err(|error| paging(&error)))
    }

    async fn within_limits<F>(&self, kind: &'static str, attempt: impl Fn() -> F + Send) -> Result<QueryResult>
    where
        F: Future<Output = std::result::Result<QueryResult, ExecutionError>> + Send,
    {
        let _permit = self.in_flight.acquire().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let started = Instant::now();
            let outcome = attempt().await;
            histogram!(telemetry::CQL_SECONDS, "kind" => kind).record(started.elapsed());
            let error = match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => failed(kind, &error),
            };
            if tries == TRIES || !matches!(error, StoreError::Unavailable(_)) {
                return Err(error);
            }
            counter!(telemetry::CQL_RETRIES, "kind" => kind).increment(1);
            tokio::time::sleep(pause).await;
            (pause, tries) = (2 * pause, tries + 1);
        }
    }
}

/// Whoever shows a certificate for its address that one of these has signed is a server of the store; no other authority
/// counts. The driver sees to the address.
fn encryption(ca_pem: &[u8]) -> Result<SslConnectorBuilder> {
    let built = || {
        let mut known = X509StoreBuilder::new()?;
        for certificate in X509::stack_from_pem(ca_pem)? {
            known.add_cert(certificate)?;
        }
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_cert_store(known.build());
        Ok(builder)
    };
    built()
        .map_err(|error: ErrorStack| StoreError::Damaged(format!("the servers' certificates can't be read: {error}")))
}

/// A statement that the server does not understand, or may not carry out, will not do so later either; everything
/// else passes.
fn failed(kind: &'static str, error: &ExecutionError) -> StoreError {
    counter!(telemetry::CQL_ERRORS, "kind" => kind).increment(1);
    let attempt = match error {
        ExecutionError::LastAttemptError(attempt)
        | ExecutionError::PrepareError(PrepareError::AllAttemptsFailed { first_attempt: attempt }) => attempt,
        ExecutionError::BadQuery(_) => return StoreError::Damaged(error.to_string()),
        _ => return StoreError::Unavailable(error.to_string()),
    };
    match attempt {
        // The tables were replaced by a rebuild: whoever asks again is given the new ones.
        RequestAttemptError::DbError(DbError::Invalid, text)
            if text.contains("unconfigured table") || text.contains("does not exist") =>
        {
            StoreError::Replaced(text.clone())
        }
        RequestAttemptError::DbError(DbError::Invalid | DbError::SyntaxError | DbError::Unauthorized, _)
        | RequestAttemptError::SerializationError(_) => StoreError::Damaged(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

fn paging(error: &dyn std::fmt::Display) -> StoreError {
    counter!(telemetry::CQL_ERRORS, "kind" => "read").increment(1);
    StoreError::Unavailable(error.to_string())
}

fn unreadable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("an answer can't be read: {error}"))
}

/// Values of statements, by type.
pub fn text(value: impl Into<String>) -> CqlValue {
    CqlValue::Text(value.into())
}

pub const fn bigint(value: i64) -> CqlValue {
    CqlValue::BigInt(value)
}

pub const fn int(value: i32) -> CqlValue {
    CqlValue::Int(value)
}

pub const fn blob(value: Vec<u8>) -> CqlValue {
    CqlValue::Blob(value)
}
