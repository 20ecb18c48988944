//! The dialogue as a function: a state and what happened, to the next state, a reply and at most one effect. It has no
//! socket, clock or log; an effect's outcome comes back as the next input.
//!
//! Places kept: `STARTTLS` is a command that becomes an effect and forgets the whole state when TLS stands (RFC 3207
//! 4.2); `AUTH` is an effect that carries the exchange; a check of a recipient is an effect between RCPT and its reply;
//! gathered evidence is an effect between the end of the content and `Append`.

use crate::command::{Chunk, Command, Fault, Mail};
use crate::path::Path;
use crate::policy::Settings;
use crate::reply::{self, Reply};

/// Who the peer says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub name: String,
    pub esmtp: bool,
}

/// What MAIL and RCPT said, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub hello: Hello,
    /// Empty for the null sender.
    pub mail_from: String,
    pub recipients: Vec<String>,
    pub smtputf8: bool,
    /// What MAIL said with SIZE: a hint, and no more.
    pub declared_bytes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// No message is begun.
    Idle,
    /// MAIL was accepted.
    Envelope(Envelope),
    /// DATA was accepted; its content is being read.
    Content(Envelope),
    /// Content comes in chunks.
    Chunks(Chunks),
    /// The log has the message before it.
    Appending,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunks {
    envelope: Envelope,
    announced_bytes: u64,
    /// The chunk that is being read is the last one.
    last: bool,
    /// Why the message is refused whatever follows (RFC 3030 2: later chunks are to be taken and dropped).
    refused: Option<Reply>,
}

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    hello: Option<Hello>,
    phase: Phase,
    errors: u32,
    commands_without_mail: u32,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    Connected,
    Line(Result<Command<'a>, Fault>),
    /// The same, while the log has no room for mail.
    LineWithoutRoom(Result<Command<'a>, Fault>),
    /// The content that `ReadContent` asked for has come to its true end.
    Content(Content),
    /// So has the chunk that `ReadChunk` asked for.
    Chunk(Content),
    /// What became of `Append`.
    Appended(Appended),
    /// The peer was slower than it may be.
    Late,
    /// The server stops; said to a session that is not inside a transaction.
    Stopping,
    /// Others wait for the place; said to a session that is not inside a transaction.
    Crowded,
}

/// What is known of a message's content so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub over_size: bool,
    /// There was no memory for it.
    pub no_room: bool,
    /// A CR or LF stood alone in it.
    pub stray: bool,
    pub hops: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Durable, under this id.
    Queued(String),
    Refused(Reply),
}

/// What is to be done before the session goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read dot-stuffed content to its end.
    ReadContent { declared_bytes: Option<u64> },
    /// Read so many octets behind what was read before; hops are looked for when the last ones are there.
    ReadChunk { size_bytes: u64, last: bool },
    /// Take so many octets off the wire, and give this answer.
    DropChunk { size_bytes: u64, then: Reply },
    /// Put what was read on the log, with this envelope.
    Append(Envelope),
    /// Write the replies and close.
    Close,
}

/// What a step comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub state: State,
    pub reply: Option<Reply>,
    pub effect: Option<Effect>,
}

impl Default for State {
    fn default() -> Self {
        Self { hello: None, phase: Phase::Idle, errors: 0, commands_without_mail: 0 }
    }
}

impl State {
    pub const fn is_inside_transaction(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    /// Whether content that was read is still of use.
    pub const fn holds_content(&self) -> bool {
        matches!(self.phase, Phase::Content(_) | Phase::Chunks(_) | Phase::Appending)
    }

    fn to(self, phase: Phase) -> Self {
        Self { phase, ..self }
    }

    fn say(self, reply: Reply) -> Step {
        Step { state: self, reply: Some(reply), effect: None }
    }

    fn perform(self, effect: Effect) -> Step {
        Step { state: self, reply: None, effect: Some(effect) }
    }

    fn close(self, reply: Reply) -> Step {
        Step { state: self.to(Phase::Idle), reply: Some(reply), effect: Some(Effect::Close) }
    }
}

/// The whole protocol.
pub fn step(state: State, input: Input<'_>, settings: &Settings) -> Step {
    match input {
        Input::Connected => state.say(reply::greeting(&settings.server_name)),
        Input::Line(line) => counted(line_came(state, line, settings), settings),
        Input::LineWithoutRoom(line) => counted(line_came_without_room(state, line, settings), settings),
        Input::Content(content) => content_ended(state, content, settings),
        Input::Chunk(content) => chunk_ended(state, content, settings),
        Input::Appended(Appended::Queued(id)) => {
            State { commands_without_mail: 0, ..state }.to(Phase::Idle).say(reply::queued(&id))
        }
        Input::Appended(Appended::Refused(cause)) if cause.code == 421 => state.close(cause),
        Input::Appended(Appended::Refused(cause)) => state.to(Phase::Idle).say(cause),
        Input::Late => state.close(reply::LATE),
        Input::Stopping => state.close(reply::STOPPING),
        Input::Crowded => state.close(reply::CROWDED),
    }
}

/// Ends the session of a peer that asks too much or errs too often. Errors are what is refused for good: a peer that is
/// told to send the other recipients later has done nothing wrong. A chunk with something in it is bounded by the size.
fn counted(step: Step, settings: &Settings) -> Step {
    let refused = match (&step.reply, &step.effect) {
        (Some(reply), _) | (None, Some(Effect::DropChunk { then: reply, .. })) => reply.is_permanent_failure(),
        _ => false,
    };
    let is_content = matches!(step.effect, Some(Effect::ReadChunk { size_bytes: 1.., .. }));
    let state = State {
        errors: step.state.errors.saturating_add(u32::from(refused)),
        commands_without_mail: step.state.commands_without_mail.saturating_add(u32::from(!is_content)),
        ..step.state
    };
    if matches!(step.effect, Some(Effect::Close)) {
        return Step { state, ..step };
    }
    if state.errors > settings.errors {
        return state.close(reply::TOO_MANY_ERRORS);
    }
    if state.commands_without_mail > settings.commands_without_mail {
        return state.close(reply::TOO_MANY_COMMANDS);
    }
    Step { state, ..step }
}

fn line_came(state: State, line: Result<Command<'_>, Fault>, settings: &Settings) -> Step {
    match line {
        // What follows may be the chunk; taken for commands, it could say anything.
        Err(Fault::ChunkSize) => state.close(reply::BAD_CHUNK_SIZE),
        Err(fault) => state.say(reply::of_fault(fault)),
        Ok(Command::Ehlo(name)) => {
            greeted(state, name, true).say(reply::ehlo(&settings.server_name, settings.message_bytes))
        }
        Ok(Command::Helo(name)) => greeted(state, name, false).say(reply::helo(&settings.server_name)),
        Ok(Command::Mail(mail)) => mail_came(state, &mail, settings),
        Ok(Command::Rcpt(to)) => rcpt_came(state, to, settings),
        Ok(Command::Data) => data_came(state),
        Ok(Command::Bdat(chunk)) => bdat_came(state, chunk, settings),
        Ok(Command::Rset) => state.to(Phase::Idle).say(reply::OK),
        Ok(Command::Noop) => state.say(reply::OK),
        Ok(Command::Vrfy) => state.say(reply::CANNOT_VERIFY),
        Ok(Command::Help) => state.say(reply::HELP),
        Ok(Command::Quit) => state.close(reply::BYE),
        Ok(Command::Expn | Command::StartTls | Command::Auth) => state.say(reply::NOT_OFFERED),
    }
}

/// What would begin a message or its content is put off; all else goes as ever. A transaction that is begun stays, so
/// that the peer may send DATA again.
fn line_came_without_room(state: State, line: Result<Command<'_>, Fault>, settings: &Settings) -> Step {
    let before = state.clone();
    let step = line_came(state, line, settings);
    match (step.effect, step.state.phase) {
        (None, Phase::Envelope(_)) if !before.is_inside_transaction() => before.say(reply::NO_ROOM),
        (Some(Effect::ReadContent { .. }), _) => before.say(reply::NO_ROOM),
        // RFC 3030 2: the chunk comes whatever is said about it, and so do those behind it.
        (Some(Effect::ReadChunk { size_bytes, last }), Phase::Chunks(chunks))
            if !matches!(before.phase, Phase::Chunks(_)) =>
        {
            let refused = Phase::Chunks(Chunks { refused: Some(reply::NO_ROOM), ..chunks });
            let phase = if last { Phase::Idle } else { refused };
            before.to(phase).perform(Effect::DropChunk { size_bytes, then: reply::NO_ROOM })
        }
        (effect, phase) => Step { state: State { phase, ..step.state }, reply: step.reply, effect },
    }
}

/// RFC 5321 4.1.4: a greeting drops the message that was begun.
fn greeted(state: State, name: &str, esmtp: bool) -> State {
    State { hello: Some(Hello { name: name.to_owned(), esmtp }), ..state }.to(Phase::Idle)
}

fn mail_came(state: State, mail: &Mail<'_>, settings: &Settings) -> Step {
    if state.is_inside_transaction() {
        return state.say(reply::INSIDE_TRANSACTION);
    }
    let Some(hello) = state.hello.clone() else { return state.say(reply::HELLO_FIRST) };
    if mail.from.is_international() && !mail.smtputf8 {
        return state.say(reply::NEEDS_SMTPUTF8);
    }
    if mail.size_bytes.is_some_and(|size_bytes| size_bytes > settings.message_bytes) {
        return state.say(reply::TOO_LARGE);
    }
    let envelope = Envelope {
        hello,
        mail_from: mail.from.mailbox.to_owned(),
        recipients: Vec::new(),
        smtputf8: mail.smtputf8,
        declared_bytes: mail.size_bytes,
    };
    state.to(Phase::Envelope(envelope)).say(reply::SENDER_OK)
}

fn rcpt_came(mut state: State, to: Path<'_>, settings: &Settings) -> Step {
    let envelope = match &mut state.phase {
        Phase::Envelope(envelope) => envelope,
        Phase::Chunks(_) => return state.say(reply::INSIDE_CHUNKS),
        _ => return state.say(reply::MAIL_FIRST),
    };
    let refused = if to.is_international() && !envelope.smtputf8 {
        Some(reply::NEEDS_SMTPUTF8)
    } else if !settings.domains.accept(to.domain) {
        Some(reply::DOMAIN_REFUSED)
    } else if envelope.recipients.len() >= settings.recipients {
        Some(reply::TOO_MANY_RECIPIENTS)
    } else {
        envelope.recipients.push(to.mailbox.to_owned());
        None
    };
    state.say(refused.unwrap_or(reply::RECIPIENT_OK))
}

fn data_came(state: State) -> Step {
    match state.phase {
        Phase::Envelope(ref envelope) if envelope.recipients.is_empty() => state.say(reply::NO_RECIPIENT),
        Phase::Envelope(envelope) => {
            let effect = Effect::ReadContent { declared_bytes: envelope.declared_bytes };
            let state = State { phase: Phase::Content(envelope), ..state };
            Step { state, reply: Some(reply::SEND_CONTENT), effect: Some(effect) }
        }
        // RFC 3030 2: DATA and BDAT don't mix.
        Phase::Chunks(_) => state.say(reply::INSIDE_CHUNKS),
        _ => state.say(reply::MAIL_FIRST),
    }
}

fn bdat_came(state: State, chunk: Chunk, settings: &Settings) -> Step {
    let Chunk { size_bytes, last } = chunk;
    let mut chunks = match state.phase {
        Phase::Chunks(chunks) => chunks,
        Phase::Envelope(envelope) if !envelope.recipients.is_empty() => {
            Chunks { envelope, announced_bytes: 0, last: false, refused: None }
        }
        Phase::Envelope(_) => return state.perform(Effect::DropChunk { size_bytes, then: reply::NO_RECIPIENT }),
        _ => return state.perform(Effect::DropChunk { size_bytes, then: reply::MAIL_FIRST }),
    };
    chunks.announced_bytes = chunks.announced_bytes.saturating_add(size_bytes);
    chunks.last = last;
    if chunks.refused.is_none() && chunks.announced_bytes > settings.message_bytes {
        chunks.refused = Some(reply::TOO_LARGE);
    }
    let effect = match &chunks.refused {
        Some(cause) => Effect::DropChunk { size_bytes, then: cause.clone() },
        None => Effect::ReadChunk { size_bytes, last },
    };
    let over = last && chunks.refused.is_some();
    let phase = if over { Phase::Idle } else { Phase::Chunks(chunks) };
    State { phase, ..state }.perform(effect)
}

fn content_ended(state: State, content: Content, settings: &Settings) -> Step {
    match state.phase {
        Phase::Content(envelope) => {
            let state = State { phase: Phase::Idle, ..state };
            match cause_against(content, settings) {
                Some(cause) => state.say(cause),
                None => append(state, envelope),
            }
        }
        _ => state.close(reply::LOG_STOPPED),
    }
}

fn chunk_ended(state: State, content: Content, settings: &Settings) -> Step {
    match state.phase {
        Phase::Chunks(chunks) if chunks.last => {
            let state = State { phase: Phase::Idle, ..state };
            match cause_against(content, settings) {
                Some(cause) => state.say(cause),
                None => append(state, chunks.envelope),
            }
        }
        Phase::Chunks(chunks) => {
            // What can still change with the next chunk is judged at the end; memory that is gone is gone.
            let refused = content.no_room.then_some(reply::NO_ROOM);
            let said = refused.clone().unwrap_or(reply::CHUNK_OK);
            State { phase: Phase::Chunks(Chunks { refused, ..chunks }), ..state }.say(said)
        }
        _ => state.close(reply::LOG_STOPPED),
    }
}

fn append(state: State, envelope: Envelope) -> Step {
    state.to(Phase::Appending).perform(Effect::Append(envelope))
}

/// Why a message whose end has come is not taken.
const fn cause_against(content: Content, settings: &Settings) -> Option<Reply> {
    if content.stray {
        Some(reply::STRAY_IN_CONTENT)
    } else if content.over_size {
        Some(reply::TOO_LARGE)
    } else if content.no_room {
        Some(reply::NO_ROOM)
    } else if content.hops > settings.hops {
        Some(reply::TOO_MANY_HOPS)
    } else {
        None
    }
}
