//! The address object, exactly as existing clients read it: every member is there.

use accounts::{Access, CatchAll, Reserved, Sealer, Table, split_domain};
use serde::Serialize;

use super::forwards::payload;
use super::settings::{Change, Words};
use super::time;

/// An address as its owner, or anybody when nobody owns it, sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressObject {
    #[serde(rename = "_id")]
    pub id: String,
    /// Absent when nobody owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub info: String,
    pub forward: Option<String>,
    pub enablews: bool,
    pub webhook: Option<String>,
    pub webhook_slack: Option<String>,
    pub webhook_slack_to_from: bool,
    /// What the webhook is sent. This and the next two are ours, and there only where there is a webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_payload: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_ordered: Option<bool>,
    /// How many secrets its calls are signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secrets: Option<usize>,
    /// A secret that was drawn for this request: it is never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
    /// The domain whose mail it catches.
    pub catch_all: Option<String>,
    /// Whether there is one; never the password.
    pub password: Option<()>,
    pub encrypted_inbox: Option<String>,
    /// The caller owns its domain and has not reserved it.
    pub implicit: bool,
    pub created: Option<String>,
    pub updated: Option<String>,
}

impl AddressObject {
    pub fn reserved(reserved: &Reserved, sealer: &Sealer) -> Self {
        let domain = split_domain(&reserved.address).map_or("", |(_, domain)| domain);
        Self {
            owner: Some(reserved.owner.clone()),
            encrypted_inbox: Some(format!("{}@{domain}", reserved.alternate)),
            created: Some(time::iso(reserved.created_at)),
            updated: Some(time::iso(reserved.updated_at)),
            ..Self::set(reserved.address.clone(), Words::open(&reserved.settings, sealer))
        }
    }

    /// A catch-all is the address `*@domain`.
    pub fn catch_all(catch_all: &CatchAll, sealer: &Sealer) -> Self {
        Self {
            owner: Some(catch_all.owner.clone()),
            catch_all: Some(catch_all.domain.clone()),
            created: Some(time::iso(catch_all.created_at)),
            updated: Some(time::iso(catch_all.updated_at)),
            ..Self::set(format!("*@{}", catch_all.domain), Words::open(&catch_all.settings, sealer))
        }
    }

    /// The address in its one spelling as this account sees it; `None` when it is somebody else's.
    pub fn seen_by(account: &str, address: &str, table: &Table, sealer: &Sealer) -> Option<Self> {
        if let Some(reserved) = table.reserved(address) {
            return (reserved.owner == account).then(|| Self::reserved(reserved, sealer));
        }
        if let Some(catch_all) = catch_all_at(table, address) {
            return (catch_all.owner == account).then(|| Self::catch_all(catch_all, sealer));
        }
        let unset = Self::set(address.to_owned(), Words::default());
        match table.access(account, address) {
            Access::Own => Some(Self { owner: Some(account.to_owned()), implicit: true, ..unset }),
            Access::Public => Some(unset),
            Access::Other => None,
        }
    }

    /// With the secret that the change has drawn.
    #[must_use]
    pub fn with_secret_of(self, change: &Change) -> Self {
        Self { webhook_secret: change.extras.drawn_secret().map(str::to_owned), ..self }
    }

    fn set(id: String, words: Words) -> Self {
        Self {
            id,
            owner: None,
            info: words.info,
            forward: words.forward,
            enablews: words.enable_websocket,
            webhook: words.webhook,
            webhook_slack: words.webhook_slack,
            webhook_slack_to_from: words.webhook_slack_to_from,
            webhook_payload: words.about_webhook.map(|(sent, ..)| payload(sent)),
            webhook_ordered: words.about_webhook.map(|(_, ordered, _)| ordered),
            webhook_secrets: words.about_webhook.map(|(.., secrets)| secrets),
            webhook_secret: None,
            catch_all: None,
            password: None,
            encrypted_inbox: None,
            implicit: false,
            created: None,
            updated: None,
        }
    }
}

/// The catch-all that the address `*@domain` stands for.
pub fn catch_all_at<'a>(table: &'a Table, address: &str) -> Option<&'a CatchAll> {
    address.strip_prefix("*@").and_then(|domain| table.catch_all(domain))
}
