//! Pages of a list: `page` and `per_page` in, `Total`, `Per-Page` and `Link` out.

use http::StatusCode;
use serde_json::Value;

use super::answer::Answer;

/// Rows of a page where the caller names no number.
const DEFAULT: usize = 30;

/// The rows of the page that a query asks for, under the list's root key. A page past the end is
/// empty.
pub(super) fn page(rows: Vec<Value>, root: &str, query: &str, path: &str) -> Answer {
    let asked = |name| {
        let number = field(query, name)?.parse::<i64>().ok()?;
        usize::try_from(number).ok().filter(|number| *number > 0)
    };
    let (page, size, total) =
        (asked("page").unwrap_or(1), asked("per_page").unwrap_or(DEFAULT), rows.len());
    let last = total.div_ceil(size).max(1);
    let rows: Vec<Value> =
        rows.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect();
    let mut body = serde_json::Map::new();
    body.insert(root.to_owned(), Value::Array(rows));
    let answer = Answer::json(StatusCode::OK, Value::Object(body));
    let answer = answer.header("total", total).header("per-page", size);
    let link = |to: usize, rel: &str| format!("<{path}?page={to}&per_page={size}>; rel=\"{rel}\"");
    let mut links = Vec::new();
    if page > 1 && last > 1 {
        links.extend([link(1, "first"), link(page - 1, "prev")]);
    }
    if page < last {
        links.extend([link(last, "last"), link(page + 1, "next")]);
    }
    if links.is_empty() { answer } else { answer.header("link", links.join(", ")) }
}

/// The first field of a query of that name, as it came.
fn field<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}
