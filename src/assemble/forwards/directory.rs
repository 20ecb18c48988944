//! The table of accounts, as the engine looks forwards up in it.

use std::sync::Arc;

use accounts::{Sealer, Table};
use async_trait::async_trait;
use eventlog::Follower;
use sinks::forward::{Directory, Standing, look_up};

pub struct Followed {
    pub accounts: Arc<Follower<Table>>,
    pub sealer: Sealer,
}

#[async_trait]
impl Directory for Followed {
    fn find(&self, forward: &str) -> Standing {
        self.accounts.read(|table| look_up(table, &self.sealer, forward))
    }

    async fn catch_up(&self) -> Result<(), String> {
        self.accounts.catch_up().await.map_err(|error| error.to_string())
    }
}
