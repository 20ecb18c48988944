//! Mail in files: which files a path names, and the messages in each. Files are mail (`.eml`, or any file that is named
//! itself) or mboxes; folders are walked. What a message says is not looked at.

mod mbox;
mod walk;

pub use mbox::{Mbox, Message, is_mbox};
pub use walk::{Found, walk};
