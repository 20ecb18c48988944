//! The signature of a call, by the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`, once for
//! each secret, so that a secret can be changed while the receiver still knows the one before it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{self, HMAC_SHA256};

const PREFIX: &str = "whsec_";
/// Bytes of a secret.
pub const MIN_SECRET_BYTES: usize = 24;
pub const MAX_SECRET_BYTES: usize = 64;
/// Secrets of a forward that are signed with: the newest, and those that still count.
pub const MAX_SECRETS: usize = 5;

/// What calls are signed with.
pub struct Secret(hmac::Key);

impl Secret {
    /// Reads `whsec_` and the base64 of 24 to 64 bytes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let sound = (MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&bytes.len());
        sound.then(|| Self(hmac::Key::new(HMAC_SHA256, &bytes)))
    }

    fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp_s}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

/// The header `webhook-signature`: one signature for each secret, the newest first.
pub fn signatures(secrets: &[Secret], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let each: Vec<String> = secrets.iter().map(|secret| secret.sign(id, timestamp_s, body)).collect();
    each.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(bytes: usize) -> String {
        format!("{PREFIX}{}", STANDARD.encode(vec![7_u8; bytes]))
    }

    #[test]
    fn a_secret_is_read_at_its_limits_and_not_past_them() {
        for (bytes, sound) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(Secret::parse(&secret(bytes)).is_some(), sound, "{bytes}");
        }
        for text in ["", "whsec_", "whsk_AAAA", &secret(24)[PREFIX.len()..], "whsec_not base64!"] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }

    /// Each line: secrets, id, timestamp, body in base64, and what `signatures.py` beside it makes of them.
    #[test]
    fn signatures_are_what_another_program_computes() {
        let cases = include_str!("cases/signatures.tsv");
        for line in cases.lines() {
            let [secrets, id, timestamp, body, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let secrets: Vec<Secret> = secrets.split(' ').map(|text| Secret::parse(text).unwrap()).collect();
            let body = STANDARD.decode(body).unwrap();
            assert_eq!(signatures(&secrets, id, timestamp.parse().unwrap(), &body), expected, "{line}");
        }
        assert_eq!(cases.lines().count(), 7);
    }
}
