//! Measures Postlog and its peers from outside, through the doors that anybody may use: SMTP in, HTTP out. Knows
//! nothing of Postlog's rooms. See README.md beside this.

mod cli;
mod dialect;
mod flood;
mod http;
mod mail;
mod peers;
mod process;
mod reads;
mod report;
mod results;
mod samples;
mod scale;
mod server;
mod sink;
mod smtp;
mod suite;
mod table;
mod targets;
mod visible;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Options;
use crate::dialect::Kind;
use crate::mail::Mails;
use crate::report::Head;
use crate::scale::Scale;
use crate::server::{How, Recipe, Source};
use crate::suite::Suite;

fn main() -> ExitCode {
    match measure(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line with its causes: a backtrace tells a person nothing about a server that isn't there.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: Options) -> Result<()> {
    options.check()?;
    // One thread: the client must leave the machine to the server that it measures.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(options))
}

async fn run(options: Options) -> Result<()> {
    let real = options.mail.as_deref().map(Mails::folder).transpose()?;
    let (head, file) = (report::Head::now(&options), options.file());
    let mut terminate = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = measured(options, real, &head) => report?,
        // Leaving by an error drops every server, which ends its process.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    };
    println!("{report}");
    if let Some(path) = &file {
        std::fs::write(path, &report).with_context(|| format!("writing {}", path.display()))?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

async fn measured(options: Options, real: Option<Mails>, head: &Head) -> Result<String> {
    if options.is_of_scale() {
        let mut scale = Scale::new(options, real)?;
        scale.run().await?;
        return Ok(scale.report(head));
    }
    let recipes = options.server.iter().map(|&kind| recipe(kind, &options)).collect::<Result<Vec<_>>>()?;
    let mut suite = Suite { options, recipes, real, results: results::Results::default() };
    suite.run().await?;
    Ok(report::markdown(head, &suite.results))
}

fn recipe(kind: Kind, options: &Options) -> Result<Recipe> {
    if let (Some(smtp), Some(http)) = (options.smtp, options.http) {
        let source = Source::Given { smtp, http, key: options.key.clone(), pid: options.pid };
        return Ok(Recipe { kind, source });
    }
    let program: PathBuf = match kind {
        Kind::Sink => return Ok(Recipe { kind, source: Source::Sink }),
        Kind::Postlog => options.program()?,
        Kind::Mailpit | Kind::Inbucket => peers::program(kind, options.cache.as_deref())?,
    };
    let work = options.work.clone().unwrap_or_else(std::env::temp_dir);
    Ok(Recipe { kind, source: Source::Program { program, work: std::path::absolute(work)?, how: How::default() } })
}
