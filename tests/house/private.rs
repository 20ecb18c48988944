//! The data folder is its owner's alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::mail::plain;
use crate::support::server::House;

fn check(path: &Path) {
    let found = fs::symlink_metadata(path).unwrap();
    assert_eq!(found.permissions().mode() & 0o077, 0, "{} is open to others", path.display());
    if found.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| check(&entry.unwrap().path()));
    }
}

#[test]
fn nothing_in_the_data_folder_can_be_read_by_others() {
    let house = House::new();
    fs::create_dir(&house.data).unwrap();
    fs::set_permissions(&house.data, Permissions::from_mode(0o755)).unwrap();
    let server = house.start();
    server.deliver(&["ann@example.org"], &plain("private", 2_000));
    server.inbox_of("ann@example.org", 1);
    check(&house.data);
    assert!(server.stop().success());
    check(&house.data);
}
