//! Everything in a message that is not its text or HTML, described.

use std::borrow::Cow;
use std::fmt::Write as _;

use md5::{Digest, Md5};
use schemas::event::Attachment;

use super::decode;
use super::structure::Leaf;

/// The leaves that are attachments, with their bytes. Each is decoded when it is asked for, and not kept.
pub(crate) fn of<'a, 'm>(
    leaves: &'m [Leaf<'a>],
    body: &'m [usize],
) -> impl Iterator<Item = (Attachment, Cow<'a, [u8]>)> + use<'a, 'm> {
    leaves.iter().enumerate().filter(|(index, _)| !body.contains(index)).map(|(_, leaf)| {
        let bytes = decode::transfer(leaf.body, leaf.transfer());
        (describe(leaf, &bytes), bytes)
    })
}

fn describe(leaf: &Leaf<'_>, bytes: &[u8]) -> Attachment {
    let mut checksum = String::with_capacity(32);
    for byte in Md5::digest(bytes) {
        let _ = write!(checksum, "{byte:02x}");
    }
    Attachment {
        checksum,
        content_type: leaf.media_type.clone(),
        content_disposition: leaf.disposition.clone(),
        content_id: leaf.content_id.clone(),
        file_name: leaf.file_name.clone(),
        transfer_encoding: leaf.encoding.clone(),
        length_bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
    }
}
