//! What an address or a catch-all is set to do, between the words of the API and those of the log: targets are sealed
//! on the way in and opened on the way out, for their owner only.

use accounts::{Access, Sealer, Table};
use schemas::event::{AddressSettings, ForwardKind, ForwardPayload, ForwardTarget};
use url::Url;

use super::error::ApiError;
use super::request::Members;
use super::webhook::Extras;

/// Bytes of the free text of an address.
pub const MAX_INFO_BYTES: usize = 4096;
/// Bytes of a webhook's URL.
pub const MAX_URL_BYTES: usize = 2048;

/// The members of the API's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub info: String,
    pub forward: Option<String>,
    pub enable_websocket: bool,
    pub webhook: Option<String>,
    pub webhook_slack: Option<String>,
    pub webhook_slack_to_from: bool,
    /// What is set about the webhook, if there is one: what it is sent, whether in order, how many secrets.
    pub about_webhook: Option<(ForwardPayload, bool, usize)>,
}

impl Words {
    pub fn open(settings: &AddressSettings, sealer: &Sealer) -> Self {
        let target = |kind| {
            let forward = settings.forwards.iter().find(|forward| forward.kind == kind)?;
            forward.address().map(str::to_owned).or_else(|| sealer.open(&forward.sealed_target))
        };
        Self {
            info: settings.info.clone(),
            forward: target(ForwardKind::Mail),
            enable_websocket: settings.enable_websocket,
            webhook: target(ForwardKind::Webhook),
            webhook_slack: target(ForwardKind::Slack),
            webhook_slack_to_from: settings.slack_to_from,
            about_webhook: settings
                .forwards
                .iter()
                .find(|forward| forward.kind == ForwardKind::Webhook)
                .map(|webhook| (webhook.payload, webhook.ordered, webhook.sealed_secrets.len())),
        }
    }
}

/// What a body changes: members that were not sent stay.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    info: Option<String>,
    enable_websocket: Option<bool>,
    slack_to_from: Option<bool>,
    /// Empty switches the forward off.
    targets: Vec<(ForwardKind, String)>,
    /// What else is set about the webhook.
    pub extras: Extras,
}

impl Change {
    /// Every fault of the body is named, not only the first.
    pub fn read(members: &Members) -> Result<Self, ApiError> {
        let mut faults = Vec::new();
        let websocket = kept(members.switch("enablews"), &mut faults);
        let mut change = Self {
            info: kept(members.text("info", MAX_INFO_BYTES), &mut faults),
            // One document of the interface spells it `enabledws`.
            enable_websocket: websocket.or_else(|| kept(members.switch("enabledws"), &mut faults)),
            slack_to_from: kept(members.switch("webhookSlackToFrom"), &mut faults),
            targets: Vec::new(),
            extras: kept(Extras::read(members).map(Some), &mut faults).unwrap_or_default(),
        };
        for (name, kind) in
            [("forward", ForwardKind::Mail), ("webhook", ForwardKind::Webhook), ("webhookSlack", ForwardKind::Slack)]
        {
            let Some(target) = kept(members.text(name, MAX_URL_BYTES), &mut faults) else { continue };
            if kind != ForwardKind::Mail && !target.is_empty() {
                faults.extend(fault_of_url(name, &target));
            }
            change.targets.push((kind, target));
        }
        if faults.is_empty() { Ok(change) } else { Err(ApiError::Invalid(faults)) }
    }

    /// The settings as they are from now on.
    ///
    /// Mail is sent on to another address of the same account only: anything else would make this server send mail
    /// to whoever didn't ask for it.
    pub fn apply(
        &self,
        before: &AddressSettings,
        owner: &str,
        address: &str,
        table: &Table,
        sealer: &Sealer,
    ) -> Result<AddressSettings, ApiError> {
        let mut settings = before.clone();
        if let Some(info) = &self.info {
            settings.info.clone_from(info);
        }
        settings.enable_websocket = self.enable_websocket.unwrap_or(before.enable_websocket);
        settings.slack_to_from = self.slack_to_from.unwrap_or(before.slack_to_from);
        for (kind, target) in &self.targets {
            if target.is_empty() {
                settings.forwards.retain(|forward| forward.kind != *kind);
                continue;
            }
            let target = match kind {
                ForwardKind::Mail => own_address(target, owner, address, table)?,
                ForwardKind::Webhook | ForwardKind::Slack | ForwardKind::Unknown => target.clone(),
            };
            let id = sealer.forward_id(*kind, owner, &target);
            // The same target named again keeps what else is set about it.
            settings.forwards.retain(|forward| forward.kind != *kind || forward.id == id);
            if settings.forwards.iter().any(|forward| forward.id == id) {
                continue;
            }
            // Another rule may name it already: what is set about a forward is the same everywhere.
            let known = table.forward(&id).filter(|known| known.owner == owner).map(|known| known.target.clone());
            // An address is no secret, and the route has to read it.
            let kept = if *kind == ForwardKind::Mail { target.into_bytes() } else { sealer.seal(&target) };
            settings.forwards.push(known.unwrap_or_else(|| ForwardTarget::new(id, *kind, kept)));
        }
        self.extras.apply(&mut settings, sealer)?;
        Ok(settings)
    }
}

fn kept<T>(read: Result<Option<T>, ApiError>, faults: &mut Vec<String>) -> Option<T> {
    match read {
        Ok(value) => value,
        Err(ApiError::Invalid(found)) => {
            faults.extend(found);
            None
        }
        Err(_) => None,
    }
}

fn own_address(target: &str, owner: &str, address: &str, table: &Table) -> Result<String, ApiError> {
    let refused =
        |why: &str| ApiError::Refused(format!("forward must be another address of this account: {why}").into());
    let inbox = table.inbox_of(target).map_err(|error| refused(&error.to_string()))?;
    if inbox == address {
        return Err(refused("this is the address itself"));
    }
    if table.access(owner, &inbox) != Access::Own {
        return Err(refused("it is not one of yours"));
    }
    Ok(inbox)
}

/// What is wrong with a webhook's URL; whether it may be called is decided when it is called.
fn fault_of_url(name: &str, text: &str) -> Option<String> {
    let Ok(url) = Url::parse(text) else { return Some(format!("{name} is not a URL")) };
    if !matches!(url.scheme(), "http" | "https") {
        return Some(format!("{name} must begin with http:// or https://"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Some(format!("{name} names no host"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(body: &str) -> Result<Change, ApiError> {
        Change::read(&Members::parse(body.as_bytes()).unwrap())
    }

    fn apply(body: &str, before: &AddressSettings) -> Words {
        let sealer = Sealer::new([7; 32]);
        let after = change(body).unwrap().apply(before, "ann", "a@x.org", &Table::default(), &sealer).unwrap();
        Words::open(&after, &sealer)
    }

    #[test]
    fn what_is_not_sent_stays_and_null_or_nothing_switches_off() {
        let sealer = Sealer::new([7; 32]);
        let first = change(
            r#"{"info":"i","enablews":true,"webhook":"https://h.example/a","webhookSlack":"https://s.example/b"}"#,
        );
        let set =
            first.unwrap().apply(&AddressSettings::default(), "ann", "a@x.org", &Table::default(), &sealer).unwrap();
        let kept = apply("{}", &set);
        assert_eq!(kept.webhook.as_deref(), Some("https://h.example/a"));
        assert!(kept.enable_websocket && kept.info == "i");
        let off = apply(r#"{"webhook":null,"webhookSlack":"","enabledws":false}"#, &set);
        assert_eq!((off.webhook, off.webhook_slack, off.enable_websocket), (None, None, false));
    }

    #[test]
    fn every_fault_of_a_body_is_named() {
        let Err(ApiError::Invalid(faults)) = change(r#"{"info":7,"webhook":"ftp://h/","webhookSlack":"x"}"#) else {
            panic!("accepted")
        };
        assert_eq!(faults.len(), 3, "{faults:?}");
    }

    #[test]
    fn targets_are_sealed_and_do_not_stand_in_the_settings() {
        let sealer = Sealer::new([7; 32]);
        let change = change(r#"{"webhook":"https://h.example/hush-hush"}"#).unwrap();
        let set = change.apply(&AddressSettings::default(), "ann", "a@x.org", &Table::default(), &sealer).unwrap();
        assert!(!format!("{set:?}").contains("hush"));
        assert!(set.forwards.iter().all(|forward| !forward.sealed_target.windows(4).any(|bytes| bytes == b"hush")));
    }

    #[test]
    fn a_target_that_is_named_again_keeps_what_else_is_set_about_it() {
        let sealer = Sealer::new([7; 32]);
        let apply = |before: &AddressSettings, url: &str| {
            let change = change(&format!(r#"{{"webhook":"{url}"}}"#)).unwrap();
            change.apply(before, "ann", "a@x.org", &Table::default(), &sealer).unwrap()
        };
        let mut set = apply(&AddressSettings::default(), "https://h.example/1");
        set.forwards[0].ordered = true;
        assert_eq!(apply(&set, "https://h.example/1"), set);
        let other = apply(&set, "https://h.example/2");
        assert_eq!(other.forwards.len(), 1);
        assert!(!other.forwards[0].ordered);
    }

    #[test]
    fn a_url_of_2048_bytes_is_taken_and_one_of_2049_is_not() {
        let url = |length: usize| format!("https://h.example/{}", "p".repeat(length - 18));
        assert!(change(&format!(r#"{{"webhook":"{}"}}"#, url(MAX_URL_BYTES))).is_ok());
        assert!(change(&format!(r#"{{"webhook":"{}"}}"#, url(MAX_URL_BYTES + 1))).is_err());
    }
}
