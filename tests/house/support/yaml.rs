//! As much of YAML as our compose files are written in: mappings, lists of texts, anchors of mappings and `<<`. A line
//! that is none of these fails, so that nothing in a file goes unread.

use std::collections::BTreeMap;

/// Each list or text by its path, such as `services.api.command`.
pub type Leaves = BTreeMap<String, Vec<String>>;

/// Reads a file of ours.
pub fn leaves(text: &str) -> Leaves {
    let mut reading = Reading::default();
    for line in text.lines() {
        reading.line(line);
    }
    reading.resolved()
}

/// What stands under a path, by what is left of theirs.
pub fn under(leaves: &Leaves, path: &str) -> Leaves {
    let inside = |key: &String| key.strip_prefix(path)?.strip_prefix('.').map(str::to_owned);
    leaves.iter().filter_map(|(key, value)| Some((inside(key)?, value.clone()))).collect()
}

#[derive(Default)]
struct Reading {
    /// Where we are: indents with the names that stand there.
    place: Vec<(usize, String)>,
    leaves: Leaves,
    anchors: BTreeMap<String, String>,
    /// Paths that are to have what stands under an anchor.
    aliases: Vec<(String, String)>,
}

impl Reading {
    fn line(&mut self, line: &str) {
        let content = line.split(" #").next().unwrap_or_default().trim_end();
        let entry = content.trim_start();
        if entry.is_empty() || entry.starts_with('#') {
            return;
        }
        let indent = content.len() - entry.len();
        if let Some(item) = entry.strip_prefix("- ") {
            self.place.retain(|(at, _)| *at < indent);
            let path = self.path();
            self.leaves.entry(path).or_default().push(plain(item));
            return;
        }
        let (name, value) = entry.split_once(':').unwrap_or_else(|| panic!("not understood: {line:?}"));
        assert!(value.is_empty() || value.starts_with(' '), "not understood: {line:?}");
        self.place.retain(|(at, _)| *at < indent);
        self.place.push((indent, name.to_owned()));
        self.value(name, value.trim());
    }

    fn value(&mut self, name: &str, value: &str) {
        let path = self.path();
        if let Some(anchor) = value.strip_prefix('&') {
            assert!(self.anchors.insert(anchor.to_owned(), path).is_none(), "two anchors {anchor}");
        } else if let Some(anchor) = value.strip_prefix('*') {
            let target = if name == "<<" { path.trim_end_matches(".<<").to_owned() } else { path };
            self.aliases.push((target, anchor.to_owned()));
        } else if let Some(list) = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            self.leaves.insert(path, list.split(',').map(plain).collect());
        } else if !value.is_empty() {
            self.leaves.insert(path, vec![plain(value)]);
        }
    }

    fn path(&self) -> String {
        self.place.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(".")
    }

    /// What a mapping says itself stands above what it takes over: a name that it has, it has alone.
    fn resolved(self) -> Leaves {
        let mut all = self.leaves;
        for (target, anchor) in self.aliases {
            let source = self.anchors.get(&anchor).unwrap_or_else(|| panic!("no anchor {anchor}"));
            let own = under(&all, &target);
            let has = |name: &str| own.keys().any(|key| key.split('.').next() == Some(name));
            for (key, value) in under(&all, source) {
                if !has(key.split('.').next().unwrap_or_default()) {
                    all.insert(format!("{target}.{key}"), value);
                }
            }
        }
        all
    }
}

fn plain(text: &str) -> String {
    text.trim().trim_matches('"').to_owned()
}

#[test]
fn what_a_mapping_says_itself_stands_above_what_it_takes_over() {
    let text = "x-a: &a\n  image: one  # why\n  test: [\"CMD\", \"nc\"]\n  e:\n    A: \"1\"\n    B: 2\n\
                s:\n  t:\n    <<: *a\n    image: two\n    e:\n      A: 3\n    ports:\n      - \"25:25\"\n      - 26:26\n  u: *a\n";
    let read = leaves(text);
    let of = |path: &str| read.get(path).map(|value| value.join("|"));
    assert_eq!(of("s.t.image").as_deref(), Some("two"));
    assert_eq!(of("s.t.test").as_deref(), Some("CMD|nc"));
    assert_eq!((of("s.t.e.A").as_deref(), of("s.t.e.B")), (Some("3"), None), "merging is shallow");
    assert_eq!(of("s.t.ports").as_deref(), Some("25:25|26:26"));
    assert_eq!(of("s.u.e.B").as_deref(), Some("2"));
}
