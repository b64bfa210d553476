//! What a rule is and which files it is held to.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::scan;

/// A Rust file.
pub(super) struct Source {
    /// From the workspace's root, with `/`.
    pub(super) path: String,
    /// As it stands.
    pub(super) text: String,
    /// The same lines, with comments and the insides of texts blanked out.
    pub(super) code: String,
}

/// A text file of any kind.
pub(super) struct Text {
    pub(super) path: String,
    pub(super) text: String,
}

/// What must not be in a file.
pub(super) struct Rule {
    /// Whether the rule is for this file.
    pub(super) applies: fn(&str) -> bool,
    /// Whether a line breaks it: as it stands, and as code alone.
    pub(super) line: fn(&str, &str) -> bool,
    /// Whether the file as a whole breaks it, and how.
    pub(super) whole: fn(&Source) -> Option<String>,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: scan::code(text) }
    }
}

/// Shows that the rule finds each of `bad` and none of `good`, and holds it to all sources.
#[track_caller]
pub(super) fn hold(rule: &Rule, bad: &[(&str, &str)], good: &[(&str, &str)]) {
    for (path, text) in bad {
        let found = problems(rule, &[Source::new(path, text)]);
        assert!(!found.is_empty(), "the rule does not find {path}: {text:?}");
    }
    for (path, text) in good {
        let found = problems(rule, &[Source::new(path, text)]);
        assert!(found.is_empty(), "the rule finds what is right: {found:?}");
    }
    let found = problems(rule, &sources());
    assert!(found.is_empty(), "{} places break the rule:\n{}", found.len(), found.join("\n"));
}

/// Every place that breaks a rule.
pub(super) fn problems(rule: &Rule, sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in sources.iter().filter(|source| (rule.applies)(&source.path)) {
        let whole = (rule.whole)(source);
        problems.extend(whole.map(|problem| format!("{}: {problem}", source.path)));
        for (index, (raw, code)) in source.text.lines().zip(source.code.lines()).enumerate() {
            if (rule.line)(raw, code) {
                problems.push(format!("{}:{}: {}", source.path, index + 1, raw.trim()));
            }
        }
    }
    problems
}

/// Whether a file is `folder.rs` or lies in `folder`.
pub(super) fn under(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ".rs")
}

/// Whether a file holds tests and nothing else.
pub(super) fn in_tests(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The workspace's root.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the workspace.
pub(super) fn sources() -> Vec<Source> {
    let files = texts().into_iter().filter(|text| text.path.ends_with(".rs"));
    let sources: Vec<_> = files.map(|file| Source::new(&file.path, &file.text)).collect();
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

/// Every text file of the workspace.
pub(super) fn texts() -> Vec<Text> {
    let mut texts = Vec::new();
    collect(root(), &mut texts);
    texts
}

/// The folders that hold packages.
pub(super) fn packages() -> Vec<String> {
    let manifests = texts().into_iter().filter_map(|text| {
        let folder = text.path.strip_suffix("Cargo.toml")?;
        Some(folder.trim_end_matches('/').to_owned())
    });
    manifests.collect()
}

/// The names of the provider plugins, which are their folders' names.
pub(super) fn plugin_names() -> &'static [String] {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let packages = packages().into_iter();
        packages.filter_map(|path| Some(path.strip_prefix("plugins/")?.to_owned())).collect()
    });
    &NAMES
}

/// The packages of the provider plugins.
pub(super) fn plugin_packages() -> Vec<String> {
    let names: Vec<_> = plugin_names().iter().map(|name| format!("purveyor-{name}")).collect();
    assert!(!names.is_empty(), "the plugins were not found");
    names
}

fn collect(folder: &Path, texts: &mut Vec<Text>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_symlink() || ["target", ".git", "Cargo.lock"].contains(&&*name) {
            continue;
        }
        if path.is_dir() {
            collect(&path, texts);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let relative = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            texts.push(Text { path: relative, text });
        }
    }
}
