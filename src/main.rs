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

fn main() -> ExitCode {
    cli::main()
}
