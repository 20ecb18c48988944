//! One session over any stream: bytes in, what the step function decides, bytes out.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use eventlog::Log;
use schemas::Arrivals;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use wire::{ChunkReader, Connection, DotReader, Guest, Line, LineReader, Pace, Rest};

use crate::append::append;
use crate::body::{Body, Pool};
use crate::command::{self, Command, Fault};
use crate::policy::{self, Settings};
use crate::reply::Reply;
use crate::session::{self, Appended, Content, Effect, Envelope, Input, State, Step};
use crate::unanswered::{Held, Unanswered};
use crate::{metric, reply};

/// What all sessions share.
pub struct House {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) arrivals: Mutex<Arrivals>,
    pool: Pool,
    stopping: CancellationToken,
    pub(crate) unanswered: Arc<Unanswered>,
}

impl House {
    /// Sessions that are idle when `stopping` is cancelled are told so and end.
    pub fn new(
        log: Arc<dyn Log>,
        settings: Arc<Settings>,
        unanswered: Arc<Unanswered>,
        stopping: CancellationToken,
    ) -> Self {
        let pool = Pool::new(settings.buffered_bytes, settings.buffer_wait);
        Self { log, settings, arrivals: Mutex::default(), pool, stopping, unanswered }
    }
}

/// Why no more input comes.
#[derive(Debug)]
enum Halt {
    Late,
    Stopping,
    Crowded,
    Gone(io::Error),
}

struct Session<'a, S> {
    house: &'a House,
    guest: &'a Guest,
    peer: SocketAddr,
    connection: Connection<S>,
    lines: LineReader,
    body: Option<Body>,
    /// Messages whose answers wait to be written.
    held: Vec<Held>,
    /// When it has to be over.
    until: Instant,
}

/// Serves one peer until either side ends it, or another takes its place while it rests. `Err` is a peer that vanished.
pub async fn converse<S>(stream: S, peer: SocketAddr, guest: &Guest, house: &House) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let settings = &house.settings;
    let mut session = Session {
        house,
        guest,
        peer,
        connection: Connection::new(stream, settings.line_bytes),
        lines: LineReader::new(settings.line_bytes),
        body: None,
        held: Vec::new(),
        until: Instant::now() + settings.session_time,
    };
    session.talk().await?;
    session.connection.finish(settings.farewell_wait).await
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<'_, S> {
    async fn talk(&mut self) -> io::Result<()> {
        let mut next = self.step(State::default(), Input::Connected);
        loop {
            if let Some(reply) = &next.reply {
                self.say(reply);
            }
            let state = next.state;
            next = match next.effect {
                None => self.next_line(state).await?,
                Some(Effect::ReadContent { declared_bytes }) => {
                    let content = self.read_content(declared_bytes).await;
                    self.resume(state, content.map(Input::Content))?
                }
                Some(Effect::ReadChunk { size_bytes, last }) => {
                    let content = self.read_chunk(size_bytes, last).await;
                    self.resume(state, content.map(Input::Chunk))?
                }
                Some(Effect::DropChunk { size_bytes, then }) => match self.drop_chunk(size_bytes).await {
                    Ok(()) => {
                        self.say(&then);
                        self.next_line(state).await?
                    }
                    Err(halt) => self.resume(state, Err(halt))?,
                },
                Some(Effect::Append(envelope)) => {
                    let appended = self.append(envelope).await;
                    self.step(state, Input::Appended(appended))
                }
                Some(Effect::Close) => return Ok(()),
            };
        }
    }

    fn step(&self, state: State, input: Input<'_>) -> Step {
        session::step(state, input, &self.house.settings)
    }

    /// The next step after a wait that brought this.
    fn resume(&self, state: State, outcome: Result<Input<'_>, Halt>) -> io::Result<Step> {
        match outcome {
            Ok(input) => Ok(self.step(state, input)),
            Err(Halt::Late) => Ok(self.step(state, Input::Late)),
            Err(Halt::Stopping) => Ok(self.step(state, Input::Stopping)),
            Err(Halt::Crowded) => Ok(self.step(state, Input::Crowded)),
            Err(Halt::Gone(error)) => Err(error),
        }
    }

    fn say(&mut self, reply: &Reply) {
        if reply.is_failure() {
            metrics::counter!(metric::REFUSED, "code" => reply.code.to_string()).increment(1);
        }
        reply.write(self.connection.output());
    }

    async fn next_line(&mut self, state: State) -> io::Result<Step> {
        if !state.holds_content() {
            self.body = None;
        }
        let (settings, guest) = (&self.house.settings, self.guest);
        let stoppable = !state.is_inside_transaction();
        let mut rest = None;
        if self.connection.is_output_full() {
            rest = stoppable.then(|| guest.rest());
            let flushed = timeout(settings.command_wait, self.connection.flush());
            let flushed = tokio::select! {
                flushed = flushed => flushed,
                () = ended(rest.as_ref()) => return self.resume(state, Err(Halt::Crowded)),
            };
            flushed.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            self.held.clear();
        }
        let mut pace = Pace::within(settings.command_wait);
        loop {
            if stoppable && self.house.stopping.is_cancelled() {
                return Ok(self.step(state, Input::Stopping));
            }
            let scanned = self.lines.scan(self.connection.input());
            if let Some(line) = scanned.line {
                let command = match line {
                    Line::Text(length) => command::parse(self.connection.input().get(..length).unwrap_or_default()),
                    Line::TooLong => Err(Fault::LineTooLong),
                    Line::Stray => Err(command::fault_of_stray(self.connection.input())),
                };
                let asks = matches!(command, Ok(Command::Mail(_) | Command::Data | Command::Bdat(_)));
                let input = if asks && !settings.room.is_there() {
                    Input::LineWithoutRoom(command)
                } else {
                    Input::Line(command)
                };
                let step = self.step(state, input);
                self.connection.consume(scanned.consumed);
                return Ok(step);
            }
            self.connection.consume(scanned.consumed);
            // However many bytes of a line come: it rests until the line is whole.
            if rest.is_none() && stoppable {
                rest = Some(guest.rest());
            }
            if let Err(halt) = self.fill(&mut pace, rest.as_ref()).await {
                return self.resume(state, Err(halt));
            }
        }
    }

    async fn read_content(&mut self, declared_bytes: Option<u64>) -> Result<Content, Halt> {
        let mut body = Body::new(self.house.settings.message_bytes, declared_bytes);
        let mut reader = DotReader::new();
        let mut pace = self.content_pace();
        loop {
            let input = self.connection.input();
            body.make_room(&self.house.pool, input.len()).await;
            let taken = reader.take(input, |run| body.push(run));
            self.connection.consume(taken.consumed);
            if taken.ended {
                break;
            }
            self.fill(&mut pace, None).await?;
        }
        let content = Content {
            over_size: body.over_size,
            no_room: body.no_room,
            stray: reader.has_stray(),
            hops: policy::hops(body.bytes()),
        };
        self.body = Some(body);
        Ok(content)
    }

    async fn read_chunk(&mut self, size_bytes: u64, last: bool) -> Result<Content, Halt> {
        let mut body = self.body.take().unwrap_or_else(|| Body::new(self.house.settings.message_bytes, None));
        let mut reader = ChunkReader::new(size_bytes);
        let mut pace = self.content_pace();
        loop {
            let count = reader.take(self.connection.input());
            body.make_room(&self.house.pool, count).await;
            let piece = self.connection.input().get(..count).unwrap_or_default();
            body.strays.see(piece);
            body.push(piece);
            self.connection.consume(count);
            if reader.is_done() {
                break;
            }
            self.fill(&mut pace, None).await?;
        }
        let content = Content {
            over_size: body.over_size,
            no_room: body.no_room,
            stray: body.strays.has_stray(),
            hops: if last { policy::hops(body.bytes()) } else { 0 },
        };
        self.body = Some(body);
        Ok(content)
    }

    async fn drop_chunk(&mut self, size_bytes: u64) -> Result<(), Halt> {
        self.body = None;
        let mut reader = ChunkReader::new(size_bytes);
        let mut pace = self.content_pace();
        loop {
            let count = reader.take(self.connection.input());
            self.connection.consume(count);
            if reader.is_done() {
                return Ok(());
            }
            self.fill(&mut pace, None).await?;
        }
    }

    async fn append(&mut self, envelope: Envelope) -> Appended {
        match self.body.take() {
            Some(body) => {
                let (appended, held) = append(self.house, self.peer, envelope, body).await;
                self.held.extend(held);
                appended
            }
            None => Appended::Refused(reply::LOG_UNAVAILABLE),
        }
    }

    fn content_pace(&self) -> Pace {
        let settings = &self.house.settings;
        Pace::at_least(settings.content_bytes_per_second, settings.content_grace, settings.content_wait)
    }

    /// Writes the replies and waits for more input. A session that rests may be ended meanwhile.
    async fn fill(&mut self, pace: &mut Pace, rest: Option<&Rest<'_>>) -> Result<(), Halt> {
        let (connection, held) = (&mut self.connection, &mut self.held);
        let filled = async {
            connection.flush().await?;
            held.clear();
            connection.fill().await
        };
        let read = tokio::select! {
            read = pace.read(self.until, filled) => read,
            () = self.house.stopping.cancelled(), if rest.is_some() => return Err(Halt::Stopping),
            () = ended(rest) => return Err(Halt::Crowded),
        };
        match read {
            Ok(Ok(0)) => Err(Halt::Gone(io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Halt::Gone(error)),
            Err(wire::Late) => Err(Halt::Late),
        }
    }
}

/// Waits for the end of a rest, and for ever where there is none.
async fn ended(rest: Option<&Rest<'_>>) {
    match rest {
        Some(rest) => rest.ended().await,
        None => std::future::pending().await,
    }
}
