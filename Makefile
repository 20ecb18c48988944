# make run           builds Postlog and runs it on ./data
# make run-kafka     the same on a Kafka of its own in ./data/kafka, which it starts and stops
# make run-scale     each stage in processes of its own, on a Kafka and a Cassandra of its own in ./data/scale
# make docker-build  makes the image, by docker or podman
# make docker-run    runs it, its data in the volume postlog-data
# make check         what has to be right before a commit: format, lints, the rooms' own tests
# make test          every test, the whole house from outside included, on both logs and stores: starts and stops a Kafka and a Cassandra
# make lint          format and lints alone
# make fmt           puts the code into its format
# make starter-model CORPUS=DIR   remakes the spam model that ships in the program (docs/spam.md)

# What every build of ours needs: librdkafka is C, looks for a C++ compiler as well, and has its TLS from OpenSSL.
BUILD := rust cc g++ make pkg-config libssl
# A Kafka, or a Cassandra, for tests and for a look.
KAFKA := java mvn setsid

# The suites that every body of a log or a store passes. With the same features for lints and tests all is built once.
SUITES := eventlog/kafka,eventlog/contract,mailstore/cql,mailstore/contract

.DEFAULT_GOAL := help
.PHONY: help run run-kafka run-scale docker-build docker-run check test lint fmt starter-model

help:
	@sed -n 's/^# //p' Makefile

run:
	@scripts/need $(BUILD)
	cargo build --release --locked
	exec "$${CARGO_TARGET_DIR:-target}/release/postlog" run --data-dir ./data

run-kafka:
	@scripts/need $(BUILD) $(KAFKA)
	cargo build --release --locked
	exec scripts/run-kafka "$${CARGO_TARGET_DIR:-target}/release/postlog"

run-scale:
	@scripts/need $(BUILD) $(KAFKA)
	cargo build --release --locked
	exec scripts/run-scale "$${CARGO_TARGET_DIR:-target}/release/postlog"

docker-build:
	@scripts/container build

docker-run:
	@scripts/container run

check: lint
	cargo test --workspace --locked --features $(SUITES) --lib --bins

test:
	@scripts/need $(BUILD) $(KAFKA) curl faketime kcat python3 strace swaks
	cargo test --workspace --locked --features $(SUITES)

lint:
	@scripts/need $(BUILD)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --features $(SUITES) -- -D warnings
	cargo clippy --package postlog --no-default-features --locked -- -D warnings

fmt:
	@scripts/need rust
	cargo fmt --all

starter-model:
	@scripts/need rust cc make
	@test -n "$(CORPUS)" || { echo "name the unpacked corpus: make starter-model CORPUS=DIR" >&2; exit 2; }
	cargo run --release --locked -p processors --example starter -- "$(CORPUS)" processors/src/spam/starter.model
