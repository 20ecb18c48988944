//! The whole house, driven from outside as a user drives it: the real program, its public doors, its data folder.
//!
//! `POSTLOG_TEST_KILLS=30` raises how often the storm kills the server (5 without it), `POSTLOG_TEST_STAGE_KILLS=2`
//! how often a process of every stage is killed (once without it).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

mod backfill;
mod classifier;
mod command_line;
mod compose;
mod consumers;
mod damage;
mod dead_letters;
mod deliveries;
mod disk_full;
mod durability;
mod event_streams;
mod foreign;
mod forwards;
mod garbage;
mod journey;
mod kill;
mod nodes;
mod outages;
mod outside_registry;
mod ownership;
mod partitions;
mod poison;
mod private;
mod purge;
mod rebuild;
mod replay;
mod rooms;
mod scale;
mod spam;
mod stage_kills;
mod store_steps;
mod storm;
mod support;
mod websocket;
