//! The forwards: what is due is delivered, tried again and at last given up, whatever is called and however often the
//! program dies meanwhile. What is due stands on `forward.due`, what was tried on `forward.attempts`; the memory here
//! is folded from the former and owns nothing.
//!
//! - [`due()`]: what a routed message makes due.
//! - [`schedule`]: when a delivery that failed is tried again.
//! - `book`: what is due, a queue a target, and which of it may start now; `breaker`: what a dead target costs.
//! - [`Engine`]: makes the calls that the book allows (`carry`, `conclude`) and has the [`Ledger`] record them.
//!
//! It does not know how anything is called ([`Courier`]), what a log is ([`Ledger`], [`Shown`]) or how accounts are
//! kept up to date ([`Directory`]).
//!
//! # Who runs it
//! 1. A group on `mail.routed` writes what [`due()`] says to `forward.due`, in the same partition and under the delivery's
//!    id, in one commit with its position.
//! 2. Every record of `forward.due` is folded into the engine, in order and from the beginning; when the end that the
//!    log had at the start is reached, [`Engine::run`] begins, and folding goes on. Nothing else is remembered: two
//!    engines that are folded from the same records do the same.
//! 3. Several engines share the partitions: one [takes up](Engine::take_up) what a partition holds when it is given to
//!    it, folds what follows, and [forgets](Engine::forget) it when it goes to another. What is in flight then may be
//!    called once more, under the same id. Breakers and rates are each engine's own.
//! 4. What the ledger records comes round through `forward.due` again. Memory grows with what is due, by ids and times.

mod book;
mod breaker;
mod carry;
mod clock;
mod conclude;
mod courier;
mod directory;
mod due;
mod engine;
mod known;
mod ledger;
pub mod metric;
mod queue;
pub mod schedule;

pub use book::{Figures, Limits};
pub use clock::{Clock, SystemClock};
pub use courier::{Attempted, Called, Courier, Delivery, MAX_ANSWER_BYTES, MAX_CAUSE_BYTES};
pub use directory::{Directory, Standing, Target, look_up};
pub use due::{delivery_id, due, due_again};
pub use engine::{Engine, Parts, Settings};
pub use ledger::{DueRecord, Ledger, LedgerError, Next, Recorded, Shown, SwitchedOff};
