//! `postlog dump`: every view as canonical JSON lines, the same whatever order the events came in.

use anyhow::anyhow;
use clap::Args;
use hyper::Method;

use super::door::{Door, Reach};
use super::failure::Failure;
use super::{Place, screen};

/// How the line begins that says that the answer broke off.
const ERROR: &[u8] = b"{\"error\":";

#[derive(Debug, Args)]
pub struct Dump {
    #[command(flatten)]
    reach: Reach,
}

impl Dump {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        Door::visit_what_is(place, &self.reach, async |door| {
            door.lines(Method::GET, "/api/admin/dump", |line| {
                if line.starts_with(ERROR) {
                    return Err(anyhow!("{}", String::from_utf8_lossy(line).trim()).into());
                }
                screen::json_line(line)
            })
            .await
        })
        .await
    }
}
