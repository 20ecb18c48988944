//! The first account's key, as far as it can be wrong before the first start. The key itself is not kept here.

use std::collections::BTreeMap;
use std::path::Path;

use super::Fault;
use crate::assemble::{ADMIN_KEY, API_KEY_FORM, first_line, is_api_key};

/// What is wrong with the key in the environment, or else with the file: only one of them is taken.
pub fn fault(environment: &BTreeMap<String, String>, file: Option<&str>) -> Option<Fault> {
    let (key, cause) = match (environment.get(ADMIN_KEY), file) {
        (Some(text), _) => (ADMIN_KEY, wrong(text.trim())?),
        (None, Some(path)) => ("admin_key_file", wrong_file(path)?),
        (None, None) => return None,
    };
    Some(Fault { key: key.to_owned(), source: None, cause })
}

fn wrong_file(path: &str) -> Option<String> {
    if path.trim().is_empty() {
        return Some("it names no file".to_owned());
    }
    match first_line(Path::new(path)) {
        Ok(line) if line.is_empty() => Some(format!("{path}: its first line is empty")),
        Ok(line) => wrong(&line).map(|cause| format!("{path}: {cause}")),
        Err(error) => Some(format!("{path} can't be read: {error}")),
    }
}

fn wrong(key: &str) -> Option<String> {
    (!is_api_key(key)).then(|| API_KEY_FORM.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_not_looked_at_when_the_environment_gives_the_key() {
        let given = |key: &str| BTreeMap::from([(ADMIN_KEY.to_owned(), key.to_owned())]);
        assert_eq!(fault(&given("k_0123456789abcdef"), Some("/nowhere")), None);
        assert_eq!(fault(&given("short"), None).unwrap().key, ADMIN_KEY);
        assert_eq!(fault(&BTreeMap::new(), Some("/nowhere")).unwrap().key, "admin_key_file");
        assert_eq!(fault(&BTreeMap::new(), None), None);
    }
}
