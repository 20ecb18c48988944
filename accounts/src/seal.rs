//! Secrets at rest: what a forward points to is sealed with the installation's key before it becomes an event, and
//! named by a keyed hash, so that whoever reads the log learns neither.

use ring::aead::{self, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac::{self, HMAC_SHA256};
use schemas::event::ForwardKind;

use crate::address::hex;

/// Seals and opens with one installation's key.
#[derive(Clone)]
pub struct Sealer {
    sealing: LessSafeKey,
    nonces: hmac::Key,
    names: hmac::Key,
}

/// Hexadecimal digits of a forward's id.
const ID_DIGITS: usize = 32;

impl Sealer {
    pub fn new(key: [u8; 32]) -> Self {
        let master = hmac::Key::new(HMAC_SHA256, &key);
        let derived = |purpose: &str| hmac::sign(&master, purpose.as_bytes());
        Self {
            sealing: sealing_key(derived("postlog seal").as_ref()),
            nonces: hmac::Key::new(HMAC_SHA256, derived("postlog nonce").as_ref()),
            names: hmac::Key::new(HMAC_SHA256, derived("postlog forward").as_ref()),
        }
    }

    /// The text, unreadable without the key: a nonce, and what ChaCha20-Poly1305 makes of it.
    ///
    /// The nonce is a keyed hash of the text: no chance is needed, and two texts never share one (RFC 8439 2.8). The
    /// same text gives the same bytes, which says no more than a forward's id does.
    pub fn seal(&self, text: &str) -> Vec<u8> {
        let tag = hmac::sign(&self.nonces, text.as_bytes());
        let mut nonce = [0; NONCE_LEN];
        nonce.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        let mut sealed = text.as_bytes().to_vec();
        let done =
            self.sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed);
        #[expect(clippy::expect_used, reason = "fails for texts of 256 GiB only")]
        done.expect("a text that fits into memory can be sealed");
        let mut whole = nonce.to_vec();
        whole.append(&mut sealed);
        whole
    }

    /// The text that was sealed; `None` when it was sealed with another key, or changed.
    pub fn open(&self, sealed: &[u8]) -> Option<String> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = rest.to_vec();
        let text =
            self.sealing.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut bytes).ok()?.to_vec();
        String::from_utf8(text).ok()
    }

    /// The name of a forward: the same for the same kind, owner and target, however many rules name it.
    pub fn forward_id(&self, kind: ForwardKind, owner: &str, target: &str) -> String {
        let kind = match kind {
            ForwardKind::Webhook => "webhook",
            ForwardKind::Slack => "slack",
            ForwardKind::Mail => "mail",
            ForwardKind::Unknown => "unknown",
        };
        let mut context = hmac::Context::with_key(&self.names);
        for part in [kind, owner, target] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut id = hex(context.sign().as_ref());
        id.truncate(ID_DIGITS);
        id
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

#[expect(clippy::expect_used, reason = "SHA-256 gives the 32 bytes that ChaCha20 takes")]
fn sealing_key(bytes: &[u8]) -> LessSafeKey {
    debug_assert_eq!(bytes.len(), aead::CHACHA20_POLY1305.key_len());
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("a key of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://hooks.example/T0/B0/secret";

    #[test]
    fn what_is_sealed_opens_with_its_key_only() {
        let sealer = Sealer::new([7; 32]);
        let sealed = sealer.seal(URL);
        assert_eq!(sealer.open(&sealed).as_deref(), Some(URL));
        assert_eq!(Sealer::new([8; 32]).open(&sealed), None);
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn what_was_changed_or_cut_does_not_open() {
        let sealer = Sealer::new([7; 32]);
        let sealed = sealer.seal(URL);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(sealer.open(&changed), None, "byte {index}");
            assert_eq!(sealer.open(&sealed[..index]), None, "cut at {index}");
        }
    }

    #[test]
    fn a_forward_is_named_by_kind_owner_and_target() {
        let sealer = Sealer::new([7; 32]);
        let id = sealer.forward_id(ForwardKind::Webhook, "ann", URL);
        assert_eq!(id, sealer.forward_id(ForwardKind::Webhook, "ann", URL));
        assert_eq!(id.len(), ID_DIGITS);
        for other in [
            sealer.forward_id(ForwardKind::Slack, "ann", URL),
            sealer.forward_id(ForwardKind::Webhook, "bob", URL),
            sealer.forward_id(ForwardKind::Webhook, "annh", &URL[1..]),
            Sealer::new([8; 32]).forward_id(ForwardKind::Webhook, "ann", URL),
        ] {
            assert_ne!(id, other);
        }
    }
}
