//! `postlog address`: inboxes that are somebody's.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::{Place, screen};

#[derive(Debug, Args)]
pub struct Address {
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
    /// List the addresses of the caller's account
    List,
    /// Reserve an address, so that only its owner reads its mail
    Reserve {
        address: String,
        /// A note about it
        #[arg(long)]
        info: Option<String>,
    },
    /// Give an address up; its mail stays, and is public again
    Release { address: String },
    /// Show what is known of an address
    Show { address: String },
}

impl Address {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let Self { reach, json, action } = self;
        Door::visit(place, &reach, async |door| act(door, action, json).await).await
    }
}

async fn act(door: &Door, action: Action, as_json: bool) -> Result<(), Failure> {
    let path = |address: &str| format!("/api/addresses/{}", segment(address));
    match action {
        Action::List => list(&door.json(Method::GET, "/api/addresses", None).await?, as_json),
        Action::Reserve { address, info } => {
            let body = info.map_or_else(|| json!({}), |info| json!({ "info": info }));
            let reserved = door.json(Method::POST, &path(&address), Some(&body)).await?;
            let other = screen::text_of(&reserved, "encryptedInbox");
            screen::answer(
                &reserved,
                &format!("{} is reserved. It can be written to as {other} as well.", kept(&reserved, &address)),
                as_json,
            )
        }
        Action::Release { address } => {
            let released = door.json(Method::DELETE, &path(&address), None).await?;
            screen::answer(&released, &format!("{} is released.", kept(&released, &address)), as_json)
        }
        Action::Show { address } => show(&door.json(Method::GET, &path(&address), None).await?, as_json),
    }
}

/// The address as it is kept: without a tag, in lower case, whatever was asked for.
fn kept(object: &Value, asked: &str) -> String {
    let kept = screen::text_of(object, "_id");
    if kept.is_empty() { asked.to_owned() } else { kept }
}

fn list(listed: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return screen::json(listed);
    }
    let text = screen::text_of;
    let rows: Vec<Vec<String>> = listed
        .as_array()
        .into_iter()
        .flatten()
        .map(|address| {
            vec![text(address, "_id"), text(address, "owner"), text(address, "created"), text(address, "info")]
        })
        .collect();
    screen::print(&screen::table(&["address", "owner", "created", "info"], &rows))
}

fn show(address: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return screen::json(address);
    }
    let rows: Vec<Vec<String>> = address
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null() && value.as_str() != Some(""))
        .map(|(name, _)| vec![name.trim_start_matches('_').to_owned(), screen::text_of(address, name)])
        .collect();
    screen::print(&screen::table(&["what", "value"], &rows))
}
