//! `postlog spam`: the classifier as a tool. `train`, `predict`, `eval` and `review` of a folder work on files and need
//! no server; one file a command.

mod choice;
mod eval;
mod figures;
mod labelled;
mod models;
mod predict;
mod review;
mod serve;
mod train;

use clap::{Args, Subcommand};

use super::Place;
use super::failure::Failure;

#[derive(Debug, Args)]
pub struct Spam {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Count the words of spam and ham, and write a model
    Train(train::Train),
    /// Score mail in files: a path and its score a line
    Predict(predict::Predict),
    /// Say how well a model tells spam from ham
    Eval(eval::Eval),
    /// List the models: the program's own, and what stands on the log
    Models(models::Models),
    /// Say of mail what it is, the least certain first
    Review(review::Review),
    /// Serve POST /api/spam-checks and nothing else
    Serve(serve::Serve),
}

impl Spam {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        match self.command {
            Command::Train(command) => off_the_runtime(move || command.run()).await,
            Command::Predict(command) => off_the_runtime(move || command.run()).await,
            Command::Eval(command) => off_the_runtime(move || command.run()).await,
            Command::Models(command) => command.run(place).await,
            Command::Review(command) => command.run(place).await,
            Command::Serve(command) => command.run(place).await,
        }
    }
}

/// Reading and counting are no waits.
async fn off_the_runtime(work: impl FnOnce() -> Result<(), Failure> + Send + 'static) -> Result<(), Failure> {
    tokio::task::spawn_blocking(work).await?
}
