//! The operator's routes: what a hosted service has in its dashboard, and what the command line does. Each takes the
//! key of an administrator.

mod accounts;
mod domains;
mod ingest;
mod letters;
pub(super) mod stream;
mod upkeep;

use std::sync::Arc;

use axum::Router;

use super::doors::Api;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .merge(accounts::routes())
        .merge(domains::routes())
        .merge(super::forwards::admin_routes())
        .merge(ingest::routes())
        .merge(letters::routes())
        .merge(upkeep::routes())
}
