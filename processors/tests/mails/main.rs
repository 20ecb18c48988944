//! The processors seen from outside: mails as files, mails at every limit, and mails out of chance.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop where something is wrong")]

mod cases;
mod hostile;
mod limits;
mod random;
