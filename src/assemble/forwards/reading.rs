//! How a message's bytes are read for those who are told: by the parser that reads them for the API, and shown with the
//! headers that the API puts on top, so that both say the same.

use bytes::Bytes;
use mailstore::Entry;
use processors::parse::read;
use schemas::event::HeaderField;
use sinks::message::Reader;

pub struct AsTheApi;

impl Reader for AsTheApi {
    fn shown(&self, entry: &Entry, raw: &Bytes) -> Bytes {
        api::http::shown(entry, raw)
    }

    fn headers(&self, raw: &[u8]) -> Vec<HeaderField> {
        read::headers(raw)
    }

    fn text(&self, raw: &[u8]) -> String {
        read::text(raw)
    }

    fn html(&self, raw: &[u8]) -> String {
        read::html(raw).unwrap_or_else(|| read::dirty_html(raw))
    }
}
