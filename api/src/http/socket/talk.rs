//! One websocket from its greeting to its close: frames out, pings, and whatever the client says ignored.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::super::doors::Api;
use super::ask::{Admitted, Refusal, code};
use super::seam::{Listening, Next};

const PING_EVERY: Duration = Duration::from_secs(25);
/// Pings without an answer after which the peer is taken as gone.
const MISSED_PINGS: u32 = 2;
/// Bytes of what a client says at once.
pub const MAX_CLIENT_BYTES: usize = 4096;
/// What a client may say between two pings.
const MAX_CLIENT_FRAMES: u32 = 1000;
/// A frame is sent in pieces of this size, so that one to thousands takes no copy of it for each.
const PIECE_BYTES: usize = 64 << 10;
/// For one piece to be taken.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// For a piece that is on its way when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// For the peer's answer to our close.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// RFC 6455 5.5: 125 bytes, two of them the code.
const MAX_REASON_BYTES: usize = 123;

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * PIECE_BYTES)
        .max_message_size(Some(MAX_CLIENT_BYTES))
        .max_frame_size(Some(MAX_CLIENT_BYTES))
}

/// Why a socket ends.
enum End {
    /// We say why.
    Close(u16, String),
    /// The peer has closed, or is not there any more.
    Gone,
}

type Outcome = Result<(), End>;

pub async fn talk<S: AsyncRead + AsyncWrite + Unpin>(api: &Api, stream: S, admitted: Admitted) {
    let Admitted { listening, greeting, key_sha256 } = admitted;
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config())).await;
    let mut talk = Talk { api, socket, unanswered: 0, heard: 0 };
    let end = talk.on(listening, greeting, &key_sha256).await;
    if let End::Close(code, reason) = end {
        tracing::debug!(code, "a websocket is closed");
        close(talk.socket, code, &reason).await;
    }
}

/// Says why, and closes.
pub async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, refusal: &Refusal) {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config())).await;
    let text = json!({ "status": refusal.status, "error": refusal.error }).to_string();
    if matches!(timeout(CLOSE_LIMIT, socket.send(Message::text(text))).await, Ok(Ok(()))) {
        close(socket, refusal.close, &refusal.error).await;
    }
}

struct Talk<'a, S> {
    api: &'a Api,
    socket: WebSocketStream<S>,
    /// Pings.
    unanswered: u32,
    /// Since the last ping.
    heard: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    async fn on(&mut self, mut listening: Box<dyn Listening>, greeting: String, key_sha256: &str) -> End {
        if let Err(end) = self.send(Message::text(greeting)).await {
            return end;
        }
        let shutdown = self.api.doors.shutdown.clone();
        let mut ticks = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let went_on = tokio::select! {
                () = shutdown.cancelled() => Err(stopping(listening.as_ref())),
                said = self.socket.next() => self.hear(said),
                next = listening.next() => self.tell(next).await,
                _ = ticks.tick() => self.ping(key_sha256).await,
            };
            if let Err(end) = went_on {
                return end;
            }
        }
    }

    /// RFC 6455 5.5.2: a ping is answered by the library, at the next read or write.
    fn hear(&mut self, said: Option<Result<Message, Error>>) -> Outcome {
        self.heard += 1;
        match said {
            Some(Ok(Message::Pong(_))) => self.unanswered = 0,
            Some(Ok(Message::Close(_))) | None => return Err(End::Gone),
            Some(Err(Error::Capacity(_))) => return Err(End::Close(code::TOO_LONG, "too long".to_owned())),
            Some(Err(Error::Utf8(_))) => return Err(End::Close(code::NO_TEXT, "not UTF-8".to_owned())),
            Some(Err(Error::Protocol(_))) => return Err(End::Close(code::PROTOCOL, "not RFC 6455".to_owned())),
            Some(Err(_)) => return Err(End::Gone),
            Some(Ok(_)) => {}
        }
        if self.heard > MAX_CLIENT_FRAMES {
            return Err(End::Close(code::POLICY, "too much is said".to_owned()));
        }
        Ok(())
    }

    async fn tell(&mut self, next: Next) -> Outcome {
        match next {
            Next::Mail { body, cursor } => self.mail(body, &cursor).await,
            Next::CaughtUp { cursor } => {
                let marker = json!({ "status": 200, "msg": "caught_up", "cursor": cursor });
                self.send(Message::text(marker.to_string())).await
            }
            Next::TooSlow { cursor } => Err(End::Close(code::AGAIN_LATER, cursor)),
        }
    }

    /// One message, its body shared with everybody who gets it.
    async fn mail(&mut self, mut body: Bytes, cursor: &str) -> Outcome {
        let rest = format!(",\"cursor\":\"{cursor}\"}}");
        if body.len() + rest.len() <= PIECE_BYTES {
            let frame = [&body, rest.as_bytes()].concat();
            return self.send(piece(Bytes::from(frame), Data::Text, true)).await;
        }
        let mut kind = Data::Text;
        while !body.is_empty() {
            let next = body.split_to(body.len().min(PIECE_BYTES));
            self.send(piece(next, kind, false)).await?;
            kind = Data::Continue;
        }
        self.send(piece(Bytes::from(rest), Data::Continue, true)).await
    }

    async fn ping(&mut self, key_sha256: &str) -> Outcome {
        if self.unanswered >= MISSED_PINGS {
            return Err(End::Gone);
        }
        if !self.api.table(|table| table.account_by_sha256(key_sha256).is_some()) {
            return Err(End::Close(code::NOT_AUTHORIZED, "the key is not good any more".to_owned()));
        }
        self.unanswered += 1;
        self.heard = 0;
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> Outcome {
        let shutdown = self.api.doors.shutdown.clone();
        let sending = within(SEND_LIMIT, self.socket.send(message));
        let mut sending = pin!(sending);
        tokio::select! {
            sent = sending.as_mut() => sent,
            () = shutdown.cancelled() => within(STOP_LIMIT, sending).await,
        }
    }
}

fn piece(bytes: Bytes, kind: Data, last: bool) -> Message {
    Message::Frame(Frame::message(bytes, OpCode::Data(kind), last))
}

fn stopping(listening: &dyn Listening) -> End {
    End::Close(code::RESTART, listening.cursor())
}

/// What does not end in time or well has no peer any more.
async fn within<T, E>(limit: Duration, doing: impl Future<Output = Result<T, E>>) -> Result<T, End> {
    timeout(limit, doing).await.map_err(|_| End::Gone)?.map_err(|_| End::Gone)
}

/// RFC 6455 7.1.1: our close, then whatever the peer still has to say up to its own, so that the connection isn't reset
/// under what we said.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>, code: u16, reason: &str) {
    let reason = if reason.len() <= MAX_REASON_BYTES { reason } else { "" };
    let frame = CloseFrame { code: code.into(), reason: reason.into() };
    let farewell = async {
        if socket.close(Some(frame)).await.is_ok() {
            while matches!(socket.next().await, Some(Ok(_))) {}
        }
    };
    let _ = timeout(CLOSE_LIMIT, farewell).await;
}
