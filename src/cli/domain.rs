//! `postlog domain`: which domains are somebody's, and where mail for them goes that has no inbox of its own.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::door::{Door, Reach, segment};
use super::failure::Failure;
use super::{Place, screen};

#[derive(Debug, Args)]
pub struct Domain {
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
    /// List the domains and their catch-alls
    List,
    /// Add a domain, or change whether it is private
    Add {
        domain: String,
        /// Everybody may read inboxes of the domain that nobody has reserved
        #[arg(long)]
        public: bool,
        /// The account that owns it [default: the caller's]
        #[arg(long, value_name = "ACCOUNT")]
        owner: Option<String>,
    },
    /// Remove a domain and its catch-all
    Remove { domain: String },
    /// Save mail for every address of the domain in one inbox
    CatchAll {
        domain: String,
        /// The inbox [default: *@DOMAIN]
        #[arg(long, value_name = "ADDRESS", conflicts_with = "off")]
        inbox: Option<String>,
        /// Remove the catch-all
        #[arg(long)]
        off: bool,
    },
}

impl Domain {
    pub async fn run(self, place: &Place) -> Result<(), Failure> {
        let Self { reach, json, action } = self;
        Door::visit(place, &reach, async |door| act(door, action, json).await).await
    }
}

async fn act(door: &Door, action: Action, as_json: bool) -> Result<(), Failure> {
    let path = |domain: &str| format!("/api/admin/domains/{}", segment(domain));
    let (answer, done) = match action {
        Action::List => {
            let listed = door.json(Method::GET, "/api/admin/domains", None).await?;
            return list(&listed, as_json);
        }
        Action::Add { domain, public, owner } => {
            let mut body = json!({ "private": !public });
            if let (Some(owner), Some(members)) = (owner, body.as_object_mut()) {
                members.insert("owner".to_owned(), Value::String(owner));
            }
            let set = door.json(Method::PUT, &path(&domain), Some(&body)).await?;
            (set, format!("{domain} is added."))
        }
        Action::Remove { domain } => {
            (door.json(Method::DELETE, &path(&domain), None).await?, format!("{domain} is removed."))
        }
        Action::CatchAll { domain, off: true, .. } => {
            let gone = door.json(Method::DELETE, &format!("{}/catch-all", path(&domain)), None).await?;
            (gone, format!("{domain} has no catch-all any more."))
        }
        Action::CatchAll { domain, inbox, .. } => {
            let body = inbox.as_ref().map_or_else(|| json!({}), |inbox| json!({ "inbox": inbox }));
            let set = door.json(Method::PUT, &format!("{}/catch-all", path(&domain)), Some(&body)).await?;
            let inbox = inbox.unwrap_or_else(|| format!("*@{domain}"));
            (set, format!("Mail for {domain} without an inbox of its own is saved to {inbox}."))
        }
    };
    screen::answer(&answer, &done, as_json)
}

fn list(listed: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return screen::json(listed);
    }
    let rows: Vec<Vec<String>> = listed
        .as_array()
        .into_iter()
        .flatten()
        .map(|domain| {
            let private =
                if domain.get("isPrivate").and_then(Value::as_bool) == Some(false) { "public" } else { "private" };
            let text = |name: &str| screen::text_of(domain, name);
            vec![text("_id"), text("owner"), private.to_owned(), text("catchAllInbox")]
        })
        .collect();
    screen::print(&screen::table(&["domain", "owner", "access", "catch-all"], &rows))
}
