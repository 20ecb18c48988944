//! What a new data folder needs before anybody is served: the installation's key, the schemas, the first account.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use accounts::Sealer;
use anyhow::{Context, bail};
use eventlog::{Limits, Log};
use schemas::event::{AccountChange, AccountEvent, ReleasedSchema};
use schemas::{Event, MessageId, NewRecord, Position, Topic, codec};

/// In the data folder: the API key that was made at the first start.
pub const ADMIN_KEY_FILE: &str = "admin.key";
/// In the environment: the first account's API key.
pub const ADMIN_KEY: &str = "POSTLOG_ADMIN_KEY";
/// In the data folder: what secrets on the log are sealed with.
const SEAL_KEY_FILE: &str = "seal.key";
const SEAL_KEY_BYTES: usize = 32;
/// 160 random bits.
const KEY_BYTES: usize = 20;
const SHORTEST_KEY: usize = 16;
const LONGEST_KEY: usize = 256;
const FIRST_ACCOUNT: &str = "admin";
const FIRST_EMAIL: &str = "admin@localhost";
const SCHEMAS_AT_ONCE: Limits = Limits { records: 1000, bytes: 16 << 20, wait: Duration::from_secs(1) };

/// What lies in the data folder and nowhere else.
#[derive(Clone)]
pub struct Secrets {
    pub sealer: Sealer,
    /// For the first account, if there is none yet.
    given_key: Option<String>,
    folder: PathBuf,
}

impl Secrets {
    /// Reads them, or makes them. `key_file` holds the first account's key; the environment gives the key itself.
    pub fn settle(folder: &Path, key_file: Option<&Path>) -> anyhow::Result<Self> {
        let given_key = given_key(key_file)?;
        let seal_key = seal_key(&folder.join(SEAL_KEY_FILE))?;
        Ok(Self { sealer: Sealer::new(seal_key), given_key, folder: folder.to_owned() })
    }

    /// The first account's key: given, or made and kept in the folder. The second is `true` when it was made now.
    fn first_key(&self) -> anyhow::Result<(String, bool)> {
        if let Some(key) = &self.given_key {
            return Ok((key.clone(), false));
        }
        let path = self.folder.join(ADMIN_KEY_FILE);
        if let Ok(text) = std::fs::read_to_string(&path) {
            // Made by a start that ended before its account stood on the log.
            return Ok((checked_key(text.trim(), &path.display().to_string())?, true));
        }
        let random: [u8; KEY_BYTES] = rand::random();
        let key = format!("k_{}", random.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        write_secret(&path, key.as_bytes())?;
        Ok((key, true))
    }
}

/// Puts the schemas that are missing on `schemas`, learns those that this program lacks, and makes the first account
/// where there is none. Returns its key when it was made now, to be told once.
pub async fn furnish(log: &dyn Log, secrets: &Secrets) -> anyhow::Result<Option<String>> {
    settle_schemas(log).await.context("the topic schemas")?;
    let bounds = log.bounds(Topic::Accounts).await?;
    if bounds.iter().any(|bounds| bounds.end > 0) {
        return Ok(None);
    }
    let (key, is_new) = secrets.first_key()?;
    let account = FIRST_ACCOUNT.to_owned();
    let created =
        AccountChange::AccountCreated { account: account.clone(), email: FIRST_EMAIL.to_owned(), admin: true };
    let key_sha256 = accounts::key_sha256(&key);
    let key_created = AccountChange::KeyCreated { account, name: "first".to_owned(), key_sha256 };
    let mut records = Vec::new();
    for change in [created, key_created] {
        let at = now_ms();
        let event_id = MessageId::from_parts(at, rand::random()).to_string();
        let event = Event::Account(AccountEvent { event_id, at, by: None, change });
        records.push(NewRecord::new(Topic::Accounts, FIRST_ACCOUNT, codec::encode(&event)?));
    }
    log.append(records).await.context("the first account can't be put on the log")?;
    Ok(is_new.then_some(key))
}

async fn settle_schemas(log: &dyn Log) -> anyhow::Result<()> {
    let standing = standing_schemas(log).await?;
    for schema in &standing {
        let topic = schema.subject.strip_suffix("-value").and_then(|name| name.parse::<Topic>().ok());
        let Some(topic) = topic else {
            tracing::warn!(
                subject = schema.subject,
                id = schema.id,
                "a schema of a topic that this program doesn't know"
            );
            continue;
        };
        codec::learn(schema.id, topic, &schema.schema)
            .with_context(|| format!("the schema {} of {}", schema.id, schema.subject))?;
    }
    let mut missing = Vec::new();
    for schema in schemas::released() {
        if !standing.iter().any(|known| known.id == schema.id) {
            let key = format!("{}/{}", schema.subject, schema.version);
            missing.push(NewRecord::new(Topic::Schemas, key, codec::encode(&Event::Schema(schema))?));
        }
    }
    if !missing.is_empty() {
        log.append(missing).await?;
    }
    Ok(())
}

async fn standing_schemas(log: &dyn Log) -> anyhow::Result<Vec<ReleasedSchema>> {
    let mut standing = Vec::new();
    for bounds in log.bounds(Topic::Schemas).await? {
        let mut next = Position::new(Topic::Schemas, bounds.partition, bounds.earliest);
        let mut tail = log.tail(&[next]).await?;
        while next.offset < bounds.end {
            let records = tail.poll(&SCHEMAS_AT_ONCE).await?;
            // Before the end there may be gaps only.
            let Some(last) = records.last() else { break };
            next = last.position.next();
            for value in records.into_iter().filter_map(|record| record.value) {
                if let Event::Schema(schema) = codec::decode(Topic::Schemas, &value)? {
                    standing.push(schema);
                }
            }
        }
    }
    Ok(standing)
}

fn given_key(key_file: Option<&Path>) -> anyhow::Result<Option<String>> {
    if let Ok(key) = std::env::var(ADMIN_KEY) {
        return checked_key(key.trim(), ADMIN_KEY).map(Some);
    }
    let Some(path) = key_file else { return Ok(None) };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("admin_key_file: {} can't be read", path.display()))?;
    checked_key(text.lines().next().unwrap_or_default().trim(), &path.display().to_string()).map(Some)
}

fn checked_key(key: &str, source: &str) -> anyhow::Result<String> {
    if !(SHORTEST_KEY..=LONGEST_KEY).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{source}: an API key has {SHORTEST_KEY} to {LONGEST_KEY} characters, without spaces");
    }
    Ok(key.to_owned())
}

fn seal_key(path: &Path) -> anyhow::Result<[u8; SEAL_KEY_BYTES]> {
    match std::fs::read(path) {
        Ok(bytes) => <[u8; SEAL_KEY_BYTES]>::try_from(bytes).map_err(|bytes| {
            let (path, length) = (path.display(), bytes.len());
            anyhow::anyhow!("{path} has {length} bytes instead of {SEAL_KEY_BYTES}: put the right one back, since what was sealed opens with no other")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key: [u8; SEAL_KEY_BYTES] = rand::random();
            write_secret(path, &key)?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}

/// Readable for this user only, from the first moment on, and there after a power cut.
fn write_secret(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let draft = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    written().with_context(|| format!("{} can't be written", path.display()))
}

fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_made_once_and_readable_by_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secrets::settle(folder.path(), None).unwrap();
        let again = Secrets::settle(folder.path(), None).unwrap();
        assert_eq!(again.sealer.open(&first.sealer.seal("x")).as_deref(), Some("x"));
        let (key, is_new) = first.first_key().unwrap();
        assert!(is_new && key.len() == 42);
        assert_eq!(again.first_key().unwrap(), (key, true));
        for name in [SEAL_KEY_FILE, ADMIN_KEY_FILE] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_key_of_16_characters_is_taken_and_one_of_15_is_not() {
        assert!(checked_key(&"k".repeat(SHORTEST_KEY), "x").is_ok());
        assert!(checked_key(&"k".repeat(SHORTEST_KEY - 1), "x").is_err());
        assert!(checked_key(&"k".repeat(LONGEST_KEY), "x").is_ok());
        assert!(checked_key(&"k".repeat(LONGEST_KEY + 1), "x").is_err());
        assert!(checked_key("sixteen characters", "x").is_err(), "spaces");
    }

    #[test]
    fn the_first_line_of_a_file_is_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "k_0123456789abcdef\nnotes\n").unwrap();
        assert_eq!(given_key(Some(&path)).unwrap().as_deref(), Some("k_0123456789abcdef"));
    }

    #[test]
    fn a_damaged_seal_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SEAL_KEY_FILE), [1; 31]).unwrap();
        assert!(Secrets::settle(folder.path(), None).is_err());
        assert_eq!(std::fs::read(folder.path().join(SEAL_KEY_FILE)).unwrap(), [1; 31]);
    }
}
