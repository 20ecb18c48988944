//! `docs/config.md`, made of the doc comments of the keys.

use std::fmt::Write;

use super::Config;

const HEAD: &str = "\
# Configuration

<!-- Made by `postlog reference` from the doc comments in src/config/sections.rs: change those. -->

Everything has a default, so Postlog runs without a configuration file. A setting is taken from the command line, else
from the environment, else from the file that `--config` (or `POSTLOG_CONFIG`) names, else from the default below.
`postlog check` reads all of them and lists every fault with its key.

The file is TOML with a section a room. Keys that don't exist are errors, and so are variables that begin with
`POSTLOG_` and are no key's. On the command line every key is set by `--set KEY=VALUE`; the most used have flags of their
own: `--data-dir`, `--stages`, `--smtp-listen`, `--http-listen`, `--log`, `--store`, `--admin-key-file`, `--seal-key-file`.
A list in the environment or on the command line is separated by commas.
";

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for section in Config::sections() {
        let title = if section.name.is_empty() { "At the top".to_owned() } else { format!("[{}]", section.name) };
        // Writing to a string can't fail.
        let _ = write!(page, "\n## {title}\n\n{}\n\n", section.about.trim());
        let _ = writeln!(page, "| key | variable | default | what it is |\n|---|---|---|---|");
        for key in section.keys {
            let default = key.default.as_ref().map_or_else(|| "not set".to_owned(), shown);
            let name = key.path.rsplit('.').next().unwrap_or_default();
            let _ = writeln!(page, "| `{name}` | `{}` | {default} | {} |", key.variable(), key.doc);
        }
    }
    page
}

fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) if items.is_empty() => "empty".to_owned(),
        serde_json::Value::Object(members) if members.is_empty() => "empty".to_owned(),
        serde_json::Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        serde_json::Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

#[cfg(test)]
mod tests {
    /// `BLESS=1` writes the page.
    #[test]
    fn the_page_says_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, super::page()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == super::page(), "docs/config.md is not what the code says: run the tests with BLESS=1");
    }
}
