//! A small SMTP client that costs little: prepared bytes out, reply codes in, one transaction after the other on a
//! kept connection. Every reply is read and judged; nothing is retried.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A reply may have this many bytes; no server under test says more.
const MAX_REPLY_BYTES: usize = 16 * 1024;
/// Longest wait for one transaction, or for the greeting.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    read_to: usize,
    line: Range<usize>,
    pipelining: bool,
    commands: Vec<u8>,
}

/// What became of one transaction.
pub enum Outcome {
    /// The 250 to the end of data.
    Accepted {
        /// From the first byte of MAIL to the 250.
        transaction: Duration,
        /// From the first byte of the data to the 250.
        to_250: Duration,
    },
    /// Any other answer, with the server's words.
    Refused(String),
}

impl Client {
    /// Connects and says EHLO. `fair` leaves pipelining alone even where it is announced.
    pub async fn connect(address: SocketAddr, fair: bool) -> Result<Self> {
        timeout(PATIENCE, Self::greet(address, fair)).await.context("no greeting in time")?
    }

    async fn greet(address: SocketAddr, fair: bool) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let mut client = Self {
            stream,
            input: Vec::with_capacity(2048),
            read_to: 0,
            line: 0..0,
            pipelining: false,
            commands: Vec::with_capacity(256),
        };
        let code = client.reply(&mut |_| {}).await?;
        ensure!(code == 220, "the server greets with {:?}", client.last_line());
        client.stream.write_all(b"EHLO client.load.example\r\n").await?;
        let mut announced = false;
        let code = client.reply(&mut |line| announced |= line.get(4..) == Some(b"PIPELINING")).await?;
        ensure!(code == 250, "EHLO is answered by {:?}", client.last_line());
        client.pipelining = announced && !fair;
        Ok(client)
    }

    pub fn pipelines(&self) -> bool {
        self.pipelining
    }

    /// One mail to one recipient. An error means that the connection is of no more use.
    pub async fn send(&mut self, recipient: &str, mail: &Bytes) -> Result<Outcome> {
        timeout(PATIENCE, self.transaction(recipient, mail)).await.context("no answer in time")?
    }

    async fn transaction(&mut self, recipient: &str, mail: &Bytes) -> Result<Outcome> {
        let began = Instant::now();
        let mut refusal =
            if self.pipelining { self.envelope_at_once(recipient).await? } else { self.envelope(recipient).await? };
        if refusal.as_ref().is_some_and(|refused| !refused.data_expected) {
            return self.reset(refusal.take().map(|refused| refused.words).unwrap_or_default()).await;
        }
        let data_began = Instant::now();
        self.stream.write_all(mail).await?;
        let code = self.reply(&mut |_| {}).await?;
        let end = Instant::now();
        if code == 250 && refusal.is_none() {
            return Ok(Outcome::Accepted { transaction: end - began, to_250: end - data_began });
        }
        let words = refusal.map_or_else(|| self.last_line(), |refused| refused.words);
        self.reset(words).await
    }

    /// MAIL, RCPT and DATA in one write, their three replies after it (RFC 2920 3.1).
    async fn envelope_at_once(&mut self, recipient: &str) -> Result<Option<Refused>> {
        self.commands.clear();
        self.commands.extend_from_slice(b"MAIL FROM:<sender@load.example>\r\nRCPT TO:<");
        self.commands.extend_from_slice(recipient.as_bytes());
        self.commands.extend_from_slice(b">\r\nDATA\r\n");
        self.stream.write_all(&self.commands).await?;
        let mut words = None;
        for expected in [250, 250, 354] {
            let code = self.reply(&mut |_| {}).await?;
            if code != expected && words.is_none() {
                words = Some(self.last_line());
            }
            if expected == 354 && words.is_some() {
                return Ok(words.map(|words| Refused { words, data_expected: code == 354 }));
            }
        }
        Ok(None)
    }

    async fn envelope(&mut self, recipient: &str) -> Result<Option<Refused>> {
        for step in 0..3 {
            self.commands.clear();
            match step {
                0 => self.commands.extend_from_slice(b"MAIL FROM:<sender@load.example>\r\n"),
                1 => {
                    self.commands.extend_from_slice(b"RCPT TO:<");
                    self.commands.extend_from_slice(recipient.as_bytes());
                    self.commands.extend_from_slice(b">\r\n");
                }
                _ => self.commands.extend_from_slice(b"DATA\r\n"),
            }
            self.stream.write_all(&self.commands).await?;
            let code = self.reply(&mut |_| {}).await?;
            if code != if step == 2 { 354 } else { 250 } {
                return Ok(Some(Refused { words: self.last_line(), data_expected: false }));
            }
        }
        Ok(None)
    }

    async fn reset(&mut self, words: String) -> Result<Outcome> {
        self.stream.write_all(b"RSET\r\n").await?;
        let code = self.reply(&mut |_| {}).await?;
        if code != 250 {
            bail!("RSET is answered by {:?}", self.last_line());
        }
        Ok(Outcome::Refused(words))
    }

    pub async fn quit(mut self) {
        // The server may be gone already: nothing is left to be lost here.
        let _ = self.stream.write_all(b"QUIT\r\n").await;
        let _ = timeout(Duration::from_millis(200), self.reply(&mut |_| {})).await;
    }

    /// The last line of the last reply.
    pub fn last_line(&self) -> String {
        String::from_utf8_lossy(self.input.get(self.line.clone()).unwrap_or_default()).into_owned()
    }

    /// Reads one reply to its last line; `each` sees every line without its CRLF.
    async fn reply(&mut self, each: &mut impl FnMut(&[u8])) -> Result<u16> {
        loop {
            let start = self.read_to;
            let unread = self.input.get(start..).unwrap_or_default();
            if let Some(length) = unread.iter().position(|&byte| byte == b'\n') {
                let end = start + length;
                self.read_to = end + 1;
                let line = self.input.get(start..end).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                each(line);
                if line.get(3) == Some(&b'-') {
                    continue;
                }
                self.line = start..start + line.len();
                return code(line);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        // What was read is dropped only when more is needed: `last_line` stays readable until then.
        self.input.drain(..self.read_to);
        self.read_to = 0;
        self.line = 0..0;
        ensure!(self.input.len() < MAX_REPLY_BYTES, "a reply of more than {MAX_REPLY_BYTES} bytes");
        if self.stream.read_buf(&mut self.input).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }
}

struct Refused {
    words: String,
    /// DATA was answered by 354 all the same: the data has to be sent.
    data_expected: bool,
}

fn code(line: &[u8]) -> Result<u16> {
    let digits = line.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
    digits
        .and_then(|digits| digits.parse().ok())
        .with_context(|| format!("no reply code in {:?}", String::from_utf8_lossy(line)))
}
