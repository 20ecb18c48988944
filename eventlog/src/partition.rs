//! Which partition a record goes to: the murmur2 hash of its key, as Kafka's Java client computes it; records without
//! a key are spread. Two programs that agree on the number of partitions agree on the partition of a key.

use schemas::record::Partition;

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

/// The partition of a key among `count` partitions.
pub fn of_key(key: &[u8], count: Partition) -> Partition {
    // Kafka's `toPositive`: the sign bit is masked off.
    (murmur2(key) & 0x7fff_ffff) % count.max(1)
}

/// Some partition, each as likely as the others.
pub fn any(count: Partition) -> Partition {
    rand::random::<u32>() % count.max(1)
}

/// org.apache.kafka.common.utils.Utils.murmur2.
fn murmur2(data: &[u8]) -> u32 {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    for (place, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * place);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own UtilsTest.testMurmur2.
    #[test]
    fn the_hash_is_that_of_kafkas_java_client() {
        let cases: [(&str, i32); 7] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
            ("", 275_646_681),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key.as_bytes()), hash.cast_unsigned(), "{key}");
        }
    }

    #[test]
    fn every_key_has_one_partition_within_the_count() {
        for number in 0..1000_u32 {
            let key = number.to_string();
            assert!(of_key(key.as_bytes(), 3) < 3);
            assert_eq!(of_key(key.as_bytes(), 3), of_key(key.as_bytes(), 3));
            assert_eq!(of_key(key.as_bytes(), 1), 0);
            assert!(any(3) < 3);
        }
    }
}
