//! A small HTTP server that is called: it keeps every call, and answers as it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::{PATIENCE, eventually};

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The id that is the same at every attempt.
    pub fn id(&self) -> String {
        self.header("webhook-id").unwrap().to_owned()
    }
}

type Answers = dyn Fn(&Call) -> u16 + Send + Sync;

/// Dropped, it listens no more.
pub struct Receiver {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    over: Arc<AtomicBool>,
}

impl Receiver {
    pub fn new() -> Self {
        Self::answering(|_| 200)
    }

    pub fn answering(answers: impl Fn(&Call) -> u16 + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), answers)
    }

    /// At an address that somebody has been before.
    pub fn at(address: SocketAddr, answers: impl Fn(&Call) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, ended, answers): (_, _, Arc<Answers>) = (calls.clone(), over.clone(), Arc::new(answers));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (kept, answers) = (kept.clone(), answers.clone());
                thread::spawn(move || take(stream, &kept, &*answers));
            }
        });
        Self { address, calls, over }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The calls, once there are so many.
    pub fn called(&self, times: usize) -> Vec<Call> {
        eventually(&format!("{times} calls"), || Some(self.calls()).filter(|calls| calls.len() >= times))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Whoever waits for a connection gets one, and sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn take(mut stream: TcpStream, kept: &Mutex<Vec<Call>>, answers: &Answers) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let Some(call) = read(&stream) else { return };
    let status = answers(&call);
    kept.lock().unwrap().push(call);
    let answer = format!("HTTP/1.1 {status} Told\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    let _ = stream.write_all(answer.as_bytes());
}

fn read(stream: &TcpStream) -> Option<Call> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        let Some((name, value)) = field.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call { path, headers, body })
}
