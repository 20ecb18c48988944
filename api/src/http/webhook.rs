//! What else may be set about a webhook: what it is sent, whether in order, and what its calls are signed with. It is
//! set about the forward, and so holds for every address of the account that names the same URL.

use accounts::Sealer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemas::event::{AccountChange, AddressSettings, ForwardKind, ForwardPayload, ForwardTarget, SealedSecret};

use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::request::Members;
use super::write;

/// Standard Webhooks: a secret is this and the base64 of its bytes.
const PREFIX: &str = "whsec_";
const MIN_SECRET_BYTES: usize = 24;
const MAX_SECRET_BYTES: usize = 64;
const NEW_SECRET_BYTES: usize = 32;
/// The longest text of one.
const MAX_TEXT_BYTES: usize = 128;
/// Calls are signed with the newest and the one before it, so that a receiver may change over at its leisure.
const SECRETS: usize = 2;
/// Asks for a secret that is drawn here.
const NEW: &str = "new";

/// The members of a body beside those of the interface.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Extras {
    payload: Option<ForwardPayload>,
    ordered: Option<bool>,
    secret: Option<Secret>,
}

#[derive(Debug, PartialEq, Eq)]
enum Secret {
    /// Nothing is signed.
    Off,
    Given(String),
    Drawn(String),
}

impl Extras {
    pub fn read(members: &Members) -> Result<Self, ApiError> {
        let payload = members.text("webhookPayload", MAX_TEXT_BYTES)?.map(|text| match text.as_str() {
            "full" | "" => Ok(ForwardPayload::Full),
            "thin" => Ok(ForwardPayload::Thin),
            "raw" => Ok(ForwardPayload::Raw),
            _ => Err(ApiError::invalid("webhookPayload is not one of full, thin, raw")),
        });
        let secret = members.text("webhookSecret", MAX_TEXT_BYTES)?.map(|text| match text.as_str() {
            "" => Ok(Secret::Off),
            NEW => Ok(Secret::Drawn(drawn())),
            text if is_secret(text) => Ok(Secret::Given(text.to_owned())),
            _ => Err(ApiError::invalid(format!(
                "webhookSecret is neither {NEW:?} nor {PREFIX} and the base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes"
            ))),
        });
        Ok(Self {
            payload: payload.transpose()?,
            ordered: members.switch("webhookOrdered")?,
            secret: secret.transpose()?,
        })
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// To be shown once: the log has it sealed only.
    pub fn drawn_secret(&self) -> Option<&str> {
        match &self.secret {
            Some(Secret::Drawn(text)) => Some(text),
            Some(Secret::Off | Secret::Given(_)) | None => None,
        }
    }

    /// Sets them about the webhook that the settings name.
    pub fn apply(&self, settings: &mut AddressSettings, sealer: &Sealer) -> Result<(), ApiError> {
        if self.is_empty() {
            return Ok(());
        }
        let webhook = settings.forwards.iter_mut().find(|forward| forward.kind == ForwardKind::Webhook);
        let Some(webhook) = webhook else {
            return Err(ApiError::Refused("There is no webhook to set that about: send webhook, too.".into()));
        };
        webhook.payload = self.payload.unwrap_or(webhook.payload);
        webhook.ordered = self.ordered.unwrap_or(webhook.ordered);
        match &self.secret {
            None => {}
            Some(Secret::Off) => webhook.sealed_secrets.clear(),
            Some(Secret::Given(text) | Secret::Drawn(text)) => {
                let sealed = SealedSecret { sealed: sealer.seal(text) };
                webhook.sealed_secrets.retain(|known| *known != sealed);
                webhook.sealed_secrets.insert(0, sealed);
                webhook.sealed_secrets.truncate(SECRETS);
            }
        }
        Ok(())
    }

    /// Sets the same in the other rules of the account that name the forward.
    pub async fn spread(
        &self,
        api: &Api,
        by: &Caller,
        owner: &str,
        settings: &AddressSettings,
    ) -> Result<(), ApiError> {
        let webhook = settings.forwards.iter().find(|forward| forward.kind == ForwardKind::Webhook);
        let Some(webhook) = webhook.filter(|_| !self.is_empty()) else { return Ok(()) };
        for (entity, change) in others(api, owner, webhook) {
            write::account(api, by, &entity, change).await?;
        }
        Ok(())
    }
}

/// What changes in the other rules, each with its name.
fn others(api: &Api, owner: &str, webhook: &ForwardTarget) -> Vec<(String, AccountChange)> {
    let changed = |settings: &AddressSettings| {
        let mut changed = settings.clone();
        let named = changed.forwards.iter_mut().find(|forward| forward.id == webhook.id && *forward != webhook)?;
        named.clone_from(webhook);
        Some(changed)
    };
    api.table(|table| {
        let reserved = table.reserved_of(owner).filter_map(|reserved| {
            let address = reserved.address.clone();
            let settings = changed(&reserved.settings)?;
            Some((address.clone(), AccountChange::AddressChanged { address, settings }))
        });
        let caught = table.catch_alls().filter(|all| all.owner == owner).filter_map(|all| {
            let (domain, owner, inbox) = (all.domain.clone(), all.owner.clone(), all.inbox.clone());
            let settings = changed(&all.settings)?;
            Some((domain.clone(), AccountChange::CatchAllSet { domain, owner, inbox, settings }))
        });
        reserved.chain(caught).collect()
    })
}

fn is_secret(text: &str) -> bool {
    let bytes = text.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
    bytes.is_some_and(|bytes| (MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&bytes.len()))
}

fn drawn() -> String {
    let bytes: [u8; NEW_SECRET_BYTES] = rand::random();
    format!("{PREFIX}{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extras(body: &str) -> Result<Extras, ApiError> {
        Extras::read(&Members::parse(body.as_bytes()).unwrap())
    }

    fn settings() -> AddressSettings {
        let webhook = ForwardTarget::new("id".to_owned(), ForwardKind::Webhook, Vec::new());
        AddressSettings { forwards: vec![webhook], ..AddressSettings::default() }
    }

    #[test]
    fn a_new_secret_stands_before_the_last_one_and_the_one_before_that_is_gone() {
        let sealer = Sealer::new([7; 32]);
        let mut settings = settings();
        let mut drawn = Vec::new();
        for _ in 0..3 {
            let extras = extras(r#"{"webhookSecret":"new"}"#).unwrap();
            extras.apply(&mut settings, &sealer).unwrap();
            drawn.insert(0, extras.drawn_secret().unwrap().to_owned());
        }
        let opened = |settings: &AddressSettings| -> Vec<String> {
            settings.forwards[0].sealed_secrets.iter().map(|one| sealer.open(&one.sealed).unwrap()).collect()
        };
        assert_eq!(opened(&settings), drawn[..2]);
        assert!(drawn.iter().all(|text| is_secret(text)));
        extras(r#"{"webhookSecret":null}"#).unwrap().apply(&mut settings, &sealer).unwrap();
        assert!(opened(&settings).is_empty());
    }

    #[test]
    fn secrets_of_24_to_64_bytes_are_taken_and_no_others() {
        let of = |bytes: usize| extras(&format!(r#"{{"webhookSecret":"whsec_{}"}}"#, STANDARD.encode(vec![7; bytes])));
        assert!(of(MIN_SECRET_BYTES).is_ok() && of(MAX_SECRET_BYTES).is_ok());
        assert!(of(MIN_SECRET_BYTES - 1).is_err() && of(MAX_SECRET_BYTES + 1).is_err());
        assert!(extras(r#"{"webhookSecret":"hush"}"#).is_err());
        assert!(extras(r#"{"webhookPayload":"fat"}"#).is_err());
    }

    #[test]
    fn what_is_said_about_a_webhook_needs_one() {
        let thin = extras(r#"{"webhookPayload":"thin","webhookOrdered":true}"#).unwrap();
        assert!(thin.apply(&mut AddressSettings::default(), &Sealer::new([7; 32])).is_err());
        let mut settings = settings();
        thin.apply(&mut settings, &Sealer::new([7; 32])).unwrap();
        assert_eq!((settings.forwards[0].payload, settings.forwards[0].ordered), (ForwardPayload::Thin, true));
        extras("{}").unwrap().apply(&mut AddressSettings::default(), &Sealer::new([7; 32])).unwrap();
    }
}
