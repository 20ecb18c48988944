//! One declaration a section: the type that is read, its defaults, and its keys with what their doc comments say.

/// A key of the configuration, as the reference and the reader of the environment need it.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// `section.name`, or the name alone at the top.
    pub path: String,
    pub kind: Kind,
    pub doc: String,
    /// `None`: nothing is set.
    pub default: Option<serde_json::Value>,
}

/// What a key's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Switch,
    List,
    /// Names and texts.
    Table,
}

impl Key {
    /// The key's name in the environment.
    pub fn variable(&self) -> String {
        // `log.kind` is what `--log` sets, and its twin is called so.
        let path = self.path.strip_suffix(".kind").unwrap_or(&self.path);
        format!("{PREFIX}{}", path.replace('.', "_").to_uppercase())
    }
}

/// Every variable of ours begins so.
pub const PREFIX: &str = "POSTLOG_";

impl Kind {
    pub fn of(rust_type: &str) -> Self {
        match rust_type {
            "bool" => Self::Switch,
            "Vec<String>" => Self::List,
            "ClientTable" => Self::Table,
            "u32" | "u64" | "usize" | "Option<u32>" | "Option<u64>" => Self::Number,
            _ => Self::Text,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "whole number",
            Self::Switch => "true or false",
            Self::List => "list of texts",
            Self::Table => "table of names and texts",
        }
    }
}

/// Declares a section: `name: type = default`, each with its doc comment.
macro_rules! section {
    ($(#[doc = $about:literal])* $name:ident ($path:literal) { $($(#[doc = $doc:literal])* $key:ident: $type:ty = $default:expr,)* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])* pub $key: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $name {
            pub const ABOUT: &str = concat!($($about,)*);

            pub fn keys() -> Vec<$crate::config::key::Key> {
                let defaults = serde_json::to_value(Self::default()).unwrap_or_default();
                vec![$($crate::config::key::Key {
                    path: if $path.is_empty() { stringify!($key).to_owned() } else { format!("{}.{}", $path, stringify!($key)) },
                    kind: $crate::config::key::Kind::of(&stringify!($type).replace(' ', "")),
                    doc: concat!($($doc,)*).trim().to_owned(),
                    default: defaults.get(stringify!($key)).filter(|value| !value.is_null()).cloned(),
                },)*]
            }
        }
    };
}

pub(super) use section;
