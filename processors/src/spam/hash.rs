//! What a token is known by: 64 bits of its text. Models and `spam.corrections` hold them for ever, so this never
//! changes: FNV-1a over the UTF-8 bytes, then the last mixing of MurmurHash3, since FNV's first bits, under which tokens
//! are counted, are poor.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash of a token that is written in these pieces, one behind the other.
pub(crate) fn of(pieces: &[&str]) -> u64 {
    let mut hash = OFFSET;
    for piece in pieces {
        for byte in piece.as_bytes() {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_same_hash_for_ever() {
        for (text, hash) in [
            ("", 0xefd0_1f60_ba99_2926),
            ("a", 0x82a2_a958_a9be_ce5b),
            ("subject:Buy", 0x636c_a31d_6257_5841),
            ("é", 0x9d55_ccb9_ba86_763b),
        ] {
            assert_eq!(of(&[text]), hash, "{text:?} {:#018x}", of(&[text]));
        }
    }

    #[test]
    fn pieces_are_one_text() {
        assert_eq!(of(&["subject:", "Buy"]), of(&["subject:Buy"]));
    }
}
