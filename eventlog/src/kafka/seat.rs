//! A node's seat in a group, and whether somebody else has really taken it.
//!
//! A broker that was killed while members joined comes back with the group as it stood there before. It may know the
//! seat under an older name of the same member, and then it fences the member for ever, though nobody else is there. The
//! older name ends with its session, since nobody sends heartbeats under it: whoever waits for that finds out.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use tokio::time::Instant;

use super::inquirer::Inquirer;
use super::settings::SESSION_TIMEOUT;
use super::{ASK_TIMEOUT, convert};
use crate::{LogError, Result};

/// Past the session: for a member that is about to go, and a broker that takes its time to notice.
const SLACK: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// States of a group whose members a broker knows.
const KNOWN: [&str; 4] = ["Empty", "PreparingRebalance", "CompletingRebalance", "Stable"];
/// The broker names a member after its seat and a uuid.
const SUFFIX_BYTES: usize = "-00000000-0000-0000-0000-000000000000".len();

pub(super) struct Seat {
    /// By the broker's name.
    pub group: String,
    /// The `group.instance.id`.
    pub instance: String,
}

impl Seat {
    /// Whether somebody is in it who stays longer than a session: whoever was here before doesn't.
    pub async fn is_taken(&self, inquirer: &Arc<Inquirer>) -> bool {
        let deadline = Instant::now() + SESSION_TIMEOUT + SLACK;
        loop {
            let (group, instance) = (self.group.clone(), self.instance.clone());
            let looked = inquirer.ask(move |inquirer| has_member(inquirer, &group, &instance)).await;
            match looked {
                Ok(false) => return false,
                Ok(true) if Instant::now() >= deadline => return true,
                Ok(true) => {}
                Err(error) => {
                    tracing::debug!(group = self.group, %error, "a group can't be looked at");
                    // Who joins anew hears it again, if somebody is there.
                    if Instant::now() >= deadline {
                        return false;
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A broker that still loads its groups names none, or one without a state: that says nothing about who is in it.
fn has_member(inquirer: &Inquirer, group: &str, instance: &str) -> Result<bool> {
    let found = inquirer.client().fetch_group_list(Some(group), ASK_TIMEOUT).map_err(convert::unavailable)?;
    let Some(known) = found.groups().iter().find(|found| found.name() == group && KNOWN.contains(&found.state()))
    else {
        return Err(LogError::Unavailable(format!("the broker does not know the group {group} for now")));
    };
    let is_it = |id: &str| id.strip_prefix(instance).is_some_and(|suffix| suffix.len() == SUFFIX_BYTES);
    Ok(known.members().iter().any(|member| is_it(member.id())))
}
