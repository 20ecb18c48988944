//! What strace wrote down (`-f -xx -y`), and what it says of data, syncs and replies.

use std::collections::HashMap;

/// The system calls of a process, in the order of their ends.
pub struct Trace {
    calls: Vec<Call>,
}

/// A system call: which lines of the trace it began and ended at.
struct Call {
    name: String,
    text: String,
    begins: usize,
    ends: usize,
}

impl Trace {
    /// A call that another thread's interrupts is put together again.
    pub fn read(trace: &str) -> Self {
        let mut open: HashMap<&str, (usize, &str)> = HashMap::new();
        let mut calls = Vec::new();
        for (number, line) in trace.lines().enumerate() {
            let Some((pid, rest)) = line.split_once(' ') else { continue };
            let rest = rest.trim_start();
            if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
                open.insert(pid, (number, begun));
                continue;
            }
            let (begins, text) = match rest.strip_prefix("<... ") {
                Some(resumed) => {
                    let Some((begins, begun)) = open.remove(pid) else { continue };
                    (begins, format!("{begun}{}", resumed.split_once("resumed>").map_or("", |(_, end)| end)))
                }
                None => (number, rest.to_owned()),
            };
            if let Some((name, _)) = text.split_once('(') {
                calls.push(Call { name: name.to_owned(), text, begins, ends: number });
            }
        }
        Self { calls }
    }

    /// Whether the reply was begun after the end of a good sync that was begun after the end of the write of the data,
    /// on the file that the data was written to.
    pub fn synced(&self, data: &str, reply: &str) -> Result<(), String> {
        let (data, reply) = (hexadecimal(data), hexadecimal(reply));
        let mut writes = self.calls.iter().filter(|call| call.name.contains("write") && call.text.contains(&data));
        let write = writes.find(|call| call.file().is_some()).ok_or("the data is written to no file")?;
        let mut answers = self.calls.iter().filter(|call| call.text.contains(&reply));
        let answer = answers.find(|call| call.file().is_none()).ok_or("there is no reply")?;
        let synced = self.calls.iter().any(|call| {
            matches!(call.name.as_str(), "fsync" | "fdatasync")
                && call.file() == write.file()
                && call.begins > write.ends
                && call.ends < answer.begins
                && call.text.trim_end().ends_with("= 0")
        });
        if synced { Ok(()) } else { Err("the reply follows no sync of the data".to_owned()) }
    }
}

impl Call {
    /// The path behind the descriptor, when it is a file's.
    fn file(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once('<')?;
        let (path, _) = rest.split_once('>')?;
        (path.starts_with('/') || path.starts_with("\\x2f")).then_some(path)
    }
}

/// As strace shows bytes with `-xx`.
fn hexadecimal(text: &str) -> String {
    text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

#[test]
fn a_reply_before_its_sync_is_seen() {
    let (data, file, reply) = (hexadecimal("mail"), hexadecimal("/log"), hexadecimal("done"));
    let write = format!("7 write(5<{file}>, \"{data}\", 4) = 4");
    let sync = format!("7 fdatasync(5<{file}>) = 0");
    let failed = format!("7 fdatasync(5<{file}>) = -1 EIO (Input/output error) (INJECTED)");
    let other = format!("7 fsync(6<{}>) = 0", hexadecimal("/other"));
    let send = format!("8 sendto(9<{}>, \"{reply}\", 4, 0, NULL, 0) = 4", hexadecimal("socket:[1]"));
    let (begun, resumed) =
        (format!("7 fdatasync(5<{file}> <unfinished ...>"), "7 <... fdatasync resumed>) = 0".to_owned());
    let synced = |lines: &[&String]| {
        let lines: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
        Trace::read(&lines.join("\n")).synced("mail", "done").is_ok()
    };
    assert!(synced(&[&write, &sync, &send]));
    assert!(synced(&[&write, &begun, &resumed, &send]));
    assert!(!synced(&[&write, &send]));
    assert!(!synced(&[&write, &send, &sync]));
    assert!(!synced(&[&sync, &write, &send]));
    assert!(!synced(&[&write, &failed, &send]));
    assert!(!synced(&[&write, &other, &send]));
    assert!(!synced(&[&write, &begun, &send, &resumed]));
    assert!(!synced(&[&begun, &write.replacen('7', "8", 1), &resumed, &send]));
}
