//! A stream with a buffer each way: replies wait in one until the peer has to be waited for, so the replies to one
//! pipelined burst leave in one write; what came lies in the other until a reader takes it.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What one read may bring.
const READ_BYTES: usize = 16 * 1024;
/// Replies are written before they grow beyond this, even when there is still input to answer.
const OUTPUT_BYTES: usize = 32 * 1024;
/// What a peer may still have on its way when the connection is closed; more, and it gets a reset.
const FAREWELL_BYTES: usize = 64 * 1024;

/// A stream, what was read from it and not yet taken, and what is to be written to it.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    input: BytesMut,
    output: BytesMut,
    input_limit: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// `input_limit` is the most that any reader leaves untaken, as the longest line that is kept whole.
    pub fn new(stream: S, input_limit: usize) -> Self {
        Self { stream, input: BytesMut::new(), output: BytesMut::new(), input_limit }
    }

    /// What came and was not taken yet.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Takes the first `count` bytes of the input, or all when there are fewer.
    pub fn consume(&mut self, count: usize) {
        self.input.advance(count.min(self.input.len()));
    }

    /// Where replies are put; they leave at the next [`Self::fill`] or [`Self::flush`].
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Whether so many replies wait that they should leave before more input is answered.
    pub fn is_output_full(&self) -> bool {
        self.output.len() >= OUTPUT_BYTES
    }

    /// Writes what waits, then reads once. Returns how many bytes came: 0 is the end of the stream. Nothing is lost
    /// when the future is dropped.
    pub async fn fill(&mut self) -> io::Result<usize> {
        self.flush().await?;
        if self.input.len() > self.input_limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "input was read and never taken"));
        }
        self.input.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.input).await
    }

    /// Writes what waits. Nothing is lost or written twice when the future is dropped.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        while !self.output.is_empty() {
            if self.stream.write_buf(&mut self.output).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.stream.flush().await
    }

    /// Ends the connection so that the peer reads the last replies: a socket closed with input unread is reset, and a
    /// reset may overtake what was written.
    pub async fn finish(mut self, limit: Duration) -> io::Result<()> {
        let farewell = async {
            self.flush().await?;
            self.stream.shutdown().await?;
            let mut left = FAREWELL_BYTES;
            while left > 0 {
                self.input.clear();
                self.input.reserve(READ_BYTES);
                match self.stream.read_buf(&mut self.input).await? {
                    0 => break,
                    count => left = left.saturating_sub(count),
                }
            }
            Ok(())
        };
        tokio::time::timeout(limit, farewell).await.unwrap_or(Ok(()))
    }

    /// Hands out the stream for an upgrade to TLS, after what waits was written. What came in clear text and was not
    /// taken is thrown away: it may be anybody's (CVE-2011-0411). Returns how many bytes that were.
    pub async fn into_upgrade(mut self) -> io::Result<(S, usize)> {
        self.flush().await?;
        Ok((self.stream, self.input.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn replies_leave_together_when_the_peer_has_to_be_waited_for() {
        let (near, far) = tokio::io::duplex(64);
        let mut connection = Connection::new(near, 64);
        let mut peer = Connection::new(far, 64);
        peer.output().extend_from_slice(b"one two");
        peer.flush().await.unwrap();
        connection.output().extend_from_slice(b"1");
        connection.output().extend_from_slice(b"2");
        assert_eq!(connection.fill().await.unwrap(), 7);
        assert_eq!(connection.input(), b"one two");
        assert_eq!(peer.fill().await.unwrap(), 2);
        assert_eq!(peer.input(), b"12");
    }

    #[tokio::test]
    async fn input_that_nobody_takes_does_not_grow_without_end() {
        let (near, far) = tokio::io::duplex(64);
        let mut connection = Connection::new(near, 64);
        let flood = tokio::spawn(async move {
            let mut peer = Connection::new(far, 64);
            loop {
                peer.output().extend_from_slice(&[b'x'; 64]);
                if peer.flush().await.is_err() {
                    break;
                }
            }
        });
        let error = loop {
            if let Err(error) = connection.fill().await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(connection.input().len() <= 128);
        drop(connection);
        flood.await.unwrap();
    }

    #[tokio::test]
    async fn an_upgrade_throws_away_what_was_pipelined_behind_it() {
        let (near, far) = tokio::io::duplex(64);
        let mut connection = Connection::new(near, 64);
        let mut peer = Connection::new(far, 64);
        peer.output().extend_from_slice(b"UPGRADE\r\nINJECTED\r\n");
        peer.flush().await.unwrap();
        connection.fill().await.unwrap();
        connection.consume(9);
        connection.output().extend_from_slice(b"ready\r\n");
        let (stream, thrown_away) = connection.into_upgrade().await.unwrap();
        assert_eq!(thrown_away, 10);
        assert_eq!(Connection::new(stream, 64).input(), b"");
        peer.fill().await.unwrap();
        assert_eq!(peer.input(), b"ready\r\n");
    }
}
