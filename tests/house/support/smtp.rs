//! A small SMTP client: strict about what it reads, free in what it writes.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

pub struct Smtp {
    stream: BufReader<TcpStream>,
}

/// A reply, all its lines; each without its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub lines: Vec<String>,
}

impl Reply {
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// The message id of the answer to the end of data: `250 2.0.0 OK: queued as <id>`.
    pub fn queued_as(&self) -> String {
        let id = self.text().strip_prefix("2.0.0 OK: queued as ").map(str::to_owned);
        assert!(self.code == 250 && id.is_some(), "{self:?}");
        id.unwrap()
    }
}

impl Smtp {
    /// Connects and reads the greeting.
    pub fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream: BufReader::new(stream) };
        let greeting = client.reply()?;
        if greeting.code == 220 { Ok(client) } else { Err(std::io::Error::other(format!("{greeting:?}"))) }
    }

    /// Connects, and has said EHLO.
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        let mut client = Self::connect(address)?;
        client.expect("EHLO client.example.com", 250)?;
        Ok(client)
    }

    pub fn reply(&mut self) -> std::io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.strip_suffix("\r\n").ok_or_else(|| std::io::Error::other(format!("no CRLF: {line:?}")))?;
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or_else(|| std::io::Error::other(format!("no code: {line:?}")))?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    pub fn command(&mut self, line: &str) -> std::io::Result<Reply> {
        self.write(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    pub fn expect(&mut self, line: &str, code: u16) -> std::io::Result<Reply> {
        let reply = self.command(line)?;
        if reply.code == code { Ok(reply) } else { Err(std::io::Error::other(format!("{line}: {reply:?}"))) }
    }

    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// One mail up to its end; the answer is not read.
    pub fn submit(&mut self, from: &str, recipients: &[&str], content: &[u8]) -> std::io::Result<()> {
        self.expect(&format!("MAIL FROM:<{from}>"), 250)?;
        for recipient in recipients {
            self.expect(&format!("RCPT TO:<{recipient}>"), 250)?;
        }
        self.expect("DATA", 354)?;
        self.write(&stuffed(content))
    }

    /// What has come and was not read, without waiting for it.
    pub fn waiting(&self) -> Vec<u8> {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).unwrap();
        let mut bytes = vec![0; 4096];
        let count = stream.peek(&mut bytes).unwrap_or(0);
        stream.set_nonblocking(false).unwrap();
        bytes.truncate(count);
        bytes
    }

    /// One mail: the answer to the end of data, or the first answer that refuses.
    pub fn send(&mut self, from: &str, recipients: &[&str], content: &[u8]) -> std::io::Result<Reply> {
        let mail = self.command(&format!("MAIL FROM:<{from}>"))?;
        if mail.code != 250 {
            return Ok(mail);
        }
        for recipient in recipients {
            let reply = self.command(&format!("RCPT TO:<{recipient}>"))?;
            if reply.code != 250 {
                return Ok(reply);
            }
        }
        let data = self.command("DATA")?;
        if data.code != 354 {
            return Ok(data);
        }
        self.write(&stuffed(content))?;
        self.reply()
    }
}

/// The content as it goes over the wire, with its end (RFC 5321 4.5.2).
pub fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(content.len() + 64);
    let mut line_starts = true;
    for &byte in content {
        if line_starts && byte == b'.' {
            wire.push(b'.');
        }
        wire.push(byte);
        line_starts = byte == b'\n';
    }
    if !line_starts {
        wire.extend(b"\r\n");
    }
    wire.extend(b".\r\n");
    wire
}
