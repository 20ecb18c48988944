//! `postlog key`: the API keys of an account. A key is shown when it is made, and never again.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::{Place, account, screen};

#[derive(Debug, Args)]
pub struct Key {
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
    /// List the keys of an account
    List {
        #[arg(value_name = "ID_OR_EMAIL")]
        account: String,
    },
    /// Make a key
    Add {
        #[arg(value_name = "ID_OR_EMAIL")]
        account: String,
        /// What it is for
        #[arg(long)]
        name: Option<String>,
    },
    /// Revoke a key, named by its SHA-256, or by its name where only one has it
    Revoke {
        #[arg(value_name = "ID_OR_EMAIL")]
        account: String,
        #[arg(value_name = "NAME_OR_SHA256")]
        named: String,
    },
}

impl Key {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let Self { reach, json, action } = self;
        Door::visit(place, &reach, async |door| act(door, action, json).await).await
    }
}

async fn act(door: &Door, action: Action, as_json: bool) -> Result<(), Failure> {
    let path = |account: &str| format!("/api/admin/accounts/{}/keys", segment(account));
    match action {
        Action::List { account } => {
            let found = account::find(door, &account).await?;
            list(found.get("keys").unwrap_or(&Value::Null), as_json)
        }
        Action::Add { account, name } => {
            let body = name.map_or_else(|| json!({}), |name| json!({ "name": name }));
            let account = account::id_of(&account::find(door, &account).await?);
            let made = door.json(Method::POST, &path(&account), Some(&body)).await?;
            let key = screen::text_of(&made, "key");
            screen::answer(&made, &format!("The key, shown this once: {key}"), as_json)
        }
        Action::Revoke { account, named } => {
            let account = account::id_of(&account::find(door, &account).await?);
            let gone = door.json(Method::DELETE, &format!("{}/{}", path(&account), segment(&named)), None).await?;
            screen::answer(&gone, &format!("The key {named} of {account} is revoked."), as_json)
        }
    }
}

fn list(keys: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return screen::json(keys);
    }
    let rows: Vec<Vec<String>> = keys
        .as_array()
        .into_iter()
        .flatten()
        .map(|key| vec![screen::text_of(key, "name"), screen::text_of(key, "sha256")])
        .collect();
    screen::print(&screen::table(&["name", "sha256"], &rows))
}
