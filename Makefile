# make run     builds Postlog and runs it on ./data
# make check   what has to be right before a commit: format, lints, the rooms' own tests
# make test    every test, the whole house from outside included
# make lint    format and lints alone
# make fmt     puts the code into its format
# make starter-model CORPUS=DIR   remakes the spam model that ships in the program (docs/spam.md)

.DEFAULT_GOAL := help
.PHONY: help run check test lint fmt starter-model

help:
	@sed -n 's/^# //p' Makefile

run:
	@scripts/need rust cc make
	cargo build --release --locked
	exec "$${CARGO_TARGET_DIR:-target}/release/postlog" run --data-dir ./data

check: lint
	cargo test --workspace --locked --lib --bins

test:
	@scripts/need rust cc make curl python3 strace swaks
	cargo test --workspace --locked

lint:
	@scripts/need rust cc make
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt:
	@scripts/need rust
	cargo fmt --all

starter-model:
	@scripts/need rust cc make
	@test -n "$(CORPUS)" || { echo "name the unpacked corpus: make starter-model CORPUS=DIR" >&2; exit 2; }
	cargo run --release --locked -p processors --example starter -- "$(CORPUS)" processors/src/spam/starter.model
