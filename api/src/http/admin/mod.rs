//! The operator's routes: what a hosted service has in its dashboard, and what the command line does. Each takes the
//! key of an administrator.

mod accounts;
mod corrections;
mod domains;
mod ingest;
mod letters;
mod replay;
pub(super) mod stream;
mod upkeep;

use std::sync::Arc;

use axum::Router;

use super::doors::Api;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .merge(accounts::routes())
        .merge(super::spam_folder::admin_routes())
        .merge(corrections::routes())
        .merge(domains::routes())
        .merge(super::forwards::admin_routes())
        .merge(ingest::routes())
        .merge(replay::routes())
        .merge(letters::routes())
        .merge(upkeep::routes())
}
