use super::*;

#[test]
fn what_is_harmless_stays() {
    for (html, shown) in [
        ("<p>a <b>b</b> &amp; 1 < 2</p>", "<p>a <b>b</b> &amp; 1 &lt; 2</p>"),
        (
            "<TABLE Width='5'><TR><TD colspan=2>x</TABLE>",
            "<table width=\"5\"><tbody><tr><td colspan=\"2\">x</td></tr></tbody></table>",
        ),
        ("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
        ("<a href=\"https://y.org\">word</a>", "word"),
        ("<title>t</title><style>s</style>x<!-- c -->y", "xy"),
        ("<html><head><meta charset=x></head><body bgcolor=red>é</body></html>", "é"),
        ("a<br/>b", "a<br>b"),
        ("<p title=\"a>b\">c</p>", "<p title=\"a&gt;b\">c</p>"),
        ("<p>a<p>b<div>c</p>d", "<p>a</p><p>b</p><div>cd</div>"),
        ("<b>a<i>b</b>c</i>d", "<b>a<i>b</i></b>cd"),
        (
            "<b><table><tr><td>x</b>y</td></tr></table></b>z",
            "<b><table><tbody><tr><td>xy</td></tr></tbody></table></b>z",
        ),
        (
            "<table><tr><td>a<td>b<tr><td>c</table>d",
            "<table><tbody><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></tbody></table>d",
        ),
    ] {
        assert_eq!(fragment(html), shown, "{html}");
    }
}

#[test]
fn text_stays_whole_where_tags_are_over_the_limit() {
    let deep = format!("{}inside", "<div>".repeat(MAX_DEPTH + 10));
    let shown = fragment(&deep);
    assert_eq!(shown.matches("<div>").count(), MAX_DEPTH);
    assert!(shown.contains("inside"));
    let many = "<p>x".repeat(MAX_NODES + 10);
    let shown = fragment(&many);
    assert_eq!(shown.matches("<p>").count(), MAX_NODES);
    assert_eq!(shown.matches('x').count(), MAX_NODES + 10);
    let many = "<br>x".repeat(MAX_NODES + 10);
    assert_eq!(fragment(&many).matches("<br>").count(), MAX_NODES);
}

#[test]
fn eight_mebibytes_are_shown_and_not_a_byte_more() {
    for (bytes, shown) in [(MAX_HTML_BYTES, MAX_HTML_BYTES), (MAX_HTML_BYTES + 1, MAX_HTML_BYTES)] {
        assert_eq!(fragment(&"x".repeat(bytes)).len(), shown);
    }
}

#[test]
fn hostile_html_costs_bounded_work() {
    let attributes: String = (0..50_000).map(|n| format!(" a{n}")).collect();
    let formatting: String = (0..1000).map(|n| format!("<b id={n}><i id={n}><u id={n}>")).collect();
    let tables = "<b><table><tr><td></b></td></tr></table>".repeat(5000);
    for html in [
        format!("<p{attributes}>x"),
        format!("{formatting}{}", "<p>x</p>".repeat(30_000)),
        format!("{tables}{}", "<p>x</p>".repeat(30_000)),
        "<table>".repeat(30_000),
        "<table><tr><td>x".repeat(20_000),
        "<b></i>".repeat(30_000),
        "<!--".repeat(100_000),
        "<a ".repeat(100_000),
        "<p title=\"".repeat(100_000),
    ] {
        let started = std::time::Instant::now();
        let shown = fragment(&html);
        let (took, start) = (started.elapsed(), html.get(..30).unwrap_or_default());
        assert!(shown.matches('<').count() <= 4 * MAX_NODES, "{start}");
        assert!(took.as_secs() < 10, "{start}: {took:?}");
    }
}
