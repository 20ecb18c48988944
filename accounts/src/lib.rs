//! Who owns what: the table that is folded from the topic `accounts`, and the rules that read it. It knows no log, no
//! clock and no socket: the same events in the same order give the same table everywhere.

mod address;
mod fold;
mod forwards;
mod resolve;
mod seal;
mod table;
mod websocket;

pub use address::{DEFAULT_DOMAIN, InvalidAddress, MAX_ADDRESS_BYTES, normalise, normalise_domain, split_domain};
pub use fold::{MAX_FORWARDS, MAX_KEYS};
pub use resolve::{Copied, MAX_COPIES, Route};
pub use seal::Sealer;
pub use table::{
    Access, Account, CatchAll, Domain, Forward, Key, MAX_SCORE_THOUSANDTHS, Reserved, SwitchedOff, Table, key_sha256,
};
pub use websocket::Told;
