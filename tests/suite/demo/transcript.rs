//! What README.md says was typed and answered, and how an answer of another run is compared with it.
//! It must not run anything.

use std::cell::Cell;
use std::collections::BTreeMap;

/// A call and its answer, as they stand in a ```` ```console ```` block.
#[derive(Debug)]
pub(super) struct Call {
    /// What stands behind `grpcurl`.
    pub(super) arguments: Vec<String>,
    /// The answer's lines.
    answer: Vec<String>,
    /// The line of the call in the file.
    line: usize,
}

/// A member whose value differs from run to run.
struct Varies {
    key: &'static str,
    /// Whether two values have the same shape.
    alike: fn(&str, &str) -> bool,
    /// Whether one value of README.md has to be one value of the run, wherever it stands.
    bound: bool,
}

/// All that may differ. What is not here has to be equal.
const VARIES: [Varies; 12] = [
    Varies { key: "createTime", alike: times, bound: false },
    Varies { key: "updateTime", alike: times, bound: false },
    Varies { key: "sendTime", alike: times, bound: false },
    Varies { key: "startBefore", alike: times, bound: false },
    Varies { key: "expireTime", alike: times, bound: true },
    Varies { key: "expectedExpireTime", alike: times, bound: true },
    Varies { key: "newExpireTime", alike: times, bound: true },
    Varies { key: "etag", alike: etags, bound: false },
    Varies { key: "revision", alike: etags, bound: false },
    Varies { key: "sha256", alike: checksums, bound: true },
    Varies { key: "pluginSha256", alike: checksums, bound: true },
    Varies { key: "endpoint", alike: loopback, bound: true },
];

/// A line of `...` stands for one or more lines that README.md leaves out.
const LEFT_OUT: &str = "...";

/// The values of README.md that were met, and what they are in this run.
#[derive(Debug, Default)]
pub(super) struct Bound(BTreeMap<String, String>);

impl Bound {
    /// The text with this run's values in place of README.md's.
    pub(super) fn carry(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    }

    fn bind(&mut self, theirs: &str, ours: &str) -> Result<(), String> {
        let known = self.0.entry(theirs.to_owned()).or_insert_with(|| ours.to_owned());
        let known = known.clone();
        let others = self.0.iter().filter(|(_, value)| *value == ours).count();
        if known == ours && others == 1 {
            return Ok(());
        }
        Err(format!("{theirs} is {known} elsewhere and {ours} here, or {ours} is two things"))
    }
}

/// Every call of every ```` ```console ```` block.
///
/// # Errors
/// A block that is not of that kind, in words.
pub(super) fn calls(text: &str) -> Result<Vec<Call>, String> {
    let mut calls: Vec<Call> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((opened, line)) = lines.next() {
        if line != "```console" {
            continue;
        }
        let mut call: Option<Call> = None;
        loop {
            let (number, line) =
                lines.next().ok_or(format!("the block of line {} is not closed", opened + 1))?;
            if line == "```" {
                break;
            }
            if let Some(typed) = line.strip_prefix("$ ") {
                calls.extend(call.take());
                let mut typed = typed.to_owned();
                while let Some(more) = unfinished(&typed) {
                    let (_, line) = lines
                        .next()
                        .ok_or(format!("the call of line {} ends nowhere", number + 1))?;
                    typed = more + line;
                }
                call = Some(Call {
                    arguments: arguments(&typed).ok_or(format!("line {}: {typed}", number + 1))?,
                    answer: Vec::new(),
                    line: number + 1,
                });
            } else {
                let call = call.as_mut().ok_or(format!("line {}: answers nothing", number + 1))?;
                call.answer.push(line.trim().to_owned());
            }
        }
        calls.extend(call);
    }
    if calls.is_empty() { Err("there is no console block".to_owned()) } else { Ok(calls) }
}

/// The start of a call that goes on on the next line: inside of a quote, or after a backslash.
fn unfinished(typed: &str) -> Option<String> {
    if typed.matches('\'').count() % 2 == 1 {
        return Some(format!("{typed}\n"));
    }
    typed.strip_suffix('\\').map(str::to_owned)
}

/// The words behind `grpcurl`, or `None` when it is another program.
fn arguments(typed: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for (number, part) in typed.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    (words.first()? == "grpcurl").then(|| words.split_off(1))
}

/// Compares an answer with the one in README.md, and notes the values that have to stay the same.
///
/// # Errors
/// Where they part.
pub(super) fn compare(call: &Call, said: &str, bound: &mut Bound) -> Result<(), String> {
    let actual: Vec<&str> = said.trim_end().lines().map(str::trim).collect();
    let expected: Vec<&str> = call.answer.iter().map(String::as_str).collect();
    let furthest = Cell::new(0);
    let Some(pairs) = align(&expected, &actual, 0, &furthest) else {
        let line = expected.get(furthest.get()).unwrap_or(&"the end");
        return Err(format!(
            "README.md, the call of line {}: the answer parts from what stands there at {line:?}:\n{said}",
            call.line
        ));
    };
    for (theirs, ours) in pairs {
        bound.bind(&theirs, &ours).map_err(|error| {
            format!("README.md, the call of line {}: {error}\n{said}", call.line)
        })?;
    }
    Ok(())
}

/// Lays the lines beside each other. Tells the values to bind, or notes how far it came.
fn align(
    expected: &[&str],
    actual: &[&str],
    at: usize,
    furthest: &Cell<usize>,
) -> Option<Vec<(String, String)>> {
    furthest.set(furthest.get().max(at));
    let Some((line, rest)) = expected.split_first() else {
        return actual.is_empty().then(Vec::new);
    };
    if *line == LEFT_OUT {
        return (1..=actual.len()).find_map(|skip| align(rest, &actual[skip..], at + 1, furthest));
    }
    let (first, others) = actual.split_first()?;
    let pair = alike(line, first)?;
    let mut pairs = align(rest, others, at + 1, furthest)?;
    pairs.extend(pair);
    Some(pairs)
}

/// Whether two lines say the same. `Some(Some(_))`: when these two values are one.
fn alike(theirs: &str, ours: &str) -> Option<Option<(String, String)>> {
    let values = member(theirs).zip(member(ours));
    let varies = values.and_then(|((key, _), (other, _))| {
        VARIES.iter().find(|varies| varies.key == key && key == other)
    });
    match (varies, values) {
        (Some(varies), Some(((_, theirs), (_, ours)))) => (varies.alike)(theirs, ours)
            .then(|| varies.bound.then(|| (theirs.to_owned(), ours.to_owned()))),
        _ => (theirs == ours).then_some(None),
    }
}

/// Key and value of a line `"key": "value",`. Lines with and without a comma differ: the key holds it.
fn member(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.trim_end_matches(',').strip_prefix('"')?.split_once("\": \"")?;
    Some((key, value.strip_suffix('"')?))
}

fn times(theirs: &str, ours: &str) -> bool {
    [theirs, ours].iter().all(|it| it.parse::<jiff::Timestamp>().is_ok())
}

/// The etag of an operation is its version, all others are sixteen letters.
fn etags(theirs: &str, ours: &str) -> bool {
    let version = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    let hash = |it: &str| {
        it.len() == 16
            && it.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    [version as fn(&str) -> bool, hash].iter().any(|shape| shape(theirs) && shape(ours))
}

fn checksums(theirs: &str, ours: &str) -> bool {
    [theirs, ours].iter().all(|it| it.len() == 64 && it.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn loopback(theirs: &str, ours: &str) -> bool {
    let port =
        |it: &str| it.strip_prefix("http://127.0.0.1:").and_then(|it| it.parse::<u16>().ok());
    port(theirs).is_some() && port(ours).is_some()
}
