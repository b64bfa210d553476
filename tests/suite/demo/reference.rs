//! The table of the configuration in README.md, and the keys that the sources of the configuration
//! ask for. It must not know a key.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use purveyor::config::{Environment, load_with};

/// The methods that ask for a key, as they stand in the sources.
const ASKS: [&str; 13] = [
    "days",
    "entries",
    "milliseconds",
    "optional",
    "optional_section",
    "or",
    "required",
    "seconds",
    "section",
    "size",
    "text_or_texts",
    "texts",
    "time",
];

/// The method that asks for a number, apart because its name is a word of its own.
const WITHIN: &str = "within";

/// A row of the table.
pub(super) struct Row<'a> {
    key: &'a str,
    default: &'a str,
}

impl Row<'_> {
    /// The key as it is written in a configuration with a provider named `acme`.
    pub(super) fn key(&self) -> String {
        self.key.replace(".ID.", ".acme.")
    }

    /// The default as TOML, where the table says one.
    pub(super) fn default(&self) -> Option<&str> {
        self.default.strip_prefix('`')?.strip_suffix('`')
    }

    /// The top-level table and the key's own name: `("server", "handshake_ms")`. Names that the
    /// operator chooses, in capitals, are none.
    pub(super) fn place(&self) -> (String, String) {
        let chosen = |part: &&str| !part.bytes().any(|byte| byte.is_ascii_uppercase());
        let parts: Vec<&str> = self.key.split('.').filter(chosen).collect();
        let top = parts.first().copied().unwrap_or_default();
        (top.to_owned(), parts.last().copied().unwrap_or_default().to_owned())
    }
}

/// Every row of the table.
pub(super) fn documented(readme: &str) -> Vec<Row<'_>> {
    let rows = readme.lines().skip_while(|line| !line.starts_with("| key |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let row = |line: &'_ str| -> Option<(usize, usize)> { line.find('`').zip(line.find("` |")) };
    rows.map(|line| {
        let (open, close) = row(line).unwrap_or_else(|| panic!("not a row: {line}"));
        let cells: Vec<&str> = line[close + 3..].split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "not a row of key, default, unit, meaning: {line}");
        Row { key: &line[open + 1..close], default: cells[0] }
    })
    .collect()
}

/// Every key that the sources ask for, with its top-level table: a file of its own for each.
pub(super) fn read() -> BTreeSet<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
    let mut keys = BTreeSet::new();
    for top in ["server", "store", "plugins", "engine", "telemetry", "providers"] {
        let source = fs::read_to_string(folder.join(top).with_extension("rs")).unwrap();
        let squeezed: String = source.split_whitespace().collect();
        let found = ASKS.iter().chain([&WITHIN]).flat_map(|method| asked(&squeezed, method));
        keys.extend(found.map(|key| (top.to_owned(), key)));
    }
    // Tables stand in README.md by the keys in them.
    keys.retain(|(top, key)| key != top && !["limits", "timing", "rate"].contains(&key.as_str()));
    keys
}

/// The texts behind `method(` and `method::<T>(`.
fn asked(squeezed: &str, method: &str) -> Vec<String> {
    let calls = squeezed.match_indices(method).filter_map(|(start, _)| {
        let before = squeezed[..start].bytes().next_back()?;
        if before.is_ascii_alphanumeric() || before == b'_' {
            return None;
        }
        let mut rest = &squeezed[start + method.len()..];
        if let Some(generic) = rest.strip_prefix("::<") {
            rest = generic.split_once('>')?.1;
        }
        let rest = rest.strip_prefix('(')?;
        let rest = rest.strip_prefix("&mutsection,").unwrap_or(rest);
        let key = rest.strip_prefix('"')?.split_once('"')?.0;
        Some(key.to_owned())
    });
    calls.collect()
}

/// What a configuration means that says what it must and `more`, as text to compare.
///
/// # Errors
/// Its mistakes.
pub(super) fn loaded(folder: &Path, more: &str) -> Result<String, String> {
    let text = format!(
        "server.listen = \"127.0.0.1:0\"\nstore.url = \"sqlite:purveyor.db\"\n\
         plugins.directory = \".\"\nproviders.acme.plugin = \"acme\"\n\
         providers.acme.endpoint = \"https://example.com/\"\n{more}"
    );
    let file = folder.join("purveyor.toml");
    fs::write(&file, text).unwrap();
    let config = load_with(&file, &Environment::of([])).map_err(|report| report.to_string())?;
    let purveyor::config::Config { server, store, plugins, providers, engine, .. } = &config;
    let (development, telemetry) = (config.development, &config.telemetry);
    Ok(format!(
        "{server:?} {store:?} {plugins:?} {providers:?} {engine:?} {development} {telemetry:?}"
    ))
}
