//! Reading: the file, the environment over it, the flags over both. Every key that doesn't exist and every value of the
//! wrong kind is named, not only the first.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::key::{Key, Kind};
use super::{Config, Fault, Faults};

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// Variables by name, those of ours.
    pub environment: BTreeMap<String, String>,
    /// Path of the key and its text, from the command line.
    pub flags: Vec<(String, String)>,
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

/// The configuration as it stands in its sources, not checked further than its form.
pub fn read(sources: &Sources) -> Result<Config, Faults> {
    let keys = Config::keys();
    let mut faults = Vec::new();
    let mut table = match read_file(sources) {
        Ok(table) => table,
        Err(fault) => return Err(Faults(vec![fault])),
    };
    let file = sources.file.as_ref().map_or_else(String::new, |path| path.display().to_string());
    check_form(&table, &keys, &file, &mut faults);
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
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    typed(table)
}

/// What passed the check of its form can only be a number out of its type's range.
fn typed(mut table: Table) -> Result<Config, Faults> {
    let mut faults = Vec::new();
    let config = Config {
        log: section(&mut table, "log", &mut faults),
        store: section(&mut table, "store", &mut faults),
        smtp: section(&mut table, "smtp", &mut faults),
        http: section(&mut table, "http", &mut faults),
        processors: section(&mut table, "processors", &mut faults),
        forward: section(&mut table, "forward", &mut faults),
        upkeep: section(&mut table, "upkeep", &mut faults),
        telemetry: section(&mut table, "telemetry", &mut faults),
        top: section(&mut Table::from_iter([("top".to_owned(), Value::Table(table))]), "top", &mut faults),
    };
    if faults.is_empty() { Ok(config) } else { Err(Faults(faults)) }
}

fn section<T: DeserializeOwned + Default>(table: &mut Table, name: &str, faults: &mut Vec<Fault>) -> T {
    let Some(value) = table.remove(name) else { return T::default() };
    value.try_into().unwrap_or_else(|error: toml::de::Error| {
        faults.push(Fault { key: name.to_owned(), source: None, cause: error.to_string().trim().to_owned() });
        T::default()
    })
}

fn read_file(sources: &Sources) -> Result<Table, Fault> {
    let Some(path) = &sources.file else { return Ok(Table::new()) };
    let fault = |cause: String| Fault { key: "config".to_owned(), source: None, cause };
    let text =
        std::fs::read_to_string(path).map_err(|error| fault(format!("{} can't be read: {error}", path.display())))?;
    text.parse::<Table>()
        .map_err(|error| fault(format!("{} is not TOML: {}", path.display(), error.to_string().trim())))
}

/// Names every key that doesn't exist and every value of the wrong kind.
fn check_form(table: &Table, keys: &[Key], source: &str, faults: &mut Vec<Fault>) {
    for (name, value) in table {
        match value {
            Value::Table(section) if keys.iter().any(|key| key.path.starts_with(&format!("{name}."))) => {
                for (inner, value) in section {
                    check_value(&format!("{name}.{inner}"), value, keys, source, faults);
                }
            }
            value => check_value(name, value, keys, source, faults),
        }
    }
}

fn check_value(path: &str, value: &Value, keys: &[Key], source: &str, faults: &mut Vec<Fault>) {
    let Some(key) = keys.iter().find(|key| key.path == path) else {
        return faults.push(unknown(path, source, keys));
    };
    let fits = match (key.kind, value) {
        (Kind::Text, Value::String(_)) | (Kind::Switch, Value::Boolean(_)) => true,
        (Kind::Number, Value::Integer(number)) => *number >= 0,
        (Kind::List, Value::Array(items)) => items.iter().all(Value::is_str),
        _ => false,
    };
    if !fits {
        let cause = format!("it must be a {}, not {}", key.kind.word(), shown(value));
        faults.push(Fault { key: path.to_owned(), source: Some(source.to_owned()), cause });
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text {text:?}"),
        Value::Integer(number) => number.to_string(),
        other => format!("a {}", other.type_str()),
    }
}

fn unknown(path: &str, source: &str, keys: &[Key]) -> Fault {
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
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
    };
    let Some(value) = value else {
        let cause = format!("it must be a {}, not {text:?}", key.kind.word());
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
        let sources =
            Sources { file: Some(path), environment: own(environment).into_iter().collect(), flags: own(flags) };
        (folder, sources)
    }

    #[test]
    fn a_flag_is_over_the_environment_over_the_file_over_the_default() {
        let port = |file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]| {
            let (_folder, sources) = sources(file, environment, flags);
            read(&sources).unwrap().smtp.listen
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
        let Faults(faults) = read(&sources).unwrap_err();
        let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["dat_dir", "log.partitions", "log.partitoins", "smpt", "smtp.recipients"]);
        assert!(faults[2].cause.contains("log.partitions"), "{}", faults[2]);
    }

    #[test]
    fn a_list_in_the_environment_is_separated_by_commas() {
        let (_folder, sources) = sources("", &[("POSTLOG_STAGES", "ingest, api")], &[]);
        assert_eq!(read(&sources).unwrap().top.stages, ["ingest", "api"]);
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
        assert!(read(&sources).unwrap_err().to_string().contains("is not TOML"));
        sources.file = Some(folder.path().join("none.toml"));
        assert!(read(&sources).unwrap_err().to_string().contains("none.toml can't be read"));
    }
}
