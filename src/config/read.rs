//! Reading: the file, the environment over it, the flags over both. Every key that doesn't exist and every value of the
//! wrong kind is named, not only the first, and left out, so that what is right is checked further.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::key::{Key, Kind};
use super::{Config, Fault};

const EMPTY_MEMBER: &str = "a member of the list is empty";

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// Variables by name, those of ours.
    pub environment: BTreeMap<String, String>,
    /// Path of the key and its text, from the command line.
    pub flags: Vec<(String, String)>,
    /// What the command line has where a setting should be.
    pub faults: Vec<Fault>,
}

impl Sources {
    /// The environment of this process.
    pub fn environment() -> BTreeMap<String, String> {
        let ours = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(super::key::PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        };
        std::env::vars_os().filter_map(ours).collect()
    }
}

/// The configuration as it stands in its sources, not checked further than its form, and what is wrong with that form.
/// Where something is wrong the default stands.
pub fn read(sources: &Sources) -> (Config, Vec<Fault>) {
    let keys = Config::keys();
    let mut faults = Vec::new();
    let mut table = read_file(sources).unwrap_or_else(|fault| {
        faults.push(fault);
        Table::new()
    });
    let file = sources.file.as_ref().map_or_else(String::new, |path| path.display().to_string());
    check_form(&mut table, &keys, &file, &mut faults);
    for key in &keys {
        let variable = key.variable();
        if let Some(text) = sources.environment.get(&variable) {
            set(&mut table, key, text, &format!("variable {variable}"), &mut faults);
        }
    }
    for (path, text) in &sources.flags {
        match keys.iter().find(|key| key.path == *path) {
            Some(key) => set(&mut table, key, text, "command line", &mut faults),
            None => faults.push(unknown(path, "command line", &keys)),
        }
    }
    faults.extend(sources.faults.iter().cloned());
    (typed(table, &mut faults), faults)
}

/// What passed the check of its form can only be a number out of its type's range.
fn typed(mut table: Table, faults: &mut Vec<Fault>) -> Config {
    let mut take = |name: &str| match table.remove(name) {
        Some(Value::Table(section)) => section,
        _ => Table::new(),
    };
    Config {
        log: section(take("log"), "log.", faults),
        kafka: section(take("kafka"), "kafka.", faults),
        store: section(take("store"), "store.", faults),
        smtp: section(take("smtp"), "smtp.", faults),
        http: section(take("http"), "http.", faults),
        processors: section(take("processors"), "processors.", faults),
        forward: section(take("forward"), "forward.", faults),
        upkeep: section(take("upkeep"), "upkeep.", faults),
        telemetry: section(take("telemetry"), "telemetry.", faults),
        top: section(table, "", faults),
    }
}

fn section<T: DeserializeOwned + Default>(table: Table, prefix: &str, faults: &mut Vec<Fault>) -> T {
    let mut right = Table::new();
    for (name, value) in table {
        // Each key alone, since an error doesn't say which it is about.
        match Table::from_iter([(name.clone(), value.clone())]).try_into::<T>() {
            Ok(_) => {
                right.insert(name, value);
            }
            Err(error) => {
                let (key, cause) = (format!("{prefix}{name}"), error.message().trim().to_owned());
                faults.push(Fault { key, source: None, cause });
            }
        }
    }
    right.try_into().unwrap_or_default()
}

fn read_file(sources: &Sources) -> Result<Table, Fault> {
    let Some(path) = &sources.file else { return Ok(Table::new()) };
    let fault = |cause: String| Fault { key: "config".to_owned(), source: None, cause };
    let text =
        std::fs::read_to_string(path).map_err(|error| fault(format!("{} can't be read: {error}", path.display())))?;
    text.parse::<Table>()
        .map_err(|error| fault(format!("{} is not TOML: {}", path.display(), error.to_string().trim())))
}

/// Names every key that doesn't exist and every value of the wrong kind, and takes them out.
fn check_form(table: &mut Table, keys: &[Key], source: &str, faults: &mut Vec<Fault>) {
    table.retain(|name, value| match value {
        Value::Table(section) if keys.iter().any(|key| key.path.starts_with(&format!("{name}."))) => {
            section.retain(|inner, value| kept(check_value(&format!("{name}.{inner}"), value, keys, source), faults));
            true
        }
        value => kept(check_value(name, value, keys, source), faults),
    });
}

/// Whether there is no fault; one that there is joins the others.
fn kept(fault: Option<Fault>, faults: &mut Vec<Fault>) -> bool {
    let right = fault.is_none();
    faults.extend(fault);
    right
}

fn check_value(path: &str, value: &Value, keys: &[Key], source: &str) -> Option<Fault> {
    let Some(key) = keys.iter().find(|key| key.path == path) else {
        return Some(unknown(path, source, keys));
    };
    let fault = |cause: String| Some(Fault { key: path.to_owned(), source: Some(source.to_owned()), cause });
    if let Value::Array(items) = value
        && items.iter().any(|item| item.as_str().is_some_and(|text| text.trim().is_empty()))
    {
        return fault(EMPTY_MEMBER.to_owned());
    }
    let fits = match (key.kind, value) {
        (Kind::Text, Value::String(_)) | (Kind::Switch, Value::Boolean(_)) => true,
        (Kind::Number, Value::Integer(number)) => *number >= 0,
        (Kind::List, Value::Array(items)) => items.iter().all(Value::is_str),
        (Kind::Table, Value::Table(_)) => true,
        _ => false,
    };
    if fits { None } else { fault(format!("it must be a {}, not {}", key.kind.word(), shown(value))) }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text {text:?}"),
        Value::Integer(number) => number.to_string(),
        other => format!("a {}", other.type_str()),
    }
}

pub(super) fn unknown(path: &str, source: &str, keys: &[Key]) -> Fault {
    let name = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let near = keys.iter().find(|key| name(&key.path) == name(path) || is_near(&name(&key.path), &name(path)));
    let cause = match near {
        Some(near) => format!("there is no such key; is {} meant?", near.path),
        None => "there is no such key".to_owned(),
    };
    Fault { key: path.to_owned(), source: Some(source.to_owned()), cause }
}

/// The same letters in another order, or one more or less at an end.
fn is_near(known: &str, given: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(known) == sorted(given) || known.trim_end_matches('s') == given.trim_end_matches('s')
}

/// Takes the text of a variable or flag as the kind that the key has.
fn set(table: &mut Table, key: &Key, text: &str, source: &str, faults: &mut Vec<Fault>) {
    let value = match key.kind {
        Kind::Text => Some(Value::String(text.to_owned())),
        Kind::Number => text.trim().parse::<i64>().ok().filter(|number| *number >= 0).map(Value::Integer),
        Kind::Switch => text.trim().parse::<bool>().ok().map(Value::Boolean),
        Kind::List => list(text),
        Kind::Table => pairs(text),
    };
    let Some(value) = value else {
        let cause = match key.kind {
            Kind::List => EMPTY_MEMBER.to_owned(),
            // It may hold a password.
            Kind::Table => "it must be name=value,name=value".to_owned(),
            kind => format!("it must be a {}, not {text:?}", kind.word()),
        };
        return faults.push(Fault { key: key.path.clone(), source: Some(source.to_owned()), cause });
    };
    match key.path.split_once('.') {
        None => {
            table.insert(key.path.clone(), value);
        }
        Some((section, name)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                section.insert(name.to_owned(), value);
            }
        }
    }
}

/// `None` when a member is empty; nothing at all is the empty list.
fn list(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::Array(Vec::new()));
    }
    let items: Vec<&str> = text.split(',').map(str::trim).collect();
    let whole = items.iter().all(|item| !item.is_empty());
    whole.then(|| Value::Array(items.into_iter().map(|item| Value::String(item.to_owned())).collect()))
}

/// `None` where a member is no `name=value`.
fn pairs(text: &str) -> Option<Value> {
    let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
    let pair = |member: &str| {
        let (name, value) = member.split_once('=')?;
        Some((name.trim().to_owned(), Value::String(value.trim().to_owned())))
    };
    members.map(pair).collect::<Option<Table>>().map(Value::Table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postlog.toml");
        std::fs::write(&path, file).unwrap();
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let sources = Sources {
            file: Some(path),
            environment: own(environment).into_iter().collect(),
            flags: own(flags),
            faults: Vec::new(),
        };
        (folder, sources)
    }

    fn right(sources: &Sources) -> Config {
        let (config, faults) = read(sources);
        assert_eq!(faults, []);
        config
    }

    fn keys(faults: &[Fault]) -> Vec<&str> {
        faults.iter().map(|fault| fault.key.as_str()).collect()
    }

    #[test]
    fn a_flag_is_over_the_environment_over_the_file_over_the_default() {
        let port = |file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]| {
            let (_folder, sources) = sources(file, environment, flags);
            right(&sources).smtp.listen
        };
        let file = "[smtp]\nlisten = \"127.0.0.1:3\"\n";
        let environment = [("POSTLOG_SMTP_LISTEN", "127.0.0.1:2")];
        let flags = [("smtp.listen", "127.0.0.1:1")];
        assert_eq!(port("", &[], &[]), "127.0.0.1:1025");
        assert_eq!(port(file, &[], &[]), "127.0.0.1:3");
        assert_eq!(port(file, &environment, &[]), "127.0.0.1:2");
        assert_eq!(port(file, &environment, &flags), "127.0.0.1:1");
    }

    #[test]
    fn every_unknown_key_and_every_wrong_kind_is_named() {
        let file = "dat_dir = \"x\"\n[log]\npartitoins = 3\npartitions = \"three\"\n[smpt]\nlisten = \"x\"\n";
        let (_folder, sources) = sources(file, &[("POSTLOG_SMTP_RECIPIENTS", "many")], &[]);
        let (_, faults) = read(&sources);
        assert_eq!(keys(&faults), ["dat_dir", "log.partitions", "log.partitoins", "smpt", "smtp.recipients"]);
        assert!(faults[2].cause.contains("log.partitions"), "{}", faults[2]);
    }

    #[test]
    fn a_list_in_the_environment_is_separated_by_commas() {
        let (_folder, sources) = sources("", &[("POSTLOG_STAGES", "ingest, api")], &[]);
        assert_eq!(right(&sources).top.stages, ["ingest", "api"]);
        let (_folder, sources) =
            self::sources("[smtp]\ndomains = [\"a.example\"]\n", &[("POSTLOG_SMTP_DOMAINS", "")], &[]);
        assert!(right(&sources).smtp.domains.is_empty(), "nothing is the empty list");
    }

    #[test]
    fn an_empty_member_of_a_list_is_a_fault() {
        let file = "[smtp]\ndomains = [\"a.example\", \" \"]\n";
        let (_folder, sources) = sources(file, &[("POSTLOG_HTTP_HOSTS", "a,,b")], &[("stages", "ingest,")]);
        let (_, faults) = read(&sources);
        assert_eq!(keys(&faults), ["smtp.domains", "http.hosts", "stages"]);
        assert!(faults.iter().all(|fault| fault.cause.contains("empty")), "{faults:?}");
    }

    #[test]
    fn what_is_right_is_read_beside_what_is_wrong() {
        let file = "[log]\npartitions = 5000000000\nsegment_bytes = 7\n[smtp]\nlisten = 3\nrecipients = 5\n";
        let (_folder, sources) = sources(file, &[], &[("log", "x"), ("smtp.connections", "9")]);
        let (config, faults) = read(&sources);
        assert_eq!(keys(&faults), ["smtp.listen", "log", "log.partitions"]);
        assert_eq!((config.log.segment_bytes, config.smtp.recipients, config.smtp.connections), (7, 5, 9));
        assert_eq!(config.smtp.listen, Config::default().smtp.listen);
    }

    #[test]
    fn each_key_has_one_variable() {
        let mut names: Vec<String> = Config::keys().iter().map(Key::variable).collect();
        assert!(names.contains(&"POSTLOG_LOG".to_owned()) && names.contains(&"POSTLOG_HTTP_LISTEN".to_owned()));
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_file_that_is_no_toml_or_is_not_there_is_said_so() {
        let (folder, mut sources) = sources("log = [", &[], &[]);
        let said = |sources: &Sources| read(sources).1.iter().map(Fault::to_string).collect::<String>();
        assert!(said(&sources).contains("is not TOML"));
        sources.file = Some(folder.path().join("none.toml"));
        assert!(said(&sources).contains("none.toml can't be read"));
    }
}
