//! The step function by itself: every short sequence of inputs keeps its promises.

use ingest::Settings;
use ingest::command;
use ingest::reply::Reply;
use ingest::session::{Appended, Content, Effect, Input, State, Step, step};

const LINES: [&str; 9] =
    ["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RCPT TO:<c@d", "DATA", "BDAT 4", "BDAT 4 LAST", "RSET", "NOOP"];
const LENGTH: u32 = 6;

/// What a line came to when every effect was performed without a fault.
fn settled(state: State, line: &str, settings: &Settings) -> (State, Vec<Reply>, usize) {
    let mut next = step(state, Input::Line(command::parse(line.as_bytes())), settings);
    let (mut replies, mut appended) = (Vec::new(), 0);
    loop {
        let Step { state, reply, effect } = next;
        replies.extend(reply);
        next = match effect {
            None => return (state, replies, appended),
            Some(Effect::ReadContent { .. }) => step(state, Input::Content(Content::default()), settings),
            Some(Effect::ReadChunk { .. }) => step(state, Input::Chunk(Content::default()), settings),
            Some(Effect::DropChunk { then, .. }) => {
                replies.push(then);
                return (state, replies, appended);
            }
            Some(Effect::Append(envelope)) => {
                assert!(state.holds_content());
                assert!(!envelope.recipients.is_empty(), "nothing is appended that is for nobody");
                appended += 1;
                step(state, Input::Appended(Appended::Queued("id".to_owned())), settings)
            }
            Some(Effect::Close) => panic!("{line} closes"),
        };
    }
}

#[test]
fn every_command_is_answered_and_only_a_queued_message_is_acknowledged() {
    let settings = Settings::default();
    for number in 0..LINES.len().pow(LENGTH) {
        let mut state = State::default();
        let mut begun = false;
        for place in 0..LENGTH {
            let line = LINES[number / LINES.len().pow(place) % LINES.len()];
            let (after, replies, appended) = settled(state, line, &settings);
            let queued = replies.iter().filter(|reply| reply.text.contains("queued as")).count();
            assert_eq!(queued, appended);
            assert_eq!(replies.len(), if replies[0].code == 354 { 2 } else { 1 }, "{line}");
            assert!(appended == 0 || begun, "{line} without MAIL");
            begun = after.is_inside_transaction();
            assert!(begun || !after.holds_content());
            state = after;
        }
    }
}

#[test]
fn content_that_is_refused_is_never_appended() {
    let settings = Settings::default();
    for bits in 1..16_u8 {
        let content = Content {
            over_size: bits & 1 != 0,
            no_room: bits & 2 != 0,
            stray: bits & 4 != 0,
            hops: if bits & 8 != 0 { settings.hops + 1 } else { settings.hops },
        };
        for end in ["DATA", "BDAT 4 LAST"] {
            let mut state = State::default();
            for line in ["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", end] {
                state = step(state, Input::Line(command::parse(line.as_bytes())), &settings).state;
            }
            let input = if end == "DATA" { Input::Content(content) } else { Input::Chunk(content) };
            let ended = step(state, input, &settings);
            assert!(ended.effect.is_none());
            assert!(ended.reply.unwrap().code >= 400);
            assert!(!ended.state.is_inside_transaction());
        }
    }
}
