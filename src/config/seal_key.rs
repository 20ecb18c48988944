//! The key that secrets on the log are sealed with, as far as it can be wrong before the start. It is not kept here.

use std::collections::BTreeMap;
use std::io::Read;

use super::Fault;
use crate::assemble::{SEAL_KEY, parse_seal_key};

/// Of a file; a longer one is no key.
const MAX_FILE_BYTES: u64 = 1024;
const FORM: &str = "a seal key is 32 bytes or 64 hexadecimal digits";

/// What is wrong with the key in the environment, or else with the file: only one of them is taken.
pub fn fault(environment: &BTreeMap<String, String>, file: Option<&str>) -> Option<Fault> {
    let fault = |key: &str, cause: String| Some(Fault { key: key.to_owned(), source: None, cause });
    if let Some(text) = environment.get(SEAL_KEY) {
        return parse_seal_key(text.as_bytes()).map_or_else(|| fault(SEAL_KEY, FORM.to_owned()), |_| None);
    }
    let path = file?;
    let mut bytes = Vec::new();
    match std::fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)) {
        Err(error) => fault("seal_key_file", format!("{path} can't be read: {error}")),
        Ok(_) if parse_seal_key(&bytes).is_none() => fault("seal_key_file", format!("{path}: {FORM}")),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_key_that_is_none_is_named_with_where_it_stands() {
        let given = |key: &str| BTreeMap::from([(SEAL_KEY.to_owned(), key.to_owned())]);
        assert_eq!(fault(&given(&"0a".repeat(32)), Some("/nowhere")), None);
        assert_eq!(fault(&given("short"), None).unwrap().key, SEAL_KEY);
        assert_eq!(fault(&BTreeMap::new(), Some("/nowhere")).unwrap().key, "seal_key_file");
        assert_eq!(fault(&BTreeMap::new(), None), None);
    }
}
