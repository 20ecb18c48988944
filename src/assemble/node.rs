//! The node's name among those that share a log: drawn at its first start and kept in its data folder, so that it takes
//! up its old places in the groups when it comes back, and so that its own open transactions are ended then.

use std::path::Path;

use anyhow::{Context, bail};

use super::secrets::write_secret;

const NODE_FILE: &str = "node.id";
const LONGEST_ID: usize = 64;

/// Reads the name, or draws one. Two nodes must not have the same: a data folder is not to be copied for a second one.
pub fn node_id(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join(NODE_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim();
            let is_name = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
            if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(is_name) {
                bail!("{} holds no name of a node: remove it, and another one is drawn", path.display());
            }
            Ok(id.to_owned())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = format!("node-{:016x}", rand::random::<u64>());
            write_secret(&path, format!("{id}\n").as_bytes())?;
            Ok(id)
        }
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_its_name() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = node_id(folder.path()).unwrap();
        assert_eq!(node_id(folder.path()).unwrap(), id);
        assert_ne!(node_id(other.path()).unwrap(), id);
        std::fs::write(folder.path().join(NODE_FILE), "two words\n").unwrap();
        assert!(node_id(folder.path()).is_err());
    }
}
