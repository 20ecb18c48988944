//! What a move says about spam. A message is corrected when a person puts it where it was not delivered to: into the
//! folder `spam`, or out of it. Where it stands as it was delivered again, the correction is taken back. Other moves say
//! nothing, and on mail that nobody owns only an administrator's count.

use mailstore::Entry;
use processors::parse::parse_content;
use processors::spam::hashes_of;
use schemas::event::{CorrectionScope, Folder, SpamCorrection, SpamVerdict};
use schemas::{EntryId, Event, NewRecord};

use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::{reading, time, write};

/// The correction that a move is; `None` where it is none.
pub async fn said_by_move(
    api: &Api,
    caller: &Caller,
    id: &EntryId,
    entry: &Entry,
    to: Folder,
) -> Result<Option<SpamCorrection>, ApiError> {
    let Some(verdict) = verdict(entry.delivered_to, entry.folder, to) else { return Ok(None) };
    let owns = api.table(|table| table.owner_of(&entry.inbox).is_some_and(|owner| owner.id == caller.id));
    let scope = match (owns, caller.admin) {
        (true, _) => CorrectionScope::Account,
        (false, true) => CorrectionScope::Everybody,
        (false, false) => return Ok(None),
    };
    // Without its bytes nobody knows what the message says.
    let Some(raw) = api.doors.store.raw(&id.message).await? else { return Ok(None) };
    let message_id = id.message.clone();
    let hashes = reading::parsed(api, raw, move |raw| hashes_of(&parse_content(&message_id, raw, 0))).await?;
    Ok(Some(SpamCorrection {
        message_id: id.message.clone(),
        account: caller.id.clone(),
        at: time::now_ms(),
        by: caller.id.clone(),
        verdict,
        scope,
        tokens: hashes.into_iter().map(u64::cast_signed).collect(),
    }))
}

pub fn record(correction: &SpamCorrection) -> Result<NewRecord, ApiError> {
    write::record(&correction.key(), &Event::Correction(correction.clone()))
}

fn verdict(delivered_to: Folder, from: Folder, to: Folder) -> Option<SpamVerdict> {
    let is_spam = |folder| folder == Folder::Spam;
    if is_spam(from) == is_spam(to) {
        return None;
    }
    Some(match (is_spam(delivered_to), is_spam(to)) {
        (false, true) => SpamVerdict::Spam,
        (true, false) => SpamVerdict::Ham,
        (true, true) | (false, false) => SpamVerdict::TakenBack,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_moves_into_spam_and_out_of_it_say_something() {
        for delivered_to in Folder::ALL {
            for from in Folder::ALL {
                for to in Folder::ALL {
                    let crosses = (from == Folder::Spam) != (to == Folder::Spam);
                    assert_eq!(verdict(delivered_to, from, to).is_some(), crosses, "{delivered_to} {from} {to}");
                }
            }
        }
    }

    #[test]
    fn what_stands_as_it_was_delivered_is_no_correction_any_more() {
        use Folder::{Inbox, Spam, Trash};
        assert_eq!(verdict(Inbox, Inbox, Spam), Some(SpamVerdict::Spam));
        assert_eq!(verdict(Inbox, Spam, Trash), Some(SpamVerdict::TakenBack));
        assert_eq!(verdict(Spam, Spam, Inbox), Some(SpamVerdict::Ham));
        assert_eq!(verdict(Spam, Inbox, Spam), Some(SpamVerdict::TakenBack));
    }
}
