//! What a request says, read as tolerantly as existing clients need it: path segments, query parameters, and bodies
//! that are JSON whatever their content type says, real forms, or nothing at all.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::Uri;
use axum::http::header::CONTENT_ENCODING;
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::doors::Api;
use super::error::ApiError;
use super::key::{self, Caller, KEY_PARAMETER};

/// Bytes of a JSON or form body.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Members of a form.
pub const MAX_FORM_MEMBERS: usize = 1000;
/// Query parameters that are looked at.
pub const MAX_PARAMETERS: usize = 1000;
/// How long a small body may take to come.
const BODY_LIMIT: Duration = Duration::from_secs(20);

/// The segments of the path that a route leaves open, percent-decoded once; a plus is a plus.
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Api>> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, api).await;
        path.map(|Path(segments)| Self(segments)).map_err(|_| ApiError::invalid("the path can't be read"))
    }
}

/// The first value of a query parameter.
pub fn query_value(uri: &Uri, name: &str) -> Option<String> {
    parameters(uri).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Every value of a query parameter.
pub fn query_values(uri: &Uri, name: &str) -> Vec<String> {
    parameters(uri).filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
}

fn parameters(uri: &Uri) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).take(MAX_PARAMETERS)
}

/// A query parameter that is a switch: `1`, `true` or nothing behind it turns it on.
pub fn query_switch(uri: &Uri, name: &str) -> bool {
    query_value(uri, name).is_some_and(|value| matches!(value.as_str(), "" | "1" | "true" | "yes"))
}

/// A request with a small body: who asks, and the members of the body.
pub struct Asked {
    pub caller: Caller,
    pub members: Members,
}

impl FromRequest<Arc<Api>> for Asked {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let by_head = match key::key_of(&parts) {
            Some(key) => Some(key::caller(api, &key).await?),
            None => None,
        };
        let members = Members::read(&parts, body).await;
        let caller = match by_head {
            Some(caller) => caller,
            // Who shows no key is told nothing about the body.
            None => {
                let members = members.as_ref().map_err(|_| ApiError::NotAuthorized)?;
                let Some(Value::String(key)) = members.0.get(KEY_PARAMETER) else {
                    return Err(ApiError::NotAuthorized);
                };
                key::caller(api, key).await?
            }
        };
        Ok(Self { caller, members: members? })
    }
}

/// The members of a body, as far as they were sent.
#[derive(Debug, Default)]
pub struct Members(Map<String, Value>);

impl Members {
    async fn read(parts: &Parts, body: Body) -> Result<Self, ApiError> {
        let bytes = read_body(parts, body, MAX_BODY_BYTES, BODY_LIMIT).await?;
        Self::parse(&bytes)
    }

    /// A body is JSON when it looks like JSON: curl sends it as a form. serde_json stops at a depth of 128.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let text = bytes.trim_ascii();
        if text.is_empty() {
            return Ok(Self::default());
        }
        if matches!(text.first(), Some(b'{' | b'[' | b'"')) {
            let members = serde_json::from_slice::<Map<String, Value>>(text);
            return members
                .map(Self)
                .map_err(|error| ApiError::invalid(format!("the body is no JSON object: {error}")));
        }
        if !text.contains(&b'=') {
            return Err(ApiError::invalid("the body is neither a JSON object nor a form"));
        }
        let mut members = Map::new();
        for (name, value) in form_urlencoded::parse(text) {
            if members.len() >= MAX_FORM_MEMBERS {
                return Err(ApiError::invalid(format!("the form has more than {MAX_FORM_MEMBERS} members")));
            }
            members.insert(name.into_owned(), Value::String(value.into_owned()));
        }
        Ok(Self(members))
    }

    /// A text: `None` when it was not sent, empty when it was null.
    pub fn text(&self, name: &str, most_bytes: usize) -> Result<Option<String>, ApiError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(String::new())),
            Some(Value::String(text)) if text.len() <= most_bytes => Ok(Some(text.trim().to_owned())),
            Some(Value::String(_)) => Err(ApiError::invalid(format!("{name} is longer than {most_bytes} bytes"))),
            Some(_) => Err(ApiError::invalid(format!("{name} is not a text"))),
        }
    }

    /// A text that has to be there.
    pub fn required_text(&self, name: &str, most_bytes: usize) -> Result<String, ApiError> {
        let text = self.text(name, most_bytes)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| ApiError::invalid(format!("{name} is missing")))
    }

    /// A switch: `None` when it was not sent, off when it was null. Forms write it as text.
    pub fn switch(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(false)),
            Some(Value::Bool(on)) => Ok(Some(*on)),
            Some(Value::String(text)) if matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "on" | "yes") => {
                Ok(Some(true))
            }
            Some(Value::String(text))
                if matches!(text.to_ascii_lowercase().as_str(), "false" | "0" | "off" | "no" | "") =>
            {
                Ok(Some(false))
            }
            Some(Value::Number(number)) if matches!(number.as_i64(), Some(0 | 1)) => {
                Ok(number.as_i64().map(|n| n == 1))
            }
            Some(_) => Err(ApiError::invalid(format!("{name} is neither true nor false"))),
        }
    }

    /// A number: `None` when it was not sent, `Some(None)` when it was null. Forms write it as text.
    pub fn number(&self, name: &str) -> Result<Option<Option<f64>>, ApiError> {
        let none = || ApiError::invalid(format!("{name} is not a number"));
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(Value::Number(number)) => number.as_f64().map(|number| Some(Some(number))).ok_or_else(none),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(Some(None)),
            Some(Value::String(text)) => text
                .trim()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .map(|n| Some(Some(n)))
                .ok_or_else(none),
            Some(_) => Err(none()),
        }
    }

    /// A list of texts that has to be there.
    pub fn required_texts(&self, name: &str, most: usize) -> Result<Vec<String>, ApiError> {
        let Some(Value::Array(values)) = self.0.get(name) else {
            return Err(ApiError::invalid(format!("{name} is not a list")));
        };
        if values.is_empty() || values.len() > most {
            return Err(ApiError::invalid(format!("{name} must have 1 to {most} members")));
        }
        let texts: Option<Vec<String>> = values.iter().map(|value| value.as_str().map(str::to_owned)).collect();
        texts.ok_or_else(|| ApiError::invalid(format!("{name} must hold texts only")))
    }
}

/// The whole body, if it is not over the limit and comes in time. Nothing is decompressed.
pub async fn read_body(parts: &Parts, body: Body, most_bytes: usize, within: Duration) -> Result<Bytes, ApiError> {
    if parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::UnsupportedEncoding);
    }
    let collected = tokio::time::timeout(within, Limited::new(body, most_bytes).collect()).await;
    match collected.map_err(|_| ApiError::TooSlow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge { limit_bytes: most_bytes }),
        Err(_) => Err(ApiError::invalid("the body did not come whole")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members {
        Members::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn json_forms_and_nothing_are_read() {
        let json = members(r#" {"enablews": true, "info": "a=b", "webhook": null} "#);
        assert_eq!(json.switch("enablews").unwrap(), Some(true));
        assert_eq!(json.text("info", 10).unwrap().as_deref(), Some("a=b"));
        assert_eq!(json.text("webhook", 10).unwrap().as_deref(), Some(""));
        assert_eq!(json.text("forward", 10).unwrap(), None);
        let form = members("enablews=True&info=two+words%21");
        assert_eq!(form.switch("enablews").unwrap(), Some(true));
        assert_eq!(form.text("info", 20).unwrap().as_deref(), Some("two words!"));
        assert!(members("").0.is_empty() && members(" \r\n").0.is_empty());
    }

    #[test]
    fn a_body_of_another_kind_is_refused() {
        for text in
            ["[1]", "\"x\"", "{\"a\":", "{} x", "nothing", &"[".repeat(1000), &format!("{{\"a\":{}", "[".repeat(500))]
        {
            assert!(matches!(Members::parse(text.as_bytes()), Err(ApiError::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn a_member_of_another_kind_is_refused() {
        let json = members(r#"{"enablews": "perhaps", "info": 7, "list": [1]}"#);
        assert!(json.switch("enablews").is_err());
        assert!(json.text("info", 10).is_err());
        assert!(json.number("enablews").is_err() && json.number("list").is_err());
        assert_eq!(json.number("info").unwrap(), Some(Some(7.0)));
        assert!(json.required_texts("list", 10).is_err());
        assert!(json.required_texts("none", 10).is_err());
        assert!(json.required_text("none", 10).is_err());
    }

    #[test]
    fn limits_hold_at_their_number_and_not_one_past_it() {
        let json = members(r#"{"info": "12345", "list": ["a", "b"]}"#);
        assert!(json.text("info", 5).is_ok() && json.text("info", 4).is_err());
        assert!(json.required_texts("list", 2).is_ok() && json.required_texts("list", 1).is_err());
        let form = |count: usize| (0..count).map(|n| format!("m{n}=1&")).collect::<String>();
        assert!(Members::parse(form(MAX_FORM_MEMBERS).as_bytes()).is_ok());
        assert!(Members::parse(form(MAX_FORM_MEMBERS + 1).as_bytes()).is_err());
    }

    #[test]
    fn query_parameters_are_decoded() {
        let uri: Uri = "/x?a=1%2B1&b=x+y&download&a=2".parse().unwrap();
        assert_eq!(query_value(&uri, "a").as_deref(), Some("1+1"));
        assert_eq!(query_values(&uri, "a"), ["1+1", "2"]);
        assert_eq!(query_value(&uri, "b").as_deref(), Some("x y"));
        assert!(query_switch(&uri, "download") && !query_switch(&uri, "c"));
    }
}
