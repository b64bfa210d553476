//! Path and query of a request as every host writes them, so that a plugin can know a URL before it
//! is sent. Pure; whether a request may be sent is not decided here.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::plugin::v1::HttpField;

/// What stands in a segment, a query name or a query value as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path of a call, each `{}` replaced by the next segment.
///
/// # Errors
///
/// What is wrong with the segments, for people.
pub fn path(path: &str, segments: &[String]) -> Result<String, String> {
    let mut parts = path.split("{}");
    let mut written = parts.next().unwrap_or_default().to_owned();
    let mut segments = segments.iter();
    for part in parts {
        let segment = segments.next().ok_or("a segment of the path is missing")?;
        if matches!(segment.as_str(), "" | "." | "..") {
            return Err(format!("{segment:?} cannot be a segment of the path"));
        }
        written.push_str(&encode(segment));
        written.push_str(part);
    }
    if segments.next().is_some() {
        return Err("there are more segments than places in the path".to_owned());
    }
    Ok(written)
}

/// The fields of a query in their order, without the question mark; `None` where there are none.
pub fn query(fields: &[HttpField]) -> Option<String> {
    let pair = |HttpField { name, value }: &HttpField| {
        let (name, value) = (encode(name), encode(value));
        format!("{name}={value}")
    };
    let pairs: Vec<_> = fields.iter().map(pair).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

/// The whole address below an endpoint. An empty path is the endpoint's own, with its slash at the
/// end or without.
///
/// # Errors
///
/// As [`path`].
pub fn url(
    endpoint: &str,
    call_path: &str,
    segments: &[String],
    fields: &[HttpField],
) -> Result<String, String> {
    let below = path(call_path, segments)?;
    let base = if below.is_empty() { endpoint } else { endpoint.trim_end_matches('/') };
    let mark = query(fields).map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{base}{below}{mark}"))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::{HttpField, url};

    fn check(path: &str, segments: &[&str], query: &[(&str, &str)], expected: Result<&str, &str>) {
        let segments: Vec<_> = segments.iter().map(|it| (*it).to_owned()).collect();
        let field = |(name, value): &(&str, &str)| HttpField {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        let fields: Vec<_> = query.iter().map(field).collect();
        let written = url("https://a.example/1.0", path, &segments, &fields);
        let written = written.as_deref().map_err(String::as_str);
        assert_eq!(written, expected, "{path} {segments:?} {query:?}");
    }

    #[test]
    fn addresses() {
        check("/auth/time", &[], &[], Ok("https://a.example/1.0/auth/time"));
        check("", &[], &[], Ok("https://a.example/1.0"));
        check("/a/{}/b", &["x/y z"], &[], Ok("https://a.example/1.0/a/x%2Fy%20z/b"));
        check(
            "/a",
            &[],
            &[("q.r", "1&2"), ("-", "ü")],
            Ok("https://a.example/1.0/a?q.r=1%262&-=%C3%BC"),
        );
        check("/a/{}", &["-"], &[], Ok("https://a.example/1.0/a/-"));
        check("/a/{}", &[], &[], Err("a segment of the path is missing"));
        check("/a/{}", &[".."], &[], Err("\"..\" cannot be a segment of the path"));
        check("/a", &["b"], &[], Err("there are more segments than places in the path"));
    }
}
