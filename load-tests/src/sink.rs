//! An SMTP server that takes every mail and forgets it: what the client by itself can reach, the ceiling of every
//! other figure. It runs on a thread and a runtime of its own.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const END_OF_DATA: &[u8] = b"\r\n.\r\n";

pub struct Sink {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    pub fn start() -> Result<Self> {
        let (tell, told) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("sink".into()).spawn(move || {
            let outcome = run(&tell, stopped);
            if let Err(error) = outcome {
                let _ = tell.send(Err(error));
            }
        })?;
        let address = told.recv().context("the sink ended at once")??;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(tell: &std::sync::mpsc::Sender<Result<SocketAddr>>, stopped: oneshot::Receiver<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        tell.send(Ok(listener.local_addr()?)).map_err(|_| anyhow!("nobody waits for the sink"))?;
        tokio::select! {
            _ = stopped => {}
            () = accept(&listener) => {}
        }
        Ok(())
    })
}

async fn accept(listener: &TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            // A client that goes away is the end of its session, and of nothing else.
            let _ = session(stream).await;
        });
    }
}

async fn session(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink.load.example ESMTP\r\n").await?;
    let mut input: Vec<u8> = Vec::with_capacity(128 * 1024);
    let mut replies = Vec::with_capacity(256);
    loop {
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let mut used = 0;
        while let Some(length) = input.get(used..).and_then(|rest| rest.iter().position(|&byte| byte == b'\n')) {
            let line = input.get(used..used + length).unwrap_or_default();
            let verb = line.first().map_or(0, u8::to_ascii_uppercase);
            used += length + 1;
            match verb {
                b'E' => replies.extend_from_slice(b"250-sink.load.example\r\n250 PIPELINING\r\n"),
                b'D' => {
                    replies.extend_from_slice(b"354 go on\r\n");
                    stream.write_all(&replies).await?;
                    replies.clear();
                    input.drain(..used);
                    used = 0;
                    discard(&mut stream, &mut input).await?;
                    replies.extend_from_slice(b"250 2.0.0 discarded\r\n");
                }
                b'Q' => {
                    replies.extend_from_slice(b"221 bye\r\n");
                    return stream.write_all(&replies).await;
                }
                _ => replies.extend_from_slice(b"250 ok\r\n"),
            }
        }
        input.drain(..used);
        stream.write_all(&replies).await?;
        replies.clear();
    }
}

/// Reads on to the end of data and drops it; what follows stays in `input`.
async fn discard(stream: &mut TcpStream, input: &mut Vec<u8>) -> std::io::Result<()> {
    let mut looked_at = 0;
    loop {
        if looked_at == 0 && input.starts_with(b".\r\n") {
            input.drain(..3);
            return Ok(());
        }
        // The client sends one mail and waits, so the end of data is the end of the input.
        if input.ends_with(END_OF_DATA) {
            input.clear();
            return Ok(());
        }
        // Only the last bytes can still belong to the end of data.
        if input.len() > END_OF_DATA.len() {
            input.drain(..input.len() - END_OF_DATA.len());
            looked_at = input.len();
        }
        if stream.read_buf(input).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Mails;
    use crate::smtp::{Client, Outcome};

    #[tokio::test]
    async fn the_sink_takes_mail_after_mail_in_both_manners() {
        let sink = Sink::start().unwrap();
        for fair in [false, true] {
            let mut client = Client::connect(sink.address, fair).await.unwrap();
            assert_eq!(client.pipelines(), !fair);
            for size in [1024, 300_000] {
                let outcome = client.send("a@load.example", &Mails::generated(size).get(0)).await.unwrap();
                assert!(matches!(outcome, Outcome::Accepted { .. }));
            }
            let outcome = client.send("a@load.example", &crate::mail::on_the_wire(b"")).await.unwrap();
            assert!(matches!(outcome, Outcome::Accepted { .. }));
            client.quit().await;
        }
    }
}
