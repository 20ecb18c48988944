//! Every reply of this door: its code, its enhanced code (RFC 2034, RFC 3463) and its text. Nothing of our insides.

use std::borrow::Cow;

use bytes::BytesMut;
use eventlog::LogError;

use crate::command::Fault;

/// What is said to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    /// Absent in the greeting, the answers to EHLO and HELO, and 354 (RFC 2034 4).
    pub enhanced: Option<&'static str>,
    /// What stands on lines before the last one.
    pub before: Vec<Cow<'static, str>>,
    pub text: Cow<'static, str>,
}

impl Reply {
    const fn new(code: u16, enhanced: &'static str, text: &'static str) -> Self {
        Self { code, enhanced: Some(enhanced), before: Vec::new(), text: Cow::Borrowed(text) }
    }

    const fn plain(code: u16, text: Cow<'static, str>) -> Self {
        Self { code, enhanced: None, before: Vec::new(), text }
    }

    pub const fn is_permanent_failure(&self) -> bool {
        self.code >= 500
    }

    pub const fn is_failure(&self) -> bool {
        self.code >= 400
    }

    /// Puts the reply, as it goes over the wire, behind what is to be written.
    pub fn write(&self, output: &mut BytesMut) {
        for line in &self.before {
            self.write_line(output, b"-", line);
        }
        self.write_line(output, b" ", &self.text);
    }

    fn write_line(&self, output: &mut BytesMut, separator: &[u8], text: &str) {
        let hundreds = [self.code / 100, self.code / 10 % 10, self.code % 10];
        let digits = hundreds.map(|digit| u8::try_from(digit).map_or(b'0', |digit| b'0' + digit));
        output.extend_from_slice(&digits);
        output.extend_from_slice(separator);
        if let Some(enhanced) = self.enhanced {
            output.extend_from_slice(enhanced.as_bytes());
            output.extend_from_slice(b" ");
        }
        output.extend_from_slice(text.as_bytes());
        output.extend_from_slice(b"\r\n");
    }
}

pub const OK: Reply = Reply::new(250, "2.0.0", "OK");
pub const SENDER_OK: Reply = Reply::new(250, "2.1.0", "Sender accepted");
pub const RECIPIENT_OK: Reply = Reply::new(250, "2.1.5", "Recipient accepted");
pub const CHUNK_OK: Reply = Reply::new(250, "2.0.0", "Chunk received");
pub const BYE: Reply = Reply::new(221, "2.0.0", "Bye");
pub const HELP: Reply =
    Reply::new(214, "2.0.0", "Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT; see RFC 5321");
/// RFC 5321 3.5.3: neither confirmed nor denied.
pub const CANNOT_VERIFY: Reply = Reply::new(252, "2.5.0", "Can't verify, but mail for it is taken");
pub const SEND_CONTENT: Reply = Reply::plain(354, Cow::Borrowed("Send the message, and end it with <CRLF>.<CRLF>"));

pub const LATE: Reply = Reply::new(421, "4.4.2", "Time is up, closing the connection");
pub const STOPPING: Reply = Reply::new(421, "4.3.2", "Server is stopping, try again later");
pub const CROWDED: Reply = Reply::new(421, "4.3.2", "Others wait for this connection, try again later");
pub const TOO_MANY_CONNECTIONS: Reply = Reply::new(421, "4.7.0", "Too many connections, try again later");
pub const TOO_MANY_ERRORS: Reply = Reply::new(421, "4.7.0", "Too many errors, closing the connection");
pub const TOO_MANY_COMMANDS: Reply = Reply::new(421, "4.7.0", "Too many commands without a message, closing");
pub const LOG_SLOW: Reply = Reply::new(421, "4.3.2", "Message could not be stored in time, try again later");
pub const LOG_STOPPED: Reply = Reply::new(421, "4.3.0", "Mail is not taken here for now, try again later");
pub const LOG_UNAVAILABLE: Reply = Reply::new(451, "4.3.0", "Message could not be stored, try again later");
pub const NO_ROOM: Reply = Reply::new(452, "4.3.1", "No room for the message, try again later");
pub const TOO_MANY_RECIPIENTS: Reply = Reply::new(452, "4.5.3", "Too many recipients, send the others another time");

pub const UNKNOWN_COMMAND: Reply = Reply::new(500, "5.5.1", "Unknown command");
pub const LINE_TOO_LONG: Reply = Reply::new(500, "5.5.2", "Line too long");
pub const STRAY: Reply = Reply::new(500, "5.5.2", "Lines end with CRLF; a CR or LF stood alone");
pub const BAD_ARGUMENTS: Reply = Reply::new(501, "5.5.4", "Wrong arguments");
pub const BAD_CHUNK_SIZE: Reply = Reply::new(501, "5.5.4", "Chunk size not understood, closing the connection");
pub const BAD_SENDER: Reply = Reply::new(501, "5.1.7", "Sender is not a path by RFC 5321");
pub const BAD_RECIPIENT: Reply = Reply::new(501, "5.1.3", "Recipient is not a path by RFC 5321");
pub const NOT_OFFERED: Reply = Reply::new(502, "5.5.1", "Command not offered");
pub const HELLO_FIRST: Reply = Reply::new(503, "5.5.1", "Send EHLO or HELO first");
pub const MAIL_FIRST: Reply = Reply::new(503, "5.5.1", "Send MAIL first");
pub const INSIDE_TRANSACTION: Reply = Reply::new(503, "5.5.1", "A message is begun already, send RSET to drop it");
pub const INSIDE_CHUNKS: Reply = Reply::new(503, "5.5.1", "Chunks have begun, send BDAT or RSET");
pub const DOMAIN_REFUSED: Reply = Reply::new(550, "5.7.1", "Mail for this domain is not taken here");
pub const TOO_LARGE: Reply = Reply::new(552, "5.3.4", "Message too large");
pub const NEEDS_SMTPUTF8: Reply = Reply::new(553, "5.6.7", "Address is not ASCII, and MAIL had no SMTPUTF8");
pub const NO_RECIPIENT: Reply = Reply::new(553, "5.5.1", "No recipient was accepted");
pub const TOO_MANY_HOPS: Reply = Reply::new(554, "5.4.6", "Too many Received fields, mail loop");
pub const STRAY_IN_CONTENT: Reply = Reply::new(554, "5.6.11", "Lines end with CRLF; the message has a CR or LF alone");
pub const UNSTORABLE: Reply = Reply::new(554, "5.3.0", "Message can't be stored");
pub const BAD_PARAMETER: Reply = Reply::new(555, "5.5.4", "Parameter not known");

pub fn greeting(server_name: &str) -> Reply {
    Reply::plain(220, Cow::Owned(format!("{server_name} ESMTP Postlog ready")))
}

pub fn helo(server_name: &str) -> Reply {
    Reply::plain(250, Cow::Owned(server_name.to_owned()))
}

/// What this door can do beyond RFC 821.
pub fn ehlo(server_name: &str, message_bytes: u64) -> Reply {
    let before = vec![
        Cow::Owned(server_name.to_owned()),
        Cow::Borrowed("PIPELINING"),
        Cow::Owned(format!("SIZE {message_bytes}")),
        Cow::Borrowed("8BITMIME"),
        Cow::Borrowed("SMTPUTF8"),
        Cow::Borrowed("ENHANCEDSTATUSCODES"),
        Cow::Borrowed("CHUNKING"),
    ];
    Reply { before, ..Reply::plain(250, Cow::Borrowed("HELP")) }
}

/// The message is durable.
pub fn queued(id: &str) -> Reply {
    Reply { text: Cow::Owned(format!("OK: queued as {id}")), ..OK }
}

pub const fn of_fault(fault: Fault) -> Reply {
    match fault {
        Fault::LineTooLong => LINE_TOO_LONG,
        Fault::Stray => STRAY,
        Fault::UnknownCommand => UNKNOWN_COMMAND,
        Fault::Arguments => BAD_ARGUMENTS,
        Fault::SenderPath => BAD_SENDER,
        Fault::RecipientPath => BAD_RECIPIENT,
        Fault::UnknownParameter => BAD_PARAMETER,
        Fault::ChunkSize => BAD_CHUNK_SIZE,
    }
}

/// What passes is a 4xx; only what will never fit is a 5xx.
pub const fn of_log_error(error: &LogError) -> Reply {
    match error {
        LogError::Full(_) => NO_ROOM,
        LogError::TooLarge { .. } => TOO_LARGE,
        LogError::Unavailable(_) => LOG_UNAVAILABLE,
        // Nothing that the message is to blame for, so its sender keeps it.
        _ => LOG_STOPPED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut output = BytesMut::new();
        reply.write(&mut output);
        String::from_utf8(output.to_vec()).unwrap()
    }

    #[test]
    fn a_reply_is_written_as_rfc_5321_4_2_says() {
        assert_eq!(written(&queued("01x")), "250 2.0.0 OK: queued as 01x\r\n");
        assert_eq!(written(&greeting("mx.example")), "220 mx.example ESMTP Postlog ready\r\n");
        let expected = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                        250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250 HELP\r\n";
        assert_eq!(written(&ehlo("mx.example", 1000)), expected);
    }

    #[test]
    fn an_error_of_the_log_is_permanent_only_when_a_retry_cannot_mend_it() {
        for (error, code) in [
            (LogError::Full(String::new()), 452),
            (LogError::TooLarge { size_bytes: 2, limit_bytes: 1 }, 552),
            (LogError::Unavailable(String::new()), 451),
            (LogError::Fenced(String::new()), 421),
            (LogError::Damaged(String::new()), 421),
        ] {
            assert_eq!(of_log_error(&error).code, code, "{error}");
        }
    }
}
