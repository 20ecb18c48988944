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
    allow_open_files();
    cli::main()
}

/// Shells give a process few open files; the doors have their own caps, above that. A refusal leaves what there is.
fn allow_open_files() {
    let given = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit { current: given.maximum, maximum: given.maximum };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted);
}
