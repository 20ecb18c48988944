//! How fast the dot reader is: `cargo run --release -p wire --example dot_speed`.

use std::hint::black_box;
use std::time::Instant;

use wire::DotReader;

/// What one read from a socket brings.
const PIECE_BYTES: usize = 16 * 1024;
const TOTAL_BYTES: usize = 2 * 1024 * 1024 * 1024;

fn main() {
    println!("{:>12}  {:>10}", "line bytes", "GB/s");
    for line_bytes in [2, 20, 78, 1000] {
        let line = [&vec![b'x'; line_bytes - 2][..], b"\r\n"].concat();
        let input = line.repeat(PIECE_BYTES / line_bytes);
        let mut reader = DotReader::new();
        let mut kept = Vec::with_capacity(PIECE_BYTES);
        let rounds = TOTAL_BYTES / input.len();
        let begun = Instant::now();
        for _ in 0..rounds {
            kept.clear();
            reader.take(black_box(&input), |run| kept.extend_from_slice(run));
            black_box(&kept);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let bytes = u32::try_from(rounds * input.len() / 1_000_000).map_or(0.0, f64::from) / 1000.0;
        println!("{line_bytes:>12}  {:>10.2}", bytes / seconds);
    }
}
