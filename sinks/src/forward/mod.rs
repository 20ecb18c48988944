//! The forwards: what is due is delivered, tried again and at last given up, whatever is called and however often the
//! program dies meanwhile. What is due stands on `forward.due`, what was tried on `forward.attempts`; the memory here
//! is folded from the former and owns nothing.
//!
//! It does not know how anything is called ([`Courier`]), what a log is ([`Ledger`], [`Shown`]) or how accounts are
//! kept up to date ([`Directory`]).

mod clock;
mod courier;
mod directory;
mod due;
mod ledger;

pub use clock::{Clock, SystemClock};
pub use courier::{Attempted, Called, Courier, Delivery, MAX_ANSWER_BYTES, MAX_CAUSE_BYTES};
pub use directory::{Directory, Standing, Target, look_up};
pub use due::{delivery_id, due, due_again};
pub use ledger::{DueRecord, Ledger, LedgerError, Next, Recorded, Shown, SwitchedOff};
