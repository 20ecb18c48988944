use mailstore::Envelope;
use schemas::event::Folder;

use super::*;

fn entry(subject: &str) -> Entry {
    Entry {
        id: "01-0".to_owned(),
        inbox: "ann@example.org".to_owned(),
        original_inbox: "ann+x@example.org".to_owned(),
        recipients: Vec::new(),
        received_at: 0,
        envelope: Envelope::default(),
        from: vec![Address { address: "bob@example.com".to_owned(), name: "Bob".to_owned() }],
        to: Vec::new(),
        cc: Vec::new(),
        bcc: Vec::new(),
        subject: subject.to_owned(),
        links: Vec::new(),
        attachments: Vec::new(),
        problems: Vec::new(),
        spam: 0.5,
        folder: Folder::Inbox,
        delivered_to: Folder::Inbox,
        read: false,
        saved_by: None,
        labels: Vec::new(),
    }
}

fn made(entry: &Entry, text: &str) -> Value {
    message(&Shown { entry, text, to_from: true, url: Some("https://mail.example/01-0") })
}

fn texts(message: &Value) -> Vec<String> {
    let blocks = message["blocks"].as_array().unwrap();
    blocks.iter().filter_map(|block| block["text"]["text"].as_str()).map(str::to_owned).collect()
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[test]
fn a_message_is_who_subject_text_button_and_rule() {
    let message = made(&entry("Hello"), "One\r\nTwo\r\n");
    assert_eq!(texts(&message), ["Bob (bob@example.com) → ann+x@example.org", "Hello", "One\nTwo"]);
    let kinds: Vec<_> = message["blocks"].as_array().unwrap().iter().map(|block| block["type"].clone()).collect();
    assert_eq!(kinds, ["section", "header", "section", "actions", "divider"]);
    assert_eq!(message["blocks"][3]["elements"][0]["url"], "https://mail.example/01-0");
    assert_eq!(message["text"], "Bob (bob@example.com) → ann+x@example.org: Hello");
    assert_eq!((&message["unfurl_links"], &message["unfurl_media"]), (&json!(false), &json!(false)));
}

#[test]
fn who_wrote_to_whom_is_told_only_where_it_is_asked_for() {
    let entry = entry("Hello");
    let message = message(&Shown { entry: &entry, text: "", to_from: false, url: None });
    assert_eq!(texts(&message), ["Hello"]);
    assert_eq!(message["text"], "Hello");
    assert!(!message.to_string().contains("bob"));
}

#[test]
fn nothing_of_the_mail_is_markup() {
    let mut entry = entry("<!channel> & <https://evil.example|bank>");
    entry.from = vec![Address { address: "<@U1>".to_owned(), name: "*a* <!here>".to_owned() }];
    let message = made(&entry, "<!everyone> :smile: *bold*");
    for text in texts(&message).iter().chain([&message["text"].as_str().unwrap().to_owned()]) {
        assert!(!text.contains(['<', '>']), "{text}");
    }
    assert_eq!(texts(&message)[1], "&lt;!channel&gt; &amp; &lt;https://evil.example|bank&gt;");
    for block in message["blocks"].as_array().unwrap().iter().filter(|block| block["text"].is_object()) {
        assert_eq!(block["text"]["type"], "plain_text");
        assert_eq!(block["text"]["emoji"], false);
    }
}

#[test]
fn what_is_at_a_limit_is_whole_and_what_is_past_it_is_cut() {
    let at = "x".repeat(MAX_HEADER_UNITS);
    assert_eq!(texts(&made(&entry(&at), ""))[1], at);
    let past = texts(&made(&entry(&format!("{at}x")), ""))[1].clone();
    assert_eq!((units(&past), past.ends_with("x…")), (MAX_HEADER_UNITS, true));
    let at = "y".repeat(MAX_SECTION_UNITS);
    assert_eq!(texts(&made(&entry("s"), &at))[2], at);
    let past = texts(&made(&entry("s"), &format!("{at}y")))[2].clone();
    assert_eq!((units(&past), past.ends_with(NOT_ALL)), (MAX_SECTION_UNITS, true));
}

#[test]
fn no_cut_goes_through_an_escape_or_a_character() {
    for unit in ["&", "<>", "é", "😀", "a😀", "&amp;", "\u{202e}", "👨‍👩‍👧"] {
        for length in [MAX_HEADER_UNITS - 3, MAX_SECTION_UNITS - 3, 20_000] {
            for filler in 0..6 {
                let long = "x".repeat(filler) + &unit.repeat(length);
                let message = made(&entry(&long), &long);
                for (text, most) in texts(&message).iter().zip([MAX_PEOPLE_UNITS, MAX_HEADER_UNITS, MAX_SECTION_UNITS])
                {
                    assert!(units(text) <= most, "{unit}: {}", units(text));
                    let rest = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
                    assert!(!rest.contains('&'), "{unit}: {rest}");
                }
            }
        }
    }
}

#[test]
fn the_whole_message_is_within_the_limit_however_long_the_mail_is() {
    for unit in ["x", "<", "\"", "\u{1}", "😀"] {
        let mut entry = entry(&unit.repeat(20_000));
        entry.from = vec![Address { address: unit.repeat(20_000), name: unit.repeat(20_000) }];
        entry.original_inbox = unit.repeat(20_000);
        let url = format!("https://mail.example/{}", "u".repeat(MAX_URL_UNITS - 21));
        let text = unit.repeat(20_000);
        let whole = message(&Shown { entry: &entry, text: &text, to_from: true, url: Some(&url) });
        assert!(units(&whole.to_string()) <= MAX_MESSAGE_UNITS, "{unit}: {}", units(&whole.to_string()));
        assert!(whole.to_string().contains("actions"), "{unit}");
        let longer = url + "u";
        let without = message(&Shown { entry: &entry, text: &text, to_from: true, url: Some(&longer) });
        assert!(!without.to_string().contains("actions"));
    }
}

#[test]
fn line_ends_and_controls_in_a_subject_are_blanks_or_nothing() {
    let message = made(&entry("a\r\n b\tc\u{0}\u{1b}[31m  d"), "x\u{7}y\u{0}z");
    assert_eq!(texts(&message)[1..], ["a b c[31m d", "xyz"]);
    assert_eq!(texts(&made(&entry("\r\n"), " \r\n "))[1..], [NO_SUBJECT]);
}

#[test]
fn emoji_and_right_to_left_marks_stay_and_turn_no_address_around() {
    let mut entry = entry("שלום 😀 \u{202e}evil\u{202c}");
    entry.from = vec![Address { address: "a@b.example".to_owned(), name: "x\u{202e}y\u{2066}".to_owned() }];
    let texts = texts(&made(&entry, "\u{200f}مرحبا"));
    assert_eq!(texts, ["xy (a@b.example) → ann+x@example.org", "שלום 😀 \u{202e}evil\u{202c}", "\u{200f}مرحبا"]);
}

#[test]
fn a_mail_without_a_sender_says_so() {
    let mut entry = entry("s");
    entry.from.clear();
    assert_eq!(texts(&made(&entry, ""))[0], "(no sender) → ann+x@example.org");
    "bounce@example.com".clone_into(&mut entry.envelope.mail_from);
    assert_eq!(texts(&made(&entry, ""))[0], "bounce@example.com → ann+x@example.org");
}
