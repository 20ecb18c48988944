//! `schemas`: every schema ever released.

use serde::{Deserialize, Serialize};

/// A schema under its subject, with the id that values name it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedSchema {
    pub subject: String,
    /// Counts the schemas of this subject, from 1.
    pub version: i32,
    pub id: i32,
    /// The schema's JSON.
    pub schema: String,
}
