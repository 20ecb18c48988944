//! `postlog spam serve`: the classifier as a server of its own, without log, store or mail.

use std::net::SocketAddr;

use anyhow::Context;
use api::http::{Classifier, classifier_alone};
use clap::Args;
use tokio::net::TcpListener;

use super::super::Place;
use super::super::failure::Failure;
use super::super::screen;
use super::choice::Choice;
use crate::assemble::house::stop_signal;
use crate::telemetry;

#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    model: Choice,
    /// Where it listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

impl Serve {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let settings = place.settings(Vec::new())?;
        telemetry::start_logs(&settings.telemetry.log, &settings.telemetry.format)?;
        let stop = stop_signal()?;
        let model = tokio::task::spawn_blocking(move || self.model.load()).await??;
        let listener =
            TcpListener::bind(self.listen).await.with_context(|| format!("{} can't be listened on", self.listen))?;
        let (address, version) = (listener.local_addr()?, model.version().to_owned());
        screen::print(&format!("classifier  http://{address}/api/spam-checks\nmodel       {version}\n"))?;
        let router = classifier_alone(Classifier::new(move || model.clone()));
        api::http::serve(listener, router, stop).await?;
        Ok(())
    }
}
