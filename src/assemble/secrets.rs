//! What an installation keeps to itself: the key that secrets on the log are sealed with, and the first account's API
//! key. Given by whoever runs it, or made and kept in the data folder.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use accounts::{Sealer, Table};
use anyhow::{Context, bail};

use crate::config::Settings;

/// In the data folder: the API key that was made at the first start.
pub const ADMIN_KEY_FILE: &str = "admin.key";
/// In the environment: the first account's API key.
pub const ADMIN_KEY: &str = "POSTLOG_ADMIN_KEY";
/// In the environment: the key that secrets on the log are sealed with, in hexadecimal.
pub const SEAL_KEY: &str = "POSTLOG_SEAL_KEY";
/// In the data folder: what secrets on the log are sealed with.
const SEAL_KEY_FILE: &str = "seal.key";
const SEAL_KEY_BYTES: usize = 32;
/// 160 random bits.
const KEY_BYTES: usize = 20;
const SHORTEST_KEY: usize = 16;
const LONGEST_KEY: usize = 256;
/// Of a file's first line; a longer one is no secret of ours.
const MAX_LINE_BYTES: u64 = 4096;

#[derive(Clone)]
pub struct Secrets {
    pub sealer: Sealer,
    origin: Origin,
    seal_key_lost: bool,
    /// For the first account, if there is none yet.
    given_key: Option<String>,
    folder: PathBuf,
}

/// Where the seal key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Given,
    /// In the data folder since an earlier start.
    Kept,
    MadeNow,
    /// This process opens nothing: it has a key that nobody keeps.
    NotNeeded,
}

impl Secrets {
    /// Reads them, or makes them.
    pub fn settle(settings: &Settings) -> anyhow::Result<Self> {
        let given_key = given_key(settings.admin_key_file.as_deref())?;
        let needs_seal = !settings.log.is_shared() || settings.stages.need_store();
        let (key, origin) = match given_seal_key(settings.seal_key_file.as_deref())? {
            Some(key) => (key, Origin::Given),
            None if needs_seal => kept_seal_key(&settings.data_dir.join(SEAL_KEY_FILE))?,
            None => (rand::random(), Origin::NotNeeded),
        };
        let (folder, seal_key_lost) = (settings.data_dir.clone(), settings.seal_key_lost);
        Ok(Self { sealer: Sealer::new(key), origin, seal_key_lost, given_key, folder })
    }

    /// The first account's key: given, or made and kept in the folder. The second is `true` when it is to be told.
    pub fn first_key(&self) -> anyhow::Result<(String, bool)> {
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

    /// Another node has made the first account: a key that this one made for it opens nothing.
    pub fn forget_first_key(&self) {
        if self.given_key.is_none() {
            let _ = std::fs::remove_file(self.folder.join(ADMIN_KEY_FILE));
        }
    }

    /// Whether a key was given that the table doesn't know: most often that of another installation.
    pub fn given_key_is_unknown(&self, table: &Table) -> bool {
        self.given_key.as_ref().is_some_and(|key| table.account_by_key(key).is_none())
    }

    /// On a log that belongs to others already, a key of our own would make webhooks that nobody else can call. It was
    /// made a moment ago, and goes.
    pub fn check_origin(&self) -> anyhow::Result<()> {
        if self.origin != Origin::MadeNow || self.seal_key_lost {
            return Ok(());
        }
        let _ = std::fs::remove_file(self.folder.join(SEAL_KEY_FILE));
        bail!(
            "the log belongs to an installation whose seal key is not here: give this node the same one by \
             seal_key_file or {SEAL_KEY} (it stands in seal.key in the data folder of the node that was started first)"
        );
    }

    /// The key has to open what stands sealed on `accounts`.
    pub fn check(&self, table: &Table) -> anyhow::Result<()> {
        if self.origin == Origin::NotNeeded {
            return Ok(());
        }
        let (mut opened, mut sealed) = (0_usize, 0_usize);
        for target in table.sealed() {
            sealed += 1;
            opened += usize::from(self.sealer.open(target).is_some());
        }
        if opened == sealed {
            return Ok(());
        }
        if opened > 0 || self.seal_key_lost {
            tracing::warn!(sealed, opened, "the seal key does not open every webhook: the others wait, set them again");
            return Ok(());
        }
        bail!(
            "the seal key of this node opens none of the {sealed} webhooks on the log: give it the key of the \
             installation by seal_key_file or {SEAL_KEY} (it stands in seal.key in the data folder of the other \
             nodes); where that is lost, start once with --set seal_key_lost=true and set the webhooks again"
        );
    }
}

/// 32 bytes, or 64 hexadecimal digits and a line end.
pub fn parse_seal_key(bytes: &[u8]) -> Option<[u8; SEAL_KEY_BYTES]> {
    if let Ok(key) = <[u8; SEAL_KEY_BYTES]>::try_from(bytes) {
        return Some(key);
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if text.len() != 2 * SEAL_KEY_BYTES || !text.is_ascii() {
        return None;
    }
    let mut key = [0; SEAL_KEY_BYTES];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(key)
}

fn given_seal_key(file: Option<&Path>) -> anyhow::Result<Option<[u8; SEAL_KEY_BYTES]>> {
    let (bytes, source) = match (std::env::var(SEAL_KEY), file) {
        (Ok(text), _) => (text.into_bytes(), SEAL_KEY.to_owned()),
        (Err(_), Some(path)) => {
            let read = std::fs::read(path).with_context(|| format!("seal_key_file: {} can't be read", path.display()));
            (read?, path.display().to_string())
        }
        (Err(_), None) => return Ok(None),
    };
    let key = parse_seal_key(&bytes);
    key.map(Some).with_context(|| format!("{source}: a seal key is 32 bytes or 64 hexadecimal digits"))
}

fn kept_seal_key(path: &Path) -> anyhow::Result<([u8; SEAL_KEY_BYTES], Origin)> {
    match std::fs::read(path) {
        Ok(bytes) => match <[u8; SEAL_KEY_BYTES]>::try_from(bytes) {
            Ok(key) => Ok((key, Origin::Kept)),
            Err(bytes) => {
                let (path, length) = (path.display(), bytes.len());
                bail!(
                    "{path} has {length} bytes instead of {SEAL_KEY_BYTES}: put the right one back, since what was \
                     sealed opens with no other"
                )
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key: [u8; SEAL_KEY_BYTES] = rand::random();
            write_secret(path, &key)?;
            Ok((key, Origin::MadeNow))
        }
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}

fn given_key(key_file: Option<&Path>) -> anyhow::Result<Option<String>> {
    if let Ok(key) = std::env::var(ADMIN_KEY) {
        return checked_key(key.trim(), ADMIN_KEY).map(Some);
    }
    let Some(path) = key_file else { return Ok(None) };
    let line = first_line(path).with_context(|| format!("admin_key_file: {} can't be read", path.display()))?;
    checked_key(&line, &path.display().to_string()).map(Some)
}

fn checked_key(key: &str, source: &str) -> anyhow::Result<String> {
    if !is_api_key(key) {
        bail!("{source}: {API_KEY_FORM}");
    }
    Ok(key.to_owned())
}

/// What [`is_api_key`] asks for, in words.
pub const API_KEY_FORM: &str = "an API key has 16 to 256 characters, without spaces";

pub fn is_api_key(text: &str) -> bool {
    (SHORTEST_KEY..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What a file that holds one secret says, without the space around it. What is behind the first line is for people.
pub fn first_line(path: &Path) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(File::open(path)?.take(MAX_LINE_BYTES)).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Readable for this user only, from the first moment on, and there after a power cut.
pub fn write_secret(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use schemas::event::{AccountChange, AccountEvent, AddressSettings, ForwardKind, ForwardTarget};

    use super::*;

    fn settle(folder: &Path, change: impl FnOnce(&mut Settings)) -> anyhow::Result<Secrets> {
        let mut settings = crate::config::defaults();
        settings.data_dir = folder.to_owned();
        change(&mut settings);
        Secrets::settle(&settings)
    }

    fn table_with_a_webhook(sealer: &Sealer) -> Table {
        let target = ForwardTarget::new("hook".to_owned(), ForwardKind::Webhook, sealer.seal("https://x.example/"));
        let mail = ForwardTarget::new("copy".to_owned(), ForwardKind::Mail, b"b@x.example".to_vec());
        let settings = AddressSettings { forwards: vec![target, mail], ..AddressSettings::default() };
        let created = AccountChange::AccountCreated { account: "a".to_owned(), email: String::new(), admin: true };
        let (address, owner) = ("a@x.example".to_owned(), "a".to_owned());
        let mut table = Table::default();
        for (offset, change) in [(0, created), (1, AccountChange::AddressReserved { address, owner, settings })] {
            let event = AccountEvent { event_id: offset.to_string(), at: 0, by: None, change };
            table.fold(offset, &event);
        }
        table
    }

    #[test]
    fn secrets_are_made_once_and_readable_by_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let first = settle(folder.path(), |_| {}).unwrap();
        let again = settle(folder.path(), |_| {}).unwrap();
        assert_eq!((first.origin, again.origin), (Origin::MadeNow, Origin::Kept));
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
        assert!(settle(folder.path(), |_| {}).is_err());
        assert_eq!(std::fs::read(folder.path().join(SEAL_KEY_FILE)).unwrap(), [1; 31]);
    }

    #[test]
    fn a_seal_key_is_32_bytes_or_64_digits_and_the_same_either_way() {
        let digits = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fFF\n";
        let key = parse_seal_key(digits.as_bytes()).unwrap();
        assert_eq!((key[0], key[31]), (1, 255));
        assert_eq!(parse_seal_key(&key), Some(key));
        for wrong in ["", "0102", &"g".repeat(64), &"0".repeat(66), &"é".repeat(32)] {
            assert_eq!(parse_seal_key(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_node_whose_key_opens_nothing_of_what_stands_on_the_log_is_refused() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ours = settle(folder.path(), |_| {}).unwrap();
        let theirs = settle(other.path(), |_| {}).unwrap();
        let table = table_with_a_webhook(&theirs.sealer);
        assert!(theirs.check(&table).is_ok());
        assert!(ours.check(&Table::default()).is_ok(), "nothing is sealed");
        let text = ours.check(&table).unwrap_err().to_string();
        assert!(text.contains("seal_key_file") && text.contains("seal_key_lost"), "{text}");
        let file = other.path().join(SEAL_KEY_FILE);
        let given = settle(folder.path(), |settings| settings.seal_key_file = Some(file)).unwrap();
        assert!(given.check(&table).is_ok() && given.check_origin().is_ok());
        let lost = settle(folder.path(), |settings| settings.seal_key_lost = true).unwrap();
        assert!(lost.check(&table).is_ok());
    }

    #[test]
    fn a_key_that_was_made_for_a_log_of_others_goes_again() {
        let folder = tempfile::tempdir().unwrap();
        assert!(settle(folder.path(), |_| {}).unwrap().check_origin().is_err());
        assert!(!folder.path().join(SEAL_KEY_FILE).exists());
        let kept = settle(folder.path(), |_| {}).and_then(|_| settle(folder.path(), |_| {})).unwrap();
        assert!(kept.check_origin().is_ok());
    }
}
