//! One line to a typed command (RFC 5321 4.1.1, RFC 3030), whatever came before it.

use crate::path::{self, Path};

/// What a peer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    Ehlo(&'a str),
    Helo(&'a str),
    Mail(Mail<'a>),
    Rcpt(Path<'a>),
    Data,
    Bdat(Chunk),
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    Quit,
    /// Known, and offered to nobody yet.
    StartTls,
    Auth,
}

/// RFC 5321 4.1.1.2 with the parameters of RFC 1870, 6152 and 6531.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mail<'a> {
    pub from: Path<'a>,
    pub size_bytes: Option<u64>,
    pub smtputf8: bool,
}

/// RFC 3030 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub size_bytes: u64,
    pub last: bool,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    LineTooLong,
    /// A bare CR or LF in the line.
    Stray,
    UnknownCommand,
    Arguments,
    SenderPath,
    RecipientPath,
    UnknownParameter,
    /// The octets that follow can't be told from commands any more.
    ChunkSize,
}

/// What the line, without its CRLF, asks for.
pub fn parse(line: &[u8]) -> Result<Command<'_>, Fault> {
    let line = line.trim_ascii_end();
    let verb_bytes = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (verb, rest) = line.split_at_checked(verb_bytes).ok_or(Fault::UnknownCommand)?;
    let mut upper = [0_u8; 8];
    let known = upper.get_mut(..verb.len()).ok_or(Fault::UnknownCommand)?;
    known.copy_from_slice(verb);
    known.make_ascii_uppercase();
    let argument = Argument(rest.trim_ascii_start());
    match &*known {
        b"EHLO" => argument.name().map(Command::Ehlo),
        b"HELO" => argument.name().map(Command::Helo),
        b"MAIL" => mail(argument),
        b"RCPT" => rcpt(argument),
        b"DATA" => argument.none(Command::Data),
        b"BDAT" => bdat(argument),
        b"RSET" => argument.none(Command::Rset),
        b"NOOP" => Ok(Command::Noop),
        b"VRFY" => argument.some(Command::Vrfy),
        b"EXPN" => argument.some(Command::Expn),
        b"HELP" => Ok(Command::Help),
        b"QUIT" => argument.none(Command::Quit),
        b"STARTTLS" => Ok(Command::StartTls),
        b"AUTH" => Ok(Command::Auth),
        _ => Err(Fault::UnknownCommand),
    }
}

/// Why a line, of which this is the start, is refused when a CR or LF stood alone in it.
pub fn fault_of_stray(line: &[u8]) -> Fault {
    let announces_chunk = line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"));
    if announces_chunk { Fault::ChunkSize } else { Fault::Stray }
}

/// What follows the verb.
#[derive(Clone, Copy)]
struct Argument<'a>(&'a [u8]);

impl<'a> Argument<'a> {
    fn none(self, command: Command<'a>) -> Result<Command<'a>, Fault> {
        if self.0.is_empty() { Ok(command) } else { Err(Fault::Arguments) }
    }

    fn some(self, command: Command<'a>) -> Result<Command<'a>, Fault> {
        if self.0.is_empty() { Err(Fault::Arguments) } else { Ok(command) }
    }

    /// What a peer calls itself. It is recorded and never believed, so anything printable in one word will do: many a
    /// peer has a name that is no domain, and must not be turned away for it (RFC 5321 4.1.4).
    fn name(self) -> Result<&'a str, Fault> {
        let fits = (1..=path::DOMAIN_BYTES).contains(&self.0.len()) && self.0.iter().all(u8::is_ascii_graphic);
        std::str::from_utf8(self.0).ok().filter(|_| fits).ok_or(Fault::Arguments)
    }

    /// What follows `FROM:` or `TO:`. Spaces behind the colon are wrong (RFC 5321 3.3) and common.
    fn after(self, keyword: &str) -> Result<&'a str, Fault> {
        let (head, rest) = self.0.split_at_checked(keyword.len()).ok_or(Fault::Arguments)?;
        if !head.eq_ignore_ascii_case(keyword.as_bytes()) {
            return Err(Fault::Arguments);
        }
        std::str::from_utf8(rest.trim_ascii_start()).map_err(|_| Fault::Arguments)
    }
}

fn mail(argument: Argument<'_>) -> Result<Command<'_>, Fault> {
    let (from, rest) = path::reverse(argument.after("FROM:")?).map_err(|_| Fault::SenderPath)?;
    let (mut size_bytes, mut body, mut smtputf8) = (None, false, false);
    for parameter in parameters(rest).ok_or(Fault::SenderPath)? {
        let (name, value) = parameter.split_once('=').map_or((parameter, None), |(name, value)| (name, Some(value)));
        let repeated = if name.eq_ignore_ascii_case("SIZE") {
            size_bytes.replace(size(value)?).is_some()
        } else if name.eq_ignore_ascii_case("BODY") {
            body_type(value)?;
            std::mem::replace(&mut body, true)
        } else if name.eq_ignore_ascii_case("SMTPUTF8") {
            value.map_or(Ok(()), |_| Err(Fault::Arguments))?;
            std::mem::replace(&mut smtputf8, true)
        } else {
            return Err(Fault::UnknownParameter);
        };
        if repeated {
            return Err(Fault::Arguments);
        }
    }
    Ok(Command::Mail(Mail { from, size_bytes, smtputf8 }))
}

fn rcpt(argument: Argument<'_>) -> Result<Command<'_>, Fault> {
    let (to, rest) = path::forward(argument.after("TO:")?).map_err(|_| Fault::RecipientPath)?;
    match parameters(rest).ok_or(Fault::RecipientPath)?.next() {
        Some(_) => Err(Fault::UnknownParameter),
        None => Ok(Command::Rcpt(to)),
    }
}

/// The words behind a path; `None` where something else than a space follows it.
fn parameters(rest: &str) -> Option<impl Iterator<Item = &str>> {
    (rest.is_empty() || rest.starts_with(' ')).then(|| rest.split(' ').filter(|word| !word.is_empty()))
}

/// `size-value = 1*20DIGIT` (RFC 1870 4); more than any number of ours is the largest one.
fn size(value: Option<&str>) -> Result<u64, Fault> {
    let digits = value.filter(|digits| is_number(digits)).ok_or(Fault::Arguments)?;
    Ok(digits.parse().unwrap_or(u64::MAX))
}

/// BINARYMIME (RFC 3030 3) is not offered: what is on the log has CRLF line ends.
fn body_type(value: Option<&str>) -> Result<(), Fault> {
    match value {
        Some(value) if value.eq_ignore_ascii_case("7BIT") || value.eq_ignore_ascii_case("8BITMIME") => Ok(()),
        Some(value) if value.eq_ignore_ascii_case("BINARYMIME") => Err(Fault::UnknownParameter),
        _ => Err(Fault::Arguments),
    }
}

fn bdat(argument: Argument<'_>) -> Result<Command<'_>, Fault> {
    let text = std::str::from_utf8(argument.0).map_err(|_| Fault::ChunkSize)?;
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let digits = words.next().filter(|digits| is_number(digits)).ok_or(Fault::ChunkSize)?;
    let size_bytes = digits.parse().map_err(|_| Fault::ChunkSize)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(Fault::ChunkSize),
    };
    if words.next().is_some() {
        return Err(Fault::ChunkSize);
    }
    Ok(Command::Bdat(Chunk { size_bytes, last }))
}

fn is_number(digits: &str) -> bool {
    (1..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail_of(line: &str) -> Result<Mail<'_>, Fault> {
        match parse(line.as_bytes())? {
            Command::Mail(mail) => Ok(mail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn verbs_are_known_in_any_case_and_with_spaces_behind() {
        assert_eq!(parse(b"qUiT  \t"), Ok(Command::Quit));
        assert_eq!(parse(b"ehlo client.example"), Ok(Command::Ehlo("client.example")));
        assert_eq!(parse(b"HELO [192.0.2.1] "), Ok(Command::Helo("[192.0.2.1]")));
        assert_eq!(parse(b"NOOP whatever"), Ok(Command::Noop));
        for unknown in [&b""[..], b" ", b"QUITS", b"EHLOEHLOEHLO a", b"MAIL\tFROM:<a@b>", b"\xff\xfe", b"\0QUIT"] {
            assert_eq!(parse(unknown), Err(Fault::UnknownCommand), "{unknown:?}");
        }
    }

    #[test]
    fn arguments_stand_where_they_belong_and_nowhere_else() {
        for line in [
            "DATA x",
            "RSET x",
            "QUIT x",
            "EHLO",
            "HELO ",
            "EHLO a b",
            "EHLO \x01",
            "EHLO é",
            "VRFY",
            "EXPN",
            "MAIL",
            "RCPT TO",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(Fault::Arguments), "{line}");
        }
    }

    #[test]
    fn a_name_of_255_octets_is_taken_and_a_longer_one_is_not() {
        assert!(parse(format!("EHLO {}", "a".repeat(255)).as_bytes()).is_ok());
        assert_eq!(parse(format!("EHLO {}", "a".repeat(256)).as_bytes()), Err(Fault::Arguments));
    }

    #[test]
    fn mail_has_a_path_and_known_parameters() {
        let mail = mail_of("MAIL FROM:<a@b> size=1000 BODY=8bitmime  SMTPUTF8").unwrap();
        assert_eq!((mail.from.mailbox, mail.size_bytes, mail.smtputf8), ("a@b", Some(1000), true));
        let bare = mail_of("mail from: <>").unwrap();
        assert_eq!((bare.from.mailbox, bare.size_bytes, bare.smtputf8), ("", None, false));
        assert_eq!(mail_of("MAIL FROM:<a@b> SIZE=99999999999999999999").unwrap().size_bytes, Some(u64::MAX));
        for (line, fault) in [
            ("MAIL FROM:<a@b> SIZE=", Fault::Arguments),
            ("MAIL FROM:<a@b> SIZE=-1", Fault::Arguments),
            ("MAIL FROM:<a@b> SIZE=999999999999999999999", Fault::Arguments),
            ("MAIL FROM:<a@b> SIZE=1 SIZE=1", Fault::Arguments),
            ("MAIL FROM:<a@b> BODY=9BIT", Fault::Arguments),
            ("MAIL FROM:<a@b> BODY=BINARYMIME", Fault::UnknownParameter),
            ("MAIL FROM:<a@b> SMTPUTF8=1", Fault::Arguments),
            ("MAIL FROM:<a@b> RET=FULL", Fault::UnknownParameter),
            ("MAIL FROM:<a@b>SIZE=1", Fault::SenderPath),
            ("MAIL FROM:a@b", Fault::SenderPath),
            ("MAIL TO:<a@b>", Fault::Arguments),
            ("RCPT TO:<a@b> NOTIFY=NEVER", Fault::UnknownParameter),
            ("RCPT TO:<>", Fault::RecipientPath),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(fault), "{line}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_no_path() {
        assert_eq!(parse(b"RCPT TO:<\xc3@b>"), Err(Fault::Arguments));
    }

    #[test]
    fn a_chunk_has_a_size_that_can_be_counted() {
        assert_eq!(parse(b"BDAT 0 last"), Ok(Command::Bdat(Chunk { size_bytes: 0, last: true })));
        let largest = Chunk { size_bytes: u64::MAX, last: false };
        assert_eq!(parse(b"BDAT 18446744073709551615"), Ok(Command::Bdat(largest)));
        for line in ["BDAT", "BDAT x", "BDAT -1", "BDAT 1 FIRST", "BDAT 1 LAST x", "BDAT 18446744073709551616"] {
            assert_eq!(parse(line.as_bytes()), Err(Fault::ChunkSize), "{line}");
        }
    }
}
