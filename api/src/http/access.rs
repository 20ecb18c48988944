//! Which inbox a path names, and what its caller may do there. Every handler of mail begins here. What is refused is
//! refused by the inbox alone, before any message is looked for: nobody learns what somebody else's inbox holds.

use accounts::Access;
use mailstore::Entry;
use schemas::EntryId;

use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;

/// Characters of what a caller sent that are said back.
const MAX_ECHO_CHARS: usize = 300;

/// An inbox that its caller may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbox {
    pub name: String,
    pub owned: bool,
}

/// For single messages and addresses: somebody else's is 401.
pub fn open(api: &Api, caller: &Caller, email: &str) -> Result<Inbox, ApiError> {
    inbox(api, caller, email)?.ok_or(ApiError::NotOwned("This inbox belongs to another account.".into()))
}

/// For lists and counts: somebody else's is 403.
pub fn list(api: &Api, caller: &Caller, email: &str) -> Result<Inbox, ApiError> {
    inbox(api, caller, email)?.ok_or(ApiError::Forbidden("This inbox belongs to another account.".into()))
}

fn inbox(api: &Api, caller: &Caller, email: &str) -> Result<Option<Inbox>, ApiError> {
    let (name, access) = api
        .table(|table| {
            let name = table.inbox_of(email)?;
            let access = table.access(&caller.id, &name);
            Ok::<_, accounts::InvalidAddress>((name, access))
        })
        .map_err(|error| invalid_address(email, error))?;
    Ok(match access {
        Access::Own => Some(Inbox { name, owned: true }),
        Access::Public => Some(Inbox { name, owned: false }),
        Access::Other => None,
    })
}

pub fn invalid_address(text: &str, error: accounts::InvalidAddress) -> ApiError {
    ApiError::invalid(format!("{} is not an address: {error}", echo(text)))
}

/// Whether an entry of this inbox is shown to the caller: public mail that somebody else has starred is not.
pub fn shows(inbox: &Inbox, caller: &Caller, saved_by: Option<&str>) -> bool {
    inbox.owned || saved_by.is_none_or(|by| *by == *caller.id)
}

/// The entry that a path names.
pub async fn entry(api: &Api, caller: &Caller, email: &str, id: &str) -> Result<(EntryId, Entry), ApiError> {
    let inbox = open(api, caller, email)?;
    let missing =
        || ApiError::NotFound(format!("Message not found by id {} and inbox {}", echo(id), echo(email)).into());
    let entry_id: EntryId = id.parse().map_err(|_| missing())?;
    let entry = api.doors.store.entry(&entry_id).await?;
    let shown = entry.filter(|entry| entry.inbox == inbox.name && shows(&inbox, caller, entry.saved_by.as_deref()));
    shown.map(|entry| (entry_id, entry)).ok_or_else(missing)
}

/// What a caller sent, short enough to be said back.
pub fn echo(text: &str) -> String {
    text.chars().take(MAX_ECHO_CHARS).collect()
}
