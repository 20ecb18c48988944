//! The program: every other room, assembled. `cli` is what was asked for, `config` with which settings, `assemble` makes
//! the pieces meet, `telemetry` says what goes on. Nothing here knows mail.

mod assemble;
mod cli;
mod config;
mod mails;
mod telemetry;

use std::process::ExitCode;

/// The system's allocator keeps what a large mail took; this one gives it back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Mail and keys are nobody else's: not readable for group and others, whatever makes the file.
const PRIVATE: rustix::fs::Mode = rustix::fs::Mode::RWXG.union(rustix::fs::Mode::RWXO);

fn main() -> ExitCode {
    rustix::process::umask(PRIVATE);
    cli::main()
}
