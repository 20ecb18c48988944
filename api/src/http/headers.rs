//! The header of a message, ours on top, in the shapes that existing clients ask for.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use processors::parse::read;
use schemas::event::HeaderField;
use serde::{Serialize, Serializer};

use super::answer::{self, TEXT, as_download, untrusted};
use super::doors::Api;
use super::error::ApiError;
use super::key::Caller;
use super::present;
use super::reading::{Read, parsed};
use super::request::{At, query_value};

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/addresses/{email}/messages/{id}/headers", get(headers))
        .route("/headers/{email}/{id}", get(legacy))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    JsonOrdered,
    Plain,
}

impl Format {
    fn read(uri: &Uri) -> Result<Self, ApiError> {
        let asked = query_value(uri, "messageHeadersFormat").or_else(|| query_value(uri, "format"));
        match asked.as_deref() {
            None | Some("" | "json") => Ok(Self::Json),
            Some("json-ordered") => Ok(Self::JsonOrdered),
            Some("plain") => Ok(Self::Plain),
            Some(_) => Err(ApiError::invalid("messageHeadersFormat is not one of json, json-ordered, plain")),
        }
    }
}

async fn headers(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id)): At<(String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let format = Format::read(&uri)?;
    let message = Read::new(&api, &caller, &email, &id, &uri).await?;
    let header = present::header(&message.entry, &message.raw);
    if format == Format::Plain {
        let plain = parsed(&api, header, |raw| read::header_block(raw).into_owned()).await?;
        return Ok(as_download(untrusted(TEXT, plain), message.download, &message.file_name("txt")));
    }
    let fields = lower_case(parsed(&api, header, read::headers).await?);
    let response = match format {
        Format::JsonOrdered => answer::json(&fields),
        Format::Json | Format::Plain => answer::json(&Grouped { fields: &fields, single_as_text: false }),
    };
    Ok(as_download(response, message.download, &message.file_name("json")))
}

async fn legacy(
    caller: Caller,
    State(api): State<Arc<Api>>,
    At((email, id)): At<(String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let message = Read::new(&api, &caller, &email, &id, &uri).await?;
    let header = present::header(&message.entry, &message.raw);
    let fields = lower_case(parsed(&api, header, read::headers).await?);
    let response = answer::json(&Grouped { fields: &fields, single_as_text: true });
    Ok(as_download(response, message.download, &message.file_name("json")))
}

pub fn lower_case(mut fields: Vec<HeaderField>) -> Vec<HeaderField> {
    fields.iter_mut().for_each(|field| field.name.make_ascii_lowercase());
    fields
}

/// An object: each name once, where it first stood, with all its values.
pub struct Grouped<'a> {
    pub fields: &'a [HeaderField],
    /// The legacy shape: a list only where a name repeats.
    pub single_as_text: bool,
}

impl Serialize for Grouped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut order: Vec<&str> = Vec::new();
        let mut values: std::collections::HashMap<&str, Vec<&str>> = std::collections::HashMap::new();
        for field in self.fields {
            let known = values.entry(&field.name).or_insert_with(|| {
                order.push(&field.name);
                Vec::new()
            });
            known.push(&field.value);
        }
        serializer.collect_map(order.iter().filter_map(|name| {
            let values = values.get(name)?;
            Some((name, Values { values, single_as_text: self.single_as_text }))
        }))
    }
}

struct Values<'a> {
    values: &'a [&'a str],
    single_as_text: bool,
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.values {
            [single] if self.single_as_text => serializer.serialize_str(single),
            all => serializer.collect_seq(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<HeaderField> {
        let field = |name: &str, value: &str| HeaderField { name: name.to_owned(), value: value.to_owned() };
        lower_case(vec![field("Received", "a"), field("Subject", "s"), field("received", "b")])
    }

    #[test]
    fn names_are_grouped_where_they_first_stand() {
        let json = |single_as_text| serde_json::to_string(&Grouped { fields: &fields(), single_as_text }).unwrap();
        assert_eq!(json(false), r#"{"received":["a","b"],"subject":["s"]}"#);
        assert_eq!(json(true), r#"{"received":["a","b"],"subject":"s"}"#);
    }

    #[test]
    fn both_names_of_the_format_are_known_and_other_formats_refused() {
        let format = |query: &str| Format::read(&format!("/x?{query}").parse().unwrap()).ok();
        assert_eq!(format(""), Some(Format::Json));
        assert_eq!(format("messageHeadersFormat=plain"), Some(Format::Plain));
        assert_eq!(format("format=json-ordered"), Some(Format::JsonOrdered));
        assert_eq!(format("format=xml"), None);
    }
}
