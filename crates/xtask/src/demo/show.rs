//! Writes answers for people: what fits stands on one line, what is long and says little here is
//! left out, visibly. It must not change a value that it shows.

use serde_json::{Map, Value};

/// The widest line, where a value can be broken.
const WIDTH: usize = 100;

/// Left out: what plugins say at length, and what is the same in every answer of the demo. Whoever
/// calls with grpcurl sees it.
const LEFT_OUT: [&str; 6] =
    ["attributes", "calls", "configurationSchema", "notices", "optionsSchema", "pluginSha256"];

/// What says most comes first; the rest follows by the alphabet.
const FIRST: [&str; 7] = ["parent", "name", "displayName", "method", "state", "done", "quantity"];

/// The value over as few lines as are readable.
pub(crate) fn compact(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0, 0);
    text
}

/// A request as it is typed behind `-d`.
pub(crate) fn typed(request: &Value) -> String {
    let mut text = String::new();
    write(&mut text, request, 2, "$ grpcurl -plaintext -d ''".len());
    text
}

/// Appends a value. `indent` is where its lines begin, `used` what its first line holds already.
fn write(text: &mut String, value: &Value, indent: usize, used: usize) {
    let line = inline(value);
    if used + line.len() <= WIDTH {
        text.push_str(&line);
        return;
    }
    let (open, close) = if value.is_array() { ('[', ']') } else { ('{', '}') };
    let entries: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().map(|item| (String::new(), item)).collect(),
        Value::Object(fields) => {
            ordered(fields).into_iter().map(|(key, value)| (format!("{key:?}: "), value)).collect()
        }
        _ => return text.push_str(&line),
    };
    let inner = indent + 2;
    text.push(open);
    for (number, (key, value)) in entries.iter().enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str(&" ".repeat(inner));
        text.push_str(key);
        match left_out(key, value) {
            Some(mark) => text.push_str(mark),
            None => write(text, value, inner, inner + key.len() + 1),
        }
    }
    text.push('\n');
    text.push_str(&" ".repeat(indent));
    text.push(close);
}

/// The value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields = ordered(fields).into_iter().map(|(key, value)| {
                let key = format!("{key:?}: ");
                let value = left_out(&key, value).map_or_else(|| inline(value), str::to_owned);
                key + &value
            });
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn ordered(fields: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut fields: Vec<(&str, &Value)> =
        fields.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let rank = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    fields.sort_by_key(|(key, _)| (rank(key), *key));
    fields
}

/// What stands in place of a value that is left out. `key` is as it is written: `"notices": `.
fn left_out(key: &str, value: &Value) -> Option<&'static str> {
    let key = key.trim_end_matches(": ").trim_matches('"');
    LEFT_OUT.contains(&key).then_some(match value {
        Value::Array(_) => "[...]",
        Value::Object(_) => "{...}",
        _ => "...",
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_stands_on_one_line_and_the_rest_is_broken() {
        let check = |value: &Value, expected: &str| assert_eq!(compact(value), expected);
        check(&json!({}), "{}");
        check(
            &json!({ "b": 1, "name": "x", "a": [true] }),
            r#"{ "name": "x", "a": [true], "b": 1 }"#,
        );
        check(
            &json!({ "attributes": { "long": 1 }, "notices": [1] }),
            r#"{ "attributes": {...}, "notices": [...] }"#,
        );
        let (long, short) = ("l".repeat(80), "s".repeat(20));
        let broken = format!("{{\n  \"long\": \"{long}\",\n  \"short\": [\"{short}\"]\n}}");
        check(&json!({ "short": [short], "long": long }), &broken);
    }
}
