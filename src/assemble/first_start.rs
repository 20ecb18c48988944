//! What a new log needs before anybody is served: the first account. Where several nodes begin at the
//! same moment, the log decides whose account it is, and the others notice.

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use accounts::Table;
use anyhow::Context;
use eventlog::{Follower, Log};
use schemas::event::{AccountChange, AccountEvent};
use schemas::{Event, MessageId, NewRecord, Position, Topic, codec};

use super::secrets::Secrets;

const FIRST_ACCOUNT: &str = "admin";
const FIRST_EMAIL: &str = "admin@localhost";
/// For the node that has made the account to give it its key. It takes milliseconds, unless that node has died.
const KEY_LIMIT: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(50);

/// Makes the first account where there is none, and returns its key when that was made now, to be told once.
pub async fn first_account(
    log: &dyn Log,
    secrets: &Secrets,
    accounts: &Follower<Table>,
    is_shared: bool,
) -> anyhow::Result<Option<String>> {
    let is_new = accounts.offset() == 0;
    if is_new && !is_shared {
        let (key, is_told) = secrets.first_key()?;
        let event_id = new_event_id();
        log.append(vec![created(&event_id)?, key_created(&key)?]).await.context("the first account")?;
        return Ok(is_told.then_some(key));
    }
    let mut is_ours = false;
    if is_new {
        let event_id = new_event_id();
        // Kept before the account is there: a kill in between must not leave one that nobody can open.
        secrets.first_key()?;
        log.append(vec![created(&event_id)?]).await.context("the first account can't be put on the log")?;
        is_ours = story(log).await?.created_by.as_deref() == Some(event_id.as_str());
    }
    let key = if is_ours || is_keyless(log, accounts).await? { give_key(log, secrets).await? } else { None };
    if !is_ours {
        if is_new {
            tracing::info!("another node has made the first account at the same moment");
            secrets.forget_first_key();
        }
        if is_shared {
            secrets.check_origin()?;
        }
    }
    Ok(key)
}

async fn give_key(log: &dyn Log, secrets: &Secrets) -> anyhow::Result<Option<String>> {
    let (key, is_told) = secrets.first_key()?;
    log.append(vec![key_created(&key)?]).await.context("the first account's key can't be put on the log")?;
    Ok(is_told.then_some(key))
}

/// Whether whoever made the first account has died before it gave it a key. One whose keys were revoked has had some.
async fn is_keyless(log: &dyn Log, accounts: &Follower<Table>) -> anyhow::Result<bool> {
    let has_key = |table: &Table| table.account(FIRST_ACCOUNT).is_none_or(|account| !account.keys.is_empty());
    let waited = tokio::time::timeout(KEY_LIMIT, async {
        while !accounts.read(has_key) && story(log).await.is_ok_and(|story| !story.had_key) {
            tokio::time::sleep(GLANCE).await;
        }
    });
    if waited.await.is_ok() {
        return Ok(false);
    }
    let story = story(log).await?;
    Ok(story.created_by.is_some() && !story.had_key)
}

/// What `accounts` says of the first account.
#[derive(Default)]
struct Story {
    /// The event that won.
    created_by: Option<String>,
    had_key: bool,
}

async fn story(log: &dyn Log) -> anyhow::Result<Story> {
    let mut story = Story::default();
    for event in standing(log, Topic::Accounts).await? {
        let Event::Account(event) = event else { continue };
        match &event.change {
            AccountChange::AccountCreated { account, .. } if account == FIRST_ACCOUNT => {
                story.created_by.get_or_insert(event.event_id);
            }
            AccountChange::KeyCreated { account, .. } if account == FIRST_ACCOUNT => story.had_key = true,
            _ => {}
        }
    }
    Ok(story)
}

fn new_event_id() -> String {
    MessageId::from_parts(now_ms(), rand::random()).to_string()
}

fn created(event_id: &str) -> anyhow::Result<NewRecord> {
    let (account, email) = (FIRST_ACCOUNT.to_owned(), FIRST_EMAIL.to_owned());
    record(event_id.to_owned(), AccountChange::AccountCreated { account, email, admin: true })
}

fn key_created(key: &str) -> anyhow::Result<NewRecord> {
    let (account, name) = (FIRST_ACCOUNT.to_owned(), "first".to_owned());
    record(new_event_id(), AccountChange::KeyCreated { account, name, key_sha256: accounts::key_sha256(key) })
}

fn record(event_id: String, change: AccountChange) -> anyhow::Result<NewRecord> {
    let event = Event::Account(AccountEvent { event_id, at: now_ms(), by: None, change });
    Ok(NewRecord::new(Topic::Accounts, FIRST_ACCOUNT, codec::encode(&event)?))
}

/// Every event that stands on the topic now, as far as it can be read.
async fn standing(log: &dyn Log, topic: Topic) -> anyhow::Result<Vec<Event>> {
    let bounds = log.bounds(topic).await?;
    let places = |offset: fn(&eventlog::Bounds) -> u64| -> Vec<Position> {
        bounds.iter().map(|bounds| Position::new(topic, bounds.partition, offset(bounds))).collect()
    };
    let mut standing = Vec::new();
    eventlog::scan(log, places(|bounds| bounds.earliest), &places(|bounds| bounds.end), |record| {
        standing.extend(record.value.and_then(|value| codec::decode(topic, &value).ok()));
        ControlFlow::Continue(())
    })
    .await?;
    Ok(standing)
}

fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
