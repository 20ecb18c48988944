//! HTML from mail made harmless: a fragment that runs nothing, loads nothing and leads nowhere.

use std::collections::HashSet;
use std::sync::LazyLock;

use ammonia::Builder;

/// Tags of a document that are looked at: the parser's work grows with the square of its depth.
pub const MAX_TAGS: usize = 50_000;
/// Tags inside one another that are looked at.
pub const MAX_DEPTH: usize = 500;

static HARMLESS: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .rm_tags(["a", "area", "img", "map"])
        .clean_content_tags(HashSet::from(["script", "style", "title", "noscript", "template", "iframe", "object"]))
        .generic_attributes(HashSet::from(["dir", "lang", "title"]))
        .tag_attributes(
            [
                ("col", HashSet::from(["align", "span"])),
                ("colgroup", HashSet::from(["align", "span"])),
                ("ol", HashSet::from(["start", "type"])),
                ("table", HashSet::from(["align", "border", "cellpadding", "cellspacing", "summary", "width"])),
                ("td", HashSet::from(["align", "colspan", "headers", "rowspan", "valign", "width"])),
                ("th", HashSet::from(["align", "colspan", "headers", "rowspan", "scope", "valign", "width"])),
                ("tr", HashSet::from(["align", "valign"])),
            ]
            .into(),
        )
        .url_schemes(HashSet::new())
        .link_rel(None)
        .strip_comments(true);
    builder
});

/// The harmless part of a document. One that is nested without sense is shown as its source.
pub fn fragment(html: &str) -> String {
    if is_reasonable(html) {
        return HARMLESS.clean(html).to_string();
    }
    let mut text = String::from("<pre>");
    text.push_str(&ammonia::clean_text(html));
    text.push_str("</pre>");
    text
}

/// Counts tags as a parser would at most open them; what only looks like one counts too.
fn is_reasonable(html: &str) -> bool {
    const VOID: [&str; 8] = ["br", "hr", "img", "input", "meta", "link", "col", "wbr"];
    let (mut tags, mut depth) = (0_usize, 0_usize);
    for start in html.split('<').skip(1) {
        tags += 1;
        let closes = start.starts_with('/');
        let name_end = start.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(start.len());
        let name = start.get(..name_end).unwrap_or_default();
        let opens = !name.is_empty() && !VOID.iter().any(|void| void.eq_ignore_ascii_case(name));
        if closes {
            depth = depth.saturating_sub(1);
        } else if opens {
            depth += 1;
        }
        if tags > MAX_TAGS || depth > MAX_DEPTH {
            return false;
        }
    }
    true
}
