//! `postlog run`: serves until it is asked to stop.

use clap::Args;

use super::Place;
use super::failure::Failure;
use crate::{assemble, config, telemetry};

#[derive(Debug, Args)]
pub struct Run {
    /// Stages that this process runs, separated by commas [default: ingest,processors,sinks,api]
    #[arg(long, value_name = "LIST", env = "POSTLOG_STAGES")]
    stages: Option<String>,
    /// Where SMTP listens; port 0 picks one [default: 127.0.0.1:1025]
    #[arg(long, value_name = "ADDRESS", env = "POSTLOG_SMTP_LISTEN")]
    smtp_listen: Option<String>,
    /// Where HTTP listens; port 0 picks one [default: 127.0.0.1:8025]
    #[arg(long, value_name = "ADDRESS", env = "POSTLOG_HTTP_LISTEN")]
    http_listen: Option<String>,
    /// Which log is used: embedded, or kafka://host:port,host:port [default: embedded]
    #[arg(long, value_name = "LOG", env = "POSTLOG_LOG")]
    log: Option<String>,
    /// Which store is used [default: embedded]
    #[arg(long, value_name = "KIND", env = "POSTLOG_STORE")]
    store: Option<String>,
    /// A file whose first line becomes the first account's API key; POSTLOG_ADMIN_KEY gives the key itself
    #[arg(long, value_name = "FILE", env = "POSTLOG_ADMIN_KEY_FILE")]
    admin_key_file: Option<String>,
    /// A file with the key that webhooks are sealed with; POSTLOG_SEAL_KEY gives the key itself
    #[arg(long, value_name = "FILE", env = "POSTLOG_SEAL_KEY_FILE")]
    seal_key_file: Option<String>,
}

impl Run {
    pub fn flags(&self) -> Vec<(String, String)> {
        let flags = [
            ("stages", &self.stages),
            ("smtp.listen", &self.smtp_listen),
            ("http.listen", &self.http_listen),
            ("log.kind", &self.log),
            ("store.kind", &self.store),
            ("admin_key_file", &self.admin_key_file),
            ("seal_key_file", &self.seal_key_file),
        ];
        flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))).collect()
    }

    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let flags = self.flags();
        let notes = config::strange_variables(&place.sources(flags.clone()));
        let settings = place.settings(flags)?;
        telemetry::start_logs(&settings.telemetry.log, &settings.telemetry.format)?;
        for note in notes {
            tracing::warn!(variable = note.key, cause = note.cause, "a variable is ignored");
        }
        assemble::house::run(settings).await?;
        Ok(())
    }
}
