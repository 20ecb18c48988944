//! A clock that is wrong, for one server: Debian's `faketime`, and a few lines of C that it needs for librdkafka.

use std::path::Path;
use std::process::Command;

use super::program;
use super::server::House;

/// The house's servers believe that it is so much later.
pub fn set_ahead(house: &mut House, seconds: u32) {
    program("faketime", "faketime");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/house/support/clock.c");
    let library = house.data.with_extension("so");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(built.expect("cc is missing: apt-get install gcc").success());
    // What is waited for is measured by a clock that nobody sets.
    let ahead = format!("+{seconds}");
    house.wrapper = ["faketime", "-m", "--exclude-monotonic", "-f", &ahead].map(str::to_owned).to_vec();
    house.set("LD_PRELOAD", library.to_str().unwrap());
    house.set("CLOCK_AHEAD_SECONDS", &seconds.to_string());
}
