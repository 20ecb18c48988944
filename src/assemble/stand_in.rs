//! Somebody answers while there is no engine: SMTP says 421, HTTP says 503, and both mean "come again soon".

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use wire::accept::accept_until;
use wire::{Caps, Guests};

use super::Listeners;

/// Visitors at a time; others are only disconnected.
const CAPS: Caps = Caps { total: 256, per_address: 64, per_network: 128 };
/// For everything that one visitor may take.
const VISIT_LIMIT: Duration = Duration::from_secs(2);
const REQUEST_BYTES: usize = 16 * 1024;

// RFC 5321 3.1: a server that can't serve says so in its first reply.
const SMTP: &[u8] = b"421 4.3.2 The service is not available for a moment: come again\r\n";
const HTTP: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
    Content-Type: application/json\r\nContent-Length: 63\r\n\r\n\
    {\"message\":\"The log is being reopened.\",\"error\":\"Unavailable\"}\n";

/// Answers at both doors until `shutdown`.
pub async fn stand_in(listeners: &Listeners, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let (smtp, http, probes) = (listeners.smtp()?, listeners.http()?, listeners.probes()?);
    tokio::join!(at_door(smtp, false, shutdown), at_door(http, true, shutdown), at_door(probes, true, shutdown));
    Ok(())
}

async fn at_door(listener: Option<TcpListener>, is_http: bool, shutdown: &CancellationToken) {
    let Some(listener) = listener else { return };
    let guests = Guests::new(CAPS);
    accept_until(shutdown, listener, &guests, |stream, _, guest| {
        let Ok(guest) = guest else { return };
        tokio::spawn(async move {
            let _place = guest;
            // Whoever does not take the answer has lost nothing.
            let _ = tokio::time::timeout(VISIT_LIMIT, answer(stream, is_http)).await;
        });
    })
    .await;
}

async fn answer(mut stream: TcpStream, is_http: bool) -> std::io::Result<()> {
    if is_http {
        // A socket that is closed with bytes unread is reset, and the answer may be lost with it.
        let mut request = vec![0; REQUEST_BYTES];
        let _ = stream.read(&mut request).await?;
        stream.write_all(HTTP).await?;
    } else {
        stream.write_all(SMTP).await?;
    }
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_the_answer_is_what_it_says() {
        let text = std::str::from_utf8(HTTP).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{} bytes", body.len());
    }
}
