//! What was asked for: one file a command. Commands of operators speak HTTP to the server that runs on the data folder,
//! or to one that they start for themselves when nobody does ([`door`]); `run` serves.

mod account;
mod address;
mod check;
mod correction;
mod domain;
mod door;
mod dump;
mod explain;
mod failure;
mod forward;
mod ingest;
mod key;
mod ready;
mod rebuild;
mod replay;
mod run;
mod screen;
mod spam;
mod tail;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Fault, Settings, Sources};
use failure::Failure;

const EXIT_CODES: &str = "\
Exit codes:
  0  it is done
  1  it could not be done; standard error says why
  2  the command line or the configuration can't work
  3  nobody is there: no server runs, or it is not ready
  4  a part was refused (ingest)

Every setting: docs/config.md. Precedence: flag, POSTLOG_… variable, file, default.";

/// Self-hosted inbound mail whose single source of truth is a message log.
#[derive(Debug, Parser)]
#[command(name = "postlog", version, after_help = EXIT_CODES, infer_subcommands = false)]
pub struct Cli {
    #[command(flatten)]
    pub place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where everything is kept and configured: the same for every command.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE", env = "POSTLOG_CONFIG")]
    config: Option<PathBuf>,
    /// The folder that everything is kept in [default: ./data]
    #[arg(long, global = true, value_name = "FOLDER", env = "POSTLOG_DATA_DIR")]
    data_dir: Option<String>,
    /// Any setting, by its key in the file: --set log.partitions=3
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: take mail by SMTP, compute, and answer HTTP
    Run(run::Run),
    /// Read the configuration and list every fault with its key
    Check(check::Check),
    /// Say whether the server on the data folder is ready
    Ready(ready::Ready),
    /// Bring in mail from files: .eml, folders, mboxes
    Ingest(ingest::Ingest),
    /// Show the events of a topic
    Tail(tail::Tail),
    /// Domains and their catch-alls
    Domain(domain::Domain),
    /// Reserved addresses
    Address(address::Address),
    /// Accounts
    Account(account::Account),
    /// API keys of an account
    Key(key::Key),
    /// Whom mail is told to, and what became of it
    Forward(forward::Forward),
    /// Say why a mail is where it is, or where mail for an address goes
    Explain(explain::Explain),
    /// Fold the log into new tables and put them in place of the old
    Rebuild(rebuild::Rebuild),
    /// Compute scores or routes again from the log
    Replay(replay::Replay),
    /// What people have said of mail: spam or ham
    Correction(correction::Correction),
    /// The spam classifier: train, score and judge it
    Spam(spam::Spam),
    /// Write every view as JSON lines
    Dump(dump::Dump),
    /// Print the reference of the configuration (docs/config.md)
    #[command(hide = true)]
    Reference,
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::from(anyhow::anyhow!("threads can't be started: {error}")).told(),
    };
    let done = runtime.block_on(dispatch(cli));
    // What still runs must not keep the process from ending.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.told(),
    }
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let place = cli.place;
    match cli.command {
        Command::Run(command) => command.run(&place).await,
        Command::Check(command) => command.run(&place),
        Command::Ready(command) => command.run(&place).await,
        Command::Ingest(command) => command.run(&place).await,
        Command::Tail(command) => command.run(&place).await,
        Command::Domain(command) => command.run(&place).await,
        Command::Address(command) => command.run(&place).await,
        Command::Account(command) => command.run(&place).await,
        Command::Key(command) => command.run(&place).await,
        Command::Forward(command) => command.run(&place).await,
        Command::Explain(command) => command.run(&place).await,
        Command::Rebuild(command) => command.run(&place).await,
        Command::Replay(command) => command.run(&place).await,
        Command::Correction(command) => command.run(&place).await,
        Command::Spam(command) => command.run(&place).await,
        Command::Dump(command) => command.run(&place).await,
        Command::Reference => screen::print(&crate::config::reference::page()),
    }
}

impl Place {
    /// The settings, with what a command's own flags say over them.
    pub fn settings(&self, flags: Vec<(String, String)>) -> Result<Settings, Failure> {
        Ok(crate::config::load(&self.sources(flags))?)
    }

    pub fn sources(&self, flags: Vec<(String, String)>) -> Sources {
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        for pair in &self.set {
            match pair.split_once('=') {
                Some((key, value)) => all.push((key.trim().to_owned(), value.to_owned())),
                None => {
                    let cause = "it must be KEY=VALUE, such as log.partitions=3".to_owned();
                    faults.push(Fault { key: format!("--set {pair}"), source: None, cause });
                }
            }
        }
        all.extend(self.data_dir.iter().map(|folder| ("data_dir".to_owned(), folder.clone())));
        all.extend(flags);
        Sources { file: self.config.clone(), environment: Sources::environment(), flags: all, faults }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_that_is_a_setting_has_a_key_and_a_variable() {
        let keys = crate::config::Config::keys();
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        for flag in run.get_arguments().filter(|flag| flag.get_long().is_some()) {
            let Some(variable) = flag.get_env().map(|name| name.to_string_lossy().into_owned()) else { continue };
            assert!(keys.iter().any(|key| key.variable() == variable), "{variable} has no key");
        }
    }
}
