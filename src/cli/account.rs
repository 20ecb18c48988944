//! `postlog account`: who may use the API.

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
    /// Remove an account; what it owns stays closed until an administrator releases it
    Remove { account: String },
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
        Action::Remove { account } => {
            let gone = door.json(Method::DELETE, &format!("/api/admin/accounts/{}", segment(&account)), None).await?;
            screen::answer(&gone, &format!("The account {account} is removed."), as_json)
        }
    }
}

fn list(listed: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return screen::print(&format!("{listed}\n"));
    }
    let rows: Vec<Vec<String>> = listed
        .as_array()
        .into_iter()
        .flatten()
        .map(|account| {
            let keys = account.get("keys").and_then(Value::as_array).map_or(0, Vec::len);
            let role = if account.get("admin").and_then(Value::as_bool) == Some(true) { "admin" } else { "" };
            vec![screen::text_of(account, "_id"), screen::text_of(account, "email"), role.to_owned(), keys.to_string()]
        })
        .collect();
    screen::print(&screen::table(&["account", "email", "role", "keys"], &rows))
}
