//! Mail in files: which files a path names, and the messages in each. Files are mail (`.eml`, or any file that is named
//! itself) or mboxes; folders are walked. What a message says is not looked at.

mod mbox;
mod read;
mod walk;

pub use read::{Mail, read_all};
pub use walk::{Found, walk, walk_corpus};
