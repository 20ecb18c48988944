//! A schema registry as Confluent's behaves, as far as a program that registers sees it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::PATIENCE;

#[derive(Clone, Debug)]
pub struct Registered {
    pub subject: String,
    pub version: usize,
    pub id: i64,
    pub schema: String,
}

#[derive(Default)]
struct State {
    schemas: Vec<Registered>,
    next_id: i64,
    /// What may not be registered, as incompatible.
    refused: Option<String>,
    /// The Authorization header that is asked for.
    authorization: Option<String>,
    calls: Vec<String>,
}

/// It listens for as long as the test runs.
#[derive(Clone)]
pub struct Registry {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Registry {
    pub fn starting_at(next_id: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { next_id, ..State::default() }));
        let kept = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&kept);
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn put(&self, subject: &str, schema: &str) -> i64 {
        self.state.lock().unwrap().put(subject, schema)
    }

    pub fn refuse(&self, subject: &str) {
        self.state.lock().unwrap().refused = Some(subject.to_owned());
    }

    pub fn want(&self, authorization: &str) {
        self.state.lock().unwrap().authorization = Some(authorization.to_owned());
    }

    pub fn schemas(&self) -> Vec<Registered> {
        self.state.lock().unwrap().schemas.clone()
    }

    pub fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }
}

impl State {
    fn put(&mut self, subject: &str, schema: &str) -> i64 {
        let (id, version) = (self.next_id, self.of(subject).len() + 1);
        self.next_id += 1;
        self.schemas.push(Registered { subject: subject.to_owned(), version, id, schema: schema.to_owned() });
        id
    }

    fn of(&self, subject: &str) -> Vec<&Registered> {
        self.schemas.iter().filter(|known| known.subject == subject).collect()
    }

    fn answer(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let parts: Vec<&str> = path.trim_matches('/').split(['/', '?']).collect();
        let schema = body["schema"].as_str().unwrap_or_default();
        let missing = (404, json!({"error_code": 40401, "message": "Subject not found."}));
        match (method, parts.as_slice()) {
            ("GET", ["subjects", subject, "versions"]) => match self.of(subject).as_slice() {
                [] => missing,
                known => (200, json!(known.iter().map(|one| one.version).collect::<Vec<_>>())),
            },
            ("GET", ["subjects", subject, "versions", version]) => {
                let known = self.of(subject);
                let found = known.iter().find(|known| known.version.to_string() == **version);
                found.map_or(missing, |found| {
                    let (version, id) = (found.version, found.id);
                    (200, json!({"subject": subject, "version": version, "id": id, "schema": found.schema}))
                })
            }
            ("POST", ["subjects", subject]) => {
                let known = self.of(subject);
                let found = known.iter().find(|known| known.schema == schema);
                found.map_or(missing, |found| (200, json!({"subject": subject, "id": found.id})))
            }
            ("POST", ["subjects", subject, "versions"]) if self.refused.as_deref() == Some(subject) => {
                let message = "Schema being registered is incompatible with an earlier schema";
                (409, json!({"error_code": 409, "message": message}))
            }
            ("POST", ["subjects", subject, "versions"]) => (200, json!({"id": self.put(subject, schema)})),
            ("GET", ["config", ..]) => (200, json!({"compatibilityLevel": "FULL_TRANSITIVE"})),
            _ => (405, json!({"error_code": 405, "message": "HTTP 405 Method Not Allowed"})),
        }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let Some((method, path, authorization, body)) = read(&stream) else { return };
    let (status, answer) = {
        let mut state = state.lock().unwrap();
        state.calls.push(format!("{method} {path}"));
        if state.authorization.is_some() && state.authorization != authorization {
            (401, json!({"error_code": 40101, "message": "Unauthorized"}))
        } else {
            state.answer(&method, &path, &serde_json::from_slice(&body).unwrap_or_default())
        }
    };
    let text = answer.to_string();
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\n");
    let _ =
        stream.write_all(format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len()).as_bytes());
}

fn read(stream: &TcpStream) -> Option<(String, String, Option<String>, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        let Some((name, value)) = field.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, authorization, body))
}
