//! The number of partitions belongs to the folder.

use crate::support::mail::plain;
use crate::support::server::{House, text_of};

#[test]
fn commands_keep_the_number_that_the_folder_was_made_with_unless_another_is_set() {
    let mut house = House::with_partitions(3);
    let server = house.start();
    server.deliver(&["ann@example.org"], &plain("three", 2_000));
    server.inbox_of("ann@example.org", 1);
    assert!(server.stop().success());
    house.config.clear();
    assert!(house.dump().contains("ann@example.org"));
    let refused = house.command(&["dump", "--set", "log.partitions=1"]).output().unwrap();
    assert!(!refused.status.success() && text_of(&refused).contains("made with 3 partitions"), "{}", text_of(&refused));
}
