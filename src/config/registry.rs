//! An outside schema registry: where it is, and as whom it is asked (`user:password`, from the environment or a file,
//! never from the configuration itself).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::Fault;
use super::sections::SchemaRegistrySection;
use crate::assemble::first_line;

/// In the environment: the credentials themselves.
pub const CREDENTIALS: &str = "POSTLOG_SCHEMA_REGISTRY_CREDENTIALS";

/// A registry that is to be used.
#[derive(Clone)]
pub struct RegistrySettings {
    pub url: String,
    /// `user:password`.
    pub credentials: Option<String>,
}

impl fmt::Debug for RegistrySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrySettings").field("url", &self.url).finish_non_exhaustive()
    }
}

pub fn build(section: &SchemaRegistrySection) -> Result<Option<RegistrySettings>, Vec<Fault>> {
    let Some(url) = section.url.clone() else { return Ok(None) };
    let credentials = read(section.credentials_file.as_deref()).map_err(|fault| vec![fault])?;
    Ok(Some(RegistrySettings { url, credentials }))
}

/// What is wrong with the credentials.
pub fn fault(environment: &BTreeMap<String, String>, file: Option<&str>) -> Option<Fault> {
    let fault = |key: &str, cause: String| Some(Fault { key: key.to_owned(), source: None, cause });
    if let Some(text) = environment.get(CREDENTIALS) {
        return if is_form(text) { None } else { fault(CREDENTIALS, "it is not user:password".to_owned()) };
    }
    match first_line(Path::new(file?)) {
        Ok(text) if is_form(&text) => None,
        Ok(_) => fault("schema_registry.credentials_file", "its first line is not user:password".to_owned()),
        Err(error) => fault("schema_registry.credentials_file", format!("it can't be read: {error}")),
    }
}

/// The credentials, where there are some.
fn read(file: Option<&str>) -> Result<Option<String>, Fault> {
    if let Ok(text) = std::env::var(CREDENTIALS) {
        return Ok(Some(text.trim().to_owned()));
    }
    let Some(file) = file else { return Ok(None) };
    let key = "schema_registry.credentials_file".to_owned();
    first_line(Path::new(file)).map(Some).map_err(|error| Fault {
        key,
        source: None,
        cause: format!("it can't be read: {error}"),
    })
}

fn is_form(text: &str) -> bool {
    let text = text.trim();
    text.split_once(':').is_some_and(|(user, _)| !user.is_empty()) && text.chars().all(|letter| !letter.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_a_user_and_a_password() {
        let given = |text: &str| BTreeMap::from([(CREDENTIALS.to_owned(), text.to_owned())]);
        assert_eq!(fault(&given("ann:a:b c"), Some("/nowhere")), None);
        for text in ["ann", ":x", "", "a:b\u{1}"] {
            assert_eq!(fault(&given(text), None).unwrap().key, CREDENTIALS, "{text}");
        }
        let missing = fault(&BTreeMap::new(), Some("/nowhere")).unwrap();
        assert_eq!(missing.key, "schema_registry.credentials_file");
        assert_eq!(fault(&BTreeMap::new(), None), None);
    }
}
