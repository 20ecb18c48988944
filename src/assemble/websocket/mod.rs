//! Between the log and those who listen at the websocket door: one reader of `mail.routed` for the whole process, whose
//! mail the sink's hub spreads; what somebody missed is read for them alone. It knows neither sockets nor rules.

mod feed;
mod listening;
mod tellable;

pub use feed::Feed;
pub use listening::Sockets;
