//! No room left: mail is refused for now, everything else goes on, and acceptance resumes when there is room.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::eventually;
use crate::support::mail::plain;
use crate::support::server::{House, Server};

const DISK_BYTES: u64 = 192 * 1024 * 1024;
/// Less than the mail that is sent, so that it can't fit.
const LEFT_BYTES: u64 = 64 * 1024;
const RESERVE_BYTES: u64 = 16 * 1024 * 1024;
const CHUNK_BYTES: usize = 1024 * 1024;

/// A small disk of its own, if this user may mount one.
struct Disk {
    folder: TempDir,
}

impl Disk {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let size = format!("size={DISK_BYTES}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self { folder })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

fn free_bytes(folder: &Path) -> u64 {
    let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers[0] * numbers[1]
}

/// Takes all room but a little.
fn fill(folder: &Path, left_bytes: u64) -> PathBuf {
    let path = folder.join("ballast");
    let mut file = File::create(&path).unwrap();
    while free_bytes(folder) > left_bytes + CHUNK_BYTES as u64 {
        file.write_all(&vec![b'x'; CHUNK_BYTES]).unwrap();
    }
    path
}

fn refused(server: &Server) {
    let reply = eventually("a refusal", || {
        let reply = server.smtp().send("sender@example.com", &["ann@example.org"], &plain("full", 200_000)).unwrap();
        (reply.code != 250).then_some(reply)
    });
    assert_eq!(reply.code, 452, "{reply:?}");
    assert!(reply.text().starts_with("4.3.1"), "{reply:?}");
}

fn not_ready_for_lack_of_room(server: &Server) {
    let answer = server.call("GET", "/readyz", &[]);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("the log has no room"), "{}", answer.text());
}

#[test]
fn a_full_disk_refuses_mail_for_now_reads_go_on_and_it_recovers_by_itself() {
    let Some(disk) = Disk::mount() else { return a_reserve_larger_than_the_disk_refuses_mail() };
    let mut house = House::at(disk.folder.path().join("data"));
    house.config = format!("[log]\nreserve_bytes = {RESERVE_BYTES}\n");
    let server = house.start();
    let content = plain("before", 2_000);
    server.deliver(&["ann@example.org"], &content);
    let before = server.inbox_of("ann@example.org", 1).remove(0);
    let ballast = fill(disk.folder.path(), RESERVE_BYTES / 2);
    refused(&server);
    not_ready_for_lack_of_room(&server);
    let id = before["_id"].as_str().unwrap();
    server.content("ann@example.org", id, &content);
    server.change("PUT", &format!("/api/addresses/ann@example.org/messages/{id}/star"), &Value::Null);
    fs::remove_file(ballast).unwrap();
    let accepted = eventually("room again", || {
        let reply = server.smtp().send("sender@example.com", &["bob@example.org"], &content).unwrap();
        (reply.code == 250).then_some(reply)
    });
    let found = server.inbox_of("bob@example.org", 1);
    assert!(found[0]["_id"].as_str().unwrap().starts_with(&accepted.queued_as()));
    assert!(server.stop().success());
}

#[test]
fn a_disk_without_a_free_byte_loses_nothing() {
    let Some(disk) = Disk::mount() else { return a_reserve_larger_than_the_disk_refuses_mail() };
    let mut house = House::at(disk.folder.path().join("data"));
    house.config = "[log]\nreserve_bytes = 0\n".to_owned();
    let server = house.start();
    let content = plain("before", 2_000);
    server.deliver(&["ann@example.org"], &content);
    server.inbox_of("ann@example.org", 1);
    let ballast = fill(disk.folder.path(), LEFT_BYTES);
    let mut acknowledged = 1;
    for number in 0..20 {
        let content = plain(&format!("full{number}"), 300_000);
        let reply = server.smtp().send("sender@example.com", &["ann@example.org"], &content).unwrap();
        assert!(matches!(reply.code, 250 | 421 | 451 | 452), "{reply:?}");
        acknowledged += usize::from(reply.code == 250);
    }
    server.kill();
    fs::remove_file(ballast).unwrap();
    let server = house.start();
    eventually("what was acknowledged", || (server.inbox("ann@example.org").len() >= acknowledged).then_some(()));
    eventually("a 250 again", || {
        let reply = server.smtp().send("sender@example.com", &["bob@example.org"], &content).unwrap();
        (reply.code == 250).then_some(())
    });
    assert!(server.stop().success());
}

/// For users who may not mount: the setting that keeps room free asks for more than there is.
fn a_reserve_larger_than_the_disk_refuses_mail() {
    let mut house = House::new();
    let content = plain("before", 2_000);
    let server = house.start();
    server.deliver(&["ann@example.org"], &content);
    server.inbox_of("ann@example.org", 1);
    assert!(server.stop().success());
    house.config = format!("[log]\nreserve_bytes = {}\n", i64::MAX);
    let server = house.start();
    refused(&server);
    not_ready_for_lack_of_room(&server);
    let found = server.inbox_of("ann@example.org", 1);
    server.content("ann@example.org", found[0]["_id"].as_str().unwrap(), &content);
    assert!(server.stop().success());
    house.config.clear();
    let server = house.start();
    server.deliver(&["ann@example.org"], &content);
    server.inbox_of("ann@example.org", 2);
}
