//! A damaged database: the server says what it means and what to do, and that works.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::mail::plain;
use crate::support::server::House;

fn journal(folder: &Path) -> Option<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|name| name == "jnl")).max_by_key(|path| filled(path))
}

fn filled(path: &Path) -> usize {
    fs::read(path).unwrap().iter().rposition(|&byte| byte != 0).unwrap_or(0)
}

#[test]
fn a_damaged_database_is_named_with_what_to_do_and_doing_it_shows_the_mail_again() {
    let house = House::with_partitions(2);
    let server = house.start();
    let content = plain("kept", 2_000);
    server.deliver(&["ann@example.org"], &content);
    server.inbox_of("ann@example.org", 1);
    server.kill();
    let database = house.data.join("database");
    let path = journal(&database).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let middle = filled(&path) / 2;
    bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(&path, bytes).unwrap();
    let said = house.try_start().err().unwrap();
    for part in [database.to_str().unwrap(), "is damaged", "copy", house.data.join("log").to_str().unwrap()] {
        assert!(said.contains(part), "{part:?} is missing: {said}");
    }
    fs::rename(&database, house.data.with_extension("damaged")).unwrap();
    let server = house.start();
    let found = server.inbox_of("ann@example.org", 1);
    server.content("ann@example.org", found[0]["_id"].as_str().unwrap(), &content);
    assert!(server.stop().success());
}
