//! `postlog account`: who may use the API.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::{Place, screen};

#[derive(Debug, Args)]
pub struct Account {
    #[command(flatten)]
    reach: Reach,
    /// For programs: JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the accounts
    List,
    /// Make an account and its first key, which is shown once
    Add {
        email: String,
        /// Its id [default: one is made]
        #[arg(long)]
        id: Option<String>,
        /// It may do everything that an operator may
        #[arg(long)]
        admin: bool,
    },
    /// Whether an account's mail over a score is delivered to its folder spam; off by default
    SpamFolder {
        #[arg(value_name = "ID_OR_EMAIL")]
        account: String,
        /// Mail whose first score is over this, 0.0 to 1.0
        #[arg(long, value_name = "SCORE", required_unless_present = "off", conflicts_with = "off")]
        over: Option<f64>,
        /// No mail is
        #[arg(long)]
        off: bool,
    },
    /// Remove an account, named by its id or e-mail; what it owns stays closed until an administrator releases it
    Remove {
        #[arg(value_name = "ID_OR_EMAIL")]
        account: String,
    },
}

impl Account {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let Self { reach, json, action } = self;
        Door::visit(place, &reach, async |door| act(door, action, json).await).await
    }
}

async fn act(door: &Door, action: Action, as_json: bool) -> Result<(), Failure> {
    match action {
        Action::List => list(&door.json(Method::GET, "/api/admin/accounts", None).await?, as_json),
        Action::Add { email, id, admin } => {
            let mut body = json!({ "email": email, "admin": admin });
            if let (Some(id), Some(members)) = (id, body.as_object_mut()) {
                members.insert("account".to_owned(), Value::String(id));
            }
            let made = door.json(Method::POST, "/api/admin/accounts", Some(&body)).await?;
            let (account, key) = (screen::text_of(&made, "account"), screen::text_of(&made, "key"));
            screen::answer(&made, &format!("The account {account} is made. Its key, shown this once: {key}"), as_json)
        }
        Action::SpamFolder { account, over, off: _ } => {
            let account = id_of(&find(door, &account).await?);
            let path = format!("/api/admin/accounts/{}/spam-folder", segment(&account));
            let set = door.json(Method::PUT, &path, Some(&json!({ "over": over }))).await?;
            let sentence = match set.get("over").and_then(Value::as_f64) {
                Some(over) => {
                    format!("Mail of {account} whose first score is over {over} is delivered to its folder spam.")
                }
                None => format!("No mail of {account} is delivered to its folder spam."),
            };
            screen::answer(&set, &sentence, as_json)
        }
        Action::Remove { account } => {
            let account = id_of(&find(door, &account).await?);
            let gone = door.json(Method::DELETE, &format!("/api/admin/accounts/{}", segment(&account)), None).await?;
            screen::answer(&gone, &format!("The account {account} is removed."), as_json)
        }
    }
}

/// The account with that id, or else the only one with that e-mail address.
pub(super) async fn find(door: &Door, named: &str) -> Result<Value, Failure> {
    let listed = door.json(Method::GET, "/api/admin/accounts", None).await?;
    let accounts = listed.as_array().map_or(&[][..], Vec::as_slice);
    Ok(found(accounts, named).cloned()?)
}

pub(super) fn id_of(account: &Value) -> String {
    screen::text_of(account, "_id")
}

fn found<'a>(accounts: &'a [Value], named: &str) -> anyhow::Result<&'a Value> {
    if let Some(account) = accounts.iter().find(|account| id_of(account) == named) {
        return Ok(account);
    }
    let by_email = |account: &&Value| screen::text_of(account, "email").eq_ignore_ascii_case(named);
    let several: Vec<&Value> = accounts.iter().filter(by_email).collect();
    match several.as_slice() {
        [account] => Ok(account),
        [] => Err(anyhow!("there is no account {named}")),
        _ => {
            let ids: Vec<String> = several.into_iter().map(id_of).collect();
            Err(anyhow!("{named} has several accounts: name one of {}", ids.join(", ")))
        }
    }
}

fn list(listed: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return screen::json(listed);
    }
    let rows: Vec<Vec<String>> = listed
        .as_array()
        .into_iter()
        .flatten()
        .map(|account| {
            let keys = account.get("keys").and_then(Value::as_array).map_or(0, Vec::len);
            let role = if account.get("admin").and_then(Value::as_bool) == Some(true) { "admin" } else { "" };
            let (id, email) = (screen::text_of(account, "_id"), screen::text_of(account, "email"));
            vec![id, email, role.to_owned(), keys.to_string(), screen::text_of(account, "spamFolderOver")]
        })
        .collect();
    screen::print(&screen::table(&["account", "email", "role", "keys", "spam over"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_before_an_email_and_an_email_that_several_have_names_none() {
        let account = |id: &str, email: &str| json!({ "_id": id, "email": email });
        let accounts = [account("a", "x@y.org"), account("x@y.org", "b@y.org"), account("c", "d@y.org")];
        let id = |named: &str| found(&accounts, named).map(id_of).map_err(|error| error.to_string());
        assert_eq!(id("x@y.org").as_deref(), Ok("x@y.org"));
        assert_eq!(id("D@y.org").as_deref(), Ok("c"));
        assert!(id("e@y.org").unwrap_err().contains("no account"));
        let twins = [account("a", "x@y.org"), account("b", "x@y.org")];
        assert!(found(&twins, "x@y.org").unwrap_err().to_string().contains("a, b"));
    }
}
