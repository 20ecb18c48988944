//! What is handed on to the client library of the log, by its own names. Dots in a name may be tables of TOML, so that
//! quotes are not needed. Values are never shown: passwords are among them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::Fault;

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Table")]
pub struct ClientTable(BTreeMap<String, ClientValue>);

/// A value, or where it stands.
#[derive(Clone, PartialEq, Eq, Serialize)]
enum ClientValue {
    Text(String),
    /// The first line of this file.
    File(String),
    /// In this variable.
    Variable(String),
}

impl ClientTable {
    /// Names that the library doesn't have, values that it doesn't take, and what is not to be changed.
    pub fn faults(&self) -> Vec<(&str, String)> {
        let fault = |(name, value): (&'_ String, &ClientValue)| {
            let text = if let ClientValue::Text(text) = value { Some(text.as_str()) } else { None };
            client_fault(name, text)
        };
        self.0.iter().filter_map(|pair| Some((pair.0.as_str(), fault(pair)?))).collect()
    }

    /// Every name with its value, read from wherever it stands.
    #[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "nobody takes it"))]
    pub fn resolve(&self) -> Result<BTreeMap<String, String>, Fault> {
        let resolved = |(name, value): (&String, &ClientValue)| {
            let read = value.read().map_err(|cause| Fault {
                key: "kafka.client".to_owned(),
                source: None,
                cause: format!("{name}: {cause}"),
            })?;
            Ok((name.clone(), read))
        };
        self.0.iter().map(resolved).collect()
    }
}

#[cfg(feature = "kafka")]
fn client_fault(name: &str, value: Option<&str>) -> Option<String> {
    eventlog::kafka::client_fault(name, value)
}

#[cfg(not(feature = "kafka"))]
fn client_fault(_: &str, _: Option<&str>) -> Option<String> {
    None
}

impl ClientValue {
    #[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "nobody takes it"))]
    fn read(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| format!("{path} can't be read: {error}"))?;
                Ok(text.lines().next().unwrap_or_default().to_owned())
            }
            Self::Variable(name) => std::env::var(name).map_err(|_| format!("the variable {name} is not set")),
        }
    }
}

impl fmt::Debug for ClientTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl TryFrom<Table> for ClientTable {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let mut flat = BTreeMap::new();
        flatten("", table, &mut flat)?;
        Ok(Self(flat))
    }
}

fn flatten(prefix: &str, table: Table, flat: &mut BTreeMap<String, ClientValue>) -> Result<(), String> {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        let value = match value {
            Value::String(text) => ClientValue::Text(text),
            Value::Integer(number) => ClientValue::Text(number.to_string()),
            Value::Float(number) => ClientValue::Text(number.to_string()),
            Value::Boolean(switch) => ClientValue::Text(switch.to_string()),
            Value::Table(inner) => match place(&inner) {
                Some(place) => place,
                None => {
                    flatten(&format!("{name}."), inner, flat)?;
                    continue;
                }
            },
            other => return Err(format!("{name} can't be a {}", other.type_str())),
        };
        flat.insert(name, value);
    }
    Ok(())
}

/// `{ file = "PATH" }` or `{ env = "VARIABLE" }`.
fn place(table: &Table) -> Option<ClientValue> {
    let (name, value) = table.iter().next().filter(|_| table.len() == 1)?;
    let text = value.as_str()?.to_owned();
    match name.as_str() {
        "file" => Some(ClientValue::File(text)),
        "env" => Some(ClientValue::Variable(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<ClientTable, String> {
        ClientTable::try_from(text.parse::<Table>().unwrap())
    }

    #[test]
    fn names_may_be_quoted_or_tables_and_values_numbers_or_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "s3cret\nnotes\n").unwrap();
        let text = format!(
            "\"security.protocol\" = \"SASL_SSL\"\nsasl.username = \"ann\"\nlinger.ms = 7\n\
             sasl.password = {{ file = {:?} }}\nssl.key.password = {{ env = \"PATH\" }}\n",
            path.display()
        );
        let read = table(&text).unwrap();
        let resolved = read.resolve().unwrap();
        let names: Vec<&str> = resolved.keys().map(String::as_str).collect();
        assert_eq!(names, ["linger.ms", "sasl.password", "sasl.username", "security.protocol", "ssl.key.password"]);
        assert_eq!((resolved["sasl.password"].as_str(), resolved["linger.ms"].as_str()), ("s3cret", "7"));
        assert_eq!(resolved["ssl.key.password"], std::env::var("PATH").unwrap());
        assert!(!format!("{read:?}").contains("ann"), "values are not shown");
    }

    #[test]
    fn a_place_where_nothing_stands_is_named() {
        let fault = table("sasl.password = { file = \"/nowhere\" }").unwrap().resolve().unwrap_err();
        assert!(fault.cause.contains("sasl.password") && fault.cause.contains("/nowhere"), "{fault}");
        assert!(table("a = [1]").is_err());
    }

    #[test]
    #[cfg(feature = "kafka")]
    fn names_that_are_unknown_and_what_is_not_to_be_changed_are_faults() {
        let read = table("\"acks\" = 1\nno.such = 1\n\"linger.ms\" = \"soon\"\n\"client.id\" = \"x\"\n").unwrap();
        let faults = read.faults();
        let names: Vec<&str> = faults.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["acks", "linger.ms", "no.such"], "{faults:?}");
        assert!(!faults[1].1.contains("soon"), "values are not shown: {faults:?}");
    }
}
