//! `postlog ready`: whether the server takes mail and shows it. For health checks and for scripts that have to wait.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::door::ask_ready;
use super::failure::Failure;
use super::{Place, screen};
use crate::assemble::ServerFile;

const GLANCE: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub struct Ready {
    /// A server elsewhere, such as http://mail.example.com:8025 [default: the one on the data folder]
    #[arg(long, value_name = "URL", env = "POSTLOG_URL")]
    url: Option<String>,
    /// Wait until it is ready
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, default_value_t = 60, value_name = "SECONDS", requires = "wait")]
    timeout: u64,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

impl Ready {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let folder = place.settings(Vec::new())?.data_dir;
        let look = async || match self.server(&folder) {
            Some(url) => ask_ready(url.trim_end_matches('/')).await,
            None => Err(vec![format!("no server runs on {}", folder.display())]),
        };
        let waiting = async {
            let mut looked = look().await;
            while self.wait && looked.is_err() {
                tokio::time::sleep(GLANCE).await;
                looked = look().await;
            }
            looked
        };
        let limit = Duration::from_secs(self.timeout);
        let looked = match tokio::time::timeout(limit, waiting).await {
            Ok(looked) => looked,
            Err(_) => Err(vec![format!("it was not ready within {} seconds", self.timeout)]),
        };
        self.tell(looked)
    }

    /// Whom to ask. A process without the API answers this one question elsewhere.
    fn server(&self, folder: &Path) -> Option<String> {
        let on_folder = || {
            let server = ServerFile::read(folder)?;
            server.http.or(server.probes).map(|address| format!("http://{address}"))
        };
        self.url.clone().or_else(on_folder)
    }

    fn tell(&self, looked: Result<(), Vec<String>>) -> Result<(), Failure> {
        let missing = looked.err().unwrap_or_default();
        if self.json {
            let object: Value = json!({ "ready": missing.is_empty(), "missing": missing });
            screen::json(&object)?;
        } else if missing.is_empty() {
            screen::print("ready\n")?;
        }
        if missing.is_empty() { Ok(()) } else { Err(Failure::NotReady(format!("not ready: {}", missing.join("; ")))) }
    }
}
