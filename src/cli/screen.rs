//! What is written for people and programs. Mail is untrusted: no control character of it reaches a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::Value;

use super::failure::Failure;

/// The text with every control character made visible, and without the marks that turn the direction of text.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_obeyed(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Control characters, and the marks of direction, which would make a line read as another one.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One object a line, for programs. What would move a terminal is written by its number, which is the same JSON.
pub fn json(object: &Value) -> Result<(), Failure> {
    print(&format!("{}\n", tame(&object.to_string())))
}

/// A line of JSON as the server gives it, in the same way; `false` when nobody reads any more.
pub fn json_line(line: &[u8]) -> Result<bool, Failure> {
    match str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line)) {
        Ok(text) => write(format!("{}\n", tame(text)).as_bytes()),
        Err(_) => write(line),
    }
}

/// The same JSON without a character that a terminal obeys: such ones stand in texts only.
fn tame(json: &str) -> Cow<'_, str> {
    if !json.contains(is_obeyed) {
        return Cow::Borrowed(json);
    }
    let mut tamed = String::with_capacity(json.len());
    for character in json.chars() {
        if is_obeyed(character) {
            let _ = write!(tamed, "\\u{:04x}", u32::from(character));
        } else {
            tamed.push(character);
        }
    }
    Cow::Owned(tamed)
}

/// Writes to standard output. A reader that has gone (`| head`) is no fault.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Bytes as they came, for programs; `false` when nobody reads any more.
pub fn write(bytes: &[u8]) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What a change has come to: the object for programs, a sentence for people.
pub fn answer(object: &Value, sentence: &str, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return json(object);
    }
    print(&format!("{}\n", escaped(sentence)))
}

/// A member as text; nothing where there is none.
pub fn text_of(object: &Value, name: &str) -> String {
    match object.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Rows with columns as wide as they have to be; nothing for no rows.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| escaped(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|name| name.len())).max().unwrap_or(0)
    };
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| format!("{cell:<width$}", width = width(column)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(head.to_vec());
    rows.iter().for_each(|row| text.push_str(&line(row.iter().map(String::as_str).collect())));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_marks_of_direction_are_shown_and_not_obeyed() {
        assert_eq!(escaped("a\u{1b}[2Jb\nc\u{202e}d ü"), "a\\u{1b}[2Jb\\u{a}c\\u{202e}d ü");
    }

    #[test]
    fn json_stays_the_same_json_and_moves_no_terminal() {
        let object = serde_json::json!({"subject": "a\u{1b}[2J\u{9b}2J\u{202e}\u{7f}\nü"});
        let tamed = tame(&object.to_string()).into_owned();
        assert_eq!(tamed, r#"{"subject":"a\u001b[2J\u009b2J\u202e\u007f\nü"}"#);
        assert_eq!(serde_json::from_str::<Value>(&tamed).unwrap(), object);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), "2".to_owned()]];
        assert_eq!(table(&["x", "number"], &rows), "x     number\na     1\nlong  2\n");
    }
}
