//! A client that listens.

use std::net::TcpStream;
use std::time::Instant;

use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, HandshakeError, Message, WebSocket};

use super::PATIENCE;
use super::server::{KEY, Server};

pub struct Listener {
    socket: WebSocket<TcpStream>,
}

/// What the server says, pings left out.
#[derive(Debug)]
pub enum Said {
    Frame(Value),
    Closed(u16, String),
}

impl Listener {
    /// With the tests' key, unless a header brings another.
    pub fn open(server: &Server, query: &str, headers: &[(&str, &str)]) -> Result<Self, tungstenite::Error> {
        let url = format!("ws://{}/incoming-messages?addresses={query}", server.http);
        let mut request = url.into_client_request()?;
        request.headers_mut().insert("mailsac-key", HeaderValue::from_static(KEY));
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect_timeout(&server.http, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(HandshakeError::Failure(error)) => Err(error),
            Err(HandshakeError::Interrupted(_)) => panic!("no answer within {PATIENCE:?}"),
        }
    }

    /// One who has read its greeting.
    pub fn greeted(server: &Server, query: &str) -> Self {
        let mut listener = Self::open(server, query, &[]).unwrap();
        match listener.next() {
            Said::Frame(greeting) if greeting["status"] == 200 && greeting["msg"] == "Listening" => listener,
            other => panic!("{other:?}"),
        }
    }

    pub fn next(&mut self) -> Said {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "nothing but pings within {PATIENCE:?}");
            match self.socket.read().unwrap() {
                Message::Text(text) => return Said::Frame(serde_json::from_str(&text).unwrap()),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(Some(frame)) => return Said::Closed(frame.code.into(), frame.reason.to_string()),
                other => panic!("{other:?}"),
            }
        }
    }
}
