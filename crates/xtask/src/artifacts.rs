//! Brings plugins to where they are loaded. Cargo does not build a plugin's shared library for
//! `cargo test` or `cargo run`, and a stale one would be loaded unseen, so everything that loads
//! plugins comes through [`build`]. It must not look into cargo's folders by name: paths come from
//! cargo's messages.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::workspace;

/// The feature of the gateway that tests and torture runs are built with, so that they share a build.
pub const FAILPOINTS: &str = "purveyor/failpoints";

/// How the workspace is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What tests and the demo use.
    Dev,
    /// What benchmarks use.
    Release,
}

impl Profile {
    /// The profile's name for cargo.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }
}

/// Everything that one build of the workspace made.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// Where the plugins lie, ready to be loaded: `target/plugins/PROFILE`.
    pub plugins: PathBuf,
    /// SHA-256 of each plugin in lowercase hex by its file name, as the configuration pins them.
    pub pins: BTreeMap<String, String>,
    /// The programs by name.
    pub programs: BTreeMap<String, PathBuf>,
}

impl Artifacts {
    /// The path of a program.
    ///
    /// # Errors
    /// When the workspace has no program of that name.
    pub fn program(&self, name: &str) -> Result<&Path> {
        let path = self.programs.get(name);
        Ok(path.with_context(|| format!("the workspace builds no program {name}"))?)
    }

    /// The same programs with some of the plugins, by their file names, copied to a folder of their
    /// own, which is made when there is none.
    ///
    /// # Errors
    /// When there is no such plugin, or its file cannot be written.
    pub fn only(&self, plugins: &[&str], directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {directory:?}"))?;
        let mut pins = BTreeMap::new();
        for name in plugins {
            ensure!(self.pins.contains_key(*name), "the workspace builds no plugin {name}");
            let sha256 = place(&self.plugins.join(name), &directory.join(name))?;
            pins.insert((*name).to_owned(), sha256);
        }
        Ok(Self { plugins: directory.to_owned(), pins, programs: self.programs.clone() })
    }
}

/// As [`build_as`], without the feature.
///
/// # Errors
/// As [`build_as`].
pub fn build(profile: Profile) -> Result<Artifacts> {
    build_as(profile, false)
}

/// Builds the workspace and copies its plugins, with mode 0755, to `target/plugins/PROFILE`. A gateway
/// with the feature `failpoints` is kept apart in `target/torture/PROFILE`: whatever else is built never
/// meets it. A test names what it was built with itself, and nothing is built a second time.
///
/// May be repeated and may run in several processes at once: a file that is right already is left
/// alone, any other is replaced whole. Cargo's own progress goes to standard error.
///
/// # Errors
/// When the build fails or the files cannot be written.
pub fn build_as(profile: Profile, failpoints: bool) -> Result<Artifacts> {
    let directory = workspace::target()?.join("plugins").join(profile.name());
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {directory:?}"))?;
    let lock = File::create(directory.join(".lock")).context("cannot make the plugins' lock")?;
    lock.lock().context("cannot take the plugins' lock")?;

    let mut built = compile(profile, failpoints)?;
    if failpoints {
        let gateway = built.programs.get_mut("purveyor").context("no gateway was built")?;
        let apart = workspace::target()?.join("torture").join(profile.name());
        fs::create_dir_all(&apart).with_context(|| format!("cannot make {apart:?}"))?;
        let copy = apart.join("purveyor");
        place(gateway, &copy)?;
        *gateway = copy;
    }
    let mut pins = BTreeMap::new();
    for library in &built.libraries {
        let name = file_name(library)?;
        pins.insert(name.clone(), place(library, &directory.join(name))?);
    }
    remove_others(&directory, &pins)?;
    Ok(Artifacts { plugins: directory, pins, programs: built.programs })
}

#[derive(Debug, Default)]
struct Built {
    libraries: Vec<PathBuf>,
    programs: BTreeMap<String, PathBuf>,
}

/// One line of `cargo build --message-format=json`, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

fn compile(profile: Profile, failpoints: bool) -> Result<Built> {
    let mut child = workspace::cargo()
        .args(["build", "--workspace", "--message-format=json-render-diagnostics"])
        .args(["--profile", profile.name()])
        .args(failpoints.then_some(["--features", FAILPOINTS]).into_iter().flatten())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo build")?;
    let messages = child.stdout.take().context("cargo's output is not piped")?;
    let mut built = Built::default();
    for line in BufReader::new(messages).lines() {
        built.note(&line.context("cannot read cargo's messages")?)?;
    }
    ensure!(child.wait()?.success(), "cargo build --workspace failed");
    Ok(built)
}

impl Built {
    fn note(&mut self, line: &str) -> Result<()> {
        // A build script may print lines of its own between cargo's messages.
        if !line.starts_with('{') {
            return Ok(());
        }
        let message: Message =
            serde_json::from_str(line).with_context(|| format!("not a cargo message: {line}"))?;
        let Some(target) = message.target.filter(|_| message.reason == "compiler-artifact") else {
            return Ok(());
        };
        if let Some(program) = message.executable {
            self.programs.insert(target.name, program);
        } else if target.kind.iter().any(|kind| kind == "cdylib")
            && target.name.starts_with("purveyor_")
        {
            let library = message.filenames.into_iter().find(|path| is_library(path));
            let Some(library) = library else { bail!("{} has no shared library", target.name) };
            self.libraries.push(library);
        }
        Ok(())
    }
}

fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == std::env::consts::DLL_EXTENSION)
}

fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(name.with_context(|| format!("{path:?} has no file name"))?.to_owned())
}

/// Copies a plugin unless the same bytes are there already, and tells its SHA-256.
fn place(from: &Path, to: &Path) -> Result<String> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {from:?}"))?;
    // A link or a wrong mode would be refused by the loader, so such a file is replaced too.
    let right = fs::symlink_metadata(to)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o7777 == 0o755)
        && fs::read(to).is_ok_and(|found| found == bytes);
    if !right {
        let directory = to.parent().context("a plugin lies in a folder")?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(&bytes)?;
        file.as_file().set_permissions(Permissions::from_mode(0o755))?;
        file.persist(to).with_context(|| format!("cannot write {to:?}"))?;
    }
    Ok(hex::encode(Sha256::digest(&bytes)))
}

/// A plugin that the workspace no longer builds must not be loaded either.
fn remove_others(directory: &Path, pins: &BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if is_library(&path) && !pins.contains_key(&file_name(&path)?) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {path:?}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_messages_name_what_was_built() {
        let mut built = Built::default();
        for line in [
            "a line that a build script printed",
            r#"{"reason":"build-finished","success":true}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"purveyor_a","kind":["cdylib","rlib"]},"filenames":["/t/libpurveyor_a.rlib","/t/libpurveyor_a.so"],"executable":null}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"other","kind":["cdylib"]},"filenames":["/t/libother.so"],"executable":null}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"purveyor","kind":["bin"]},"filenames":["/t/purveyor"],"executable":"/t/purveyor"}"#,
        ] {
            built.note(line).unwrap();
        }
        assert_eq!(built.libraries, [PathBuf::from("/t/libpurveyor_a.so")]);
        assert_eq!(built.programs["purveyor"], PathBuf::from("/t/purveyor"));
        assert!(built.note("{ not json").is_err());
    }

    #[test]
    fn a_plugin_is_placed_whole_and_others_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("built");
        let to = folder.path().join("plugins");
        fs::create_dir(&to).unwrap();
        fs::write(&from, "abc").unwrap();
        fs::write(to.join("libstale.so"), "old").unwrap();
        std::os::unix::fs::symlink("libstale.so", to.join("liba.so")).unwrap();

        let sha256 = place(&from, &to.join("liba.so")).unwrap();
        remove_others(&to, &BTreeMap::from([("liba.so".to_owned(), sha256.clone())])).unwrap();

        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let placed = fs::symlink_metadata(to.join("liba.so")).unwrap();
        assert!(placed.is_file());
        assert_eq!(placed.permissions().mode() & 0o7777, 0o755);
        assert!(!to.join("libstale.so").exists());
    }
}
