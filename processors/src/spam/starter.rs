//! The model that ships in the program. Counts of token hashes and no text.

use std::sync::{Arc, LazyLock};

use super::counts::Counts;

static STARTER: LazyLock<Arc<Counts>> = LazyLock::new(|| Arc::new(Counts::default()));

pub(crate) fn counts() -> Arc<Counts> {
    Arc::clone(&STARTER)
}
