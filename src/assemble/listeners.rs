//! The doors' sockets. They are bound once and outlive every engine, so that nobody is turned away by the system while
//! the log is reopened. The chosen addresses are written down for those who look for this server.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::config::Settings;

/// In the data folder, while a server runs on it.
const SERVER_FILE: &str = "server.json";

/// Bound sockets; `None` where the stage doesn't run here.
pub struct Listeners {
    smtp: Option<TcpListener>,
    http: Option<TcpListener>,
    /// Where a process without HTTP says how it is.
    probes: Option<TcpListener>,
}

/// Who serves a data folder, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFile {
    pub pid: u32,
    pub version: String,
    pub smtp: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    /// Where `/readyz` and `/metrics` are, when HTTP is not served.
    #[serde(default)]
    pub probes: Option<SocketAddr>,
}

impl Listeners {
    pub fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let bind = |wanted: bool, key: &str, address: SocketAddr| {
            let bound = wanted.then(|| bind(address)).transpose();
            bound.with_context(|| {
                let advice = format!("choose another address by --set {key}=… (port 0 picks a free one)");
                format!("{key}: can't listen on {address}; {advice}")
            })
        };
        Ok(Self {
            smtp: bind(settings.stages.ingest, "smtp.listen", settings.smtp_listen)?,
            http: bind(settings.stages.api, "http.listen", settings.http_listen)?,
            probes: bind(!settings.stages.api, "telemetry.listen", settings.probes_listen)?,
        })
    }

    pub fn smtp(&self) -> anyhow::Result<Option<tokio::net::TcpListener>> {
        self.smtp.as_ref().map(again).transpose()
    }

    pub fn http(&self) -> anyhow::Result<Option<tokio::net::TcpListener>> {
        self.http.as_ref().map(again).transpose()
    }

    pub fn probes(&self) -> anyhow::Result<Option<tokio::net::TcpListener>> {
        self.probes.as_ref().map(again).transpose()
    }

    pub fn file(&self) -> ServerFile {
        let address = |listener: &Option<TcpListener>| listener.as_ref().and_then(|bound| bound.local_addr().ok());
        ServerFile {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            smtp: address(&self.smtp),
            http: address(&self.http),
            probes: address(&self.probes),
        }
    }
}

impl ServerFile {
    /// `None` when nobody has written it.
    pub fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(SERVER_FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Whole or not at all: who reads it may come at any moment.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let draft = folder.join("server.json.new");
        let text = serde_json::to_string(self)?;
        std::fs::write(&draft, text + "\n").with_context(|| format!("{} can't be written", draft.display()))?;
        std::fs::rename(&draft, folder.join(SERVER_FILE)).context("server.json can't be put in its place")
    }

    pub fn remove(folder: &Path) {
        // It may not be there: what matters is that it isn't afterwards.
        let _ = std::fs::remove_file(folder.join(SERVER_FILE));
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn again(listener: &TcpListener) -> anyhow::Result<tokio::net::TcpListener> {
    let same = listener.try_clone().context("a listening socket can't be shared")?;
    Ok(tokio::net::TcpListener::from_std(same)?)
}
