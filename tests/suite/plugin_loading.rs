//! Every refusal of the loader with its own message, by a plugin that leaves a file behind as soon as
//! any of its code runs. Where it is accepted the file is there, so its absence proves something.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message;
use purveyor::plugin::{Environment, LoadError, Loader, Plugin, PluginsConfig, Registry};
use purveyor_sdk::plugin::v1::{Call, Manifest, Timing};

use super::plugin_support::{Plugins, clock, set_mode};

/// A place in which one plugin is compiled and loaded.
struct Bench {
    plugins: Plugins,
    work: tempfile::TempDir,
    manifest: Manifest,
}

impl Bench {
    fn new() -> Self {
        let second = Some(prost_types::Duration { seconds: 1, nanos: 0 });
        let manifest = Manifest {
            name: "raw".to_owned(),
            version: "1.0.0".to_owned(),
            description: "leaves a marker".to_owned(),
            configuration_schema: r#"{"type":"object"}"#.to_owned(),
            timing: Some(Timing {
                attempt_timeout: second,
                upstream_idle: second,
                upstream_processing: second,
                listing_lag: second,
            }),
            ..Manifest::default()
        };
        Self { plugins: Plugins::empty(), work: tempfile::tempdir().unwrap(), manifest }
    }

    fn marker(&self) -> PathBuf {
        self.work.path().join("marker")
    }

    /// Compiles the plugin with `flags` to `name`.
    fn compile_to(&self, name: &str, flags: &[&str]) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut bytes = String::new();
        for byte in self.manifest.encode_to_vec() {
            write!(bytes, "{byte},").unwrap();
        }
        let header = self.work.path().join("manifest.h");
        fs::write(&header, bytes).unwrap();
        let path = self.plugins.directory.path().join(name);
        let output = Command::new("cc")
            .args(["-std=gnu11", "-Wall", "-Werror", "-fPIC", "-fvisibility=hidden", "-I"])
            .arg(root.join("crates/abi/include"))
            .arg(format!("-DMARKER=\"{}\"", self.marker().display()))
            .arg(format!("-DMANIFEST=\"{}\"", header.display()))
            .arg(if flags.contains(&"-c") { "-O0" } else { "-shared" })
            .arg("-o")
            .arg(&path)
            .arg(root.join("tests/plugins/raw/plugin.c"))
            .args(flags)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        set_mode(&path, 0o755);
        path
    }

    fn compile(&self, flags: &[&str]) -> PathBuf {
        self.compile_to("raw.so", flags)
    }

    fn load(&self, path: &Path) -> Result<Plugin, LoadError> {
        Loader::new(self.plugins.config()).load(path)
    }

    /// Loads what lies at `path`: refused with a message, before any of its code has run.
    #[track_caller]
    fn refused(&self, path: &Path, message: &str) {
        self.refused_by(self.plugins.config(), path, message);
    }

    #[track_caller]
    fn refused_by(&self, config: PluginsConfig, path: &Path, message: &str) {
        let error = Loader::new(config).load(path).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} does not say {message:?}");
        assert!(!self.marker().exists(), "its code has run although {error}");
    }
}

#[test]
fn a_plugin_without_defects_is_loaded_and_its_initialiser_runs() {
    let bench = Bench::new();
    let path = bench.compile(&[]);
    let mut loader = Loader::new(bench.plugins.config());
    let plugin = loader.load(&path).unwrap();
    assert!(bench.marker().exists(), "or else the tests below could not fail");
    assert_eq!((plugin.name.as_str(), plugin.version.as_str()), ("raw", "1.0.0"));
    assert_eq!(plugin.generation, 1);
    assert_eq!(loader.load(&path).unwrap().generation, 2);
}

/// The path is the same and the code is not: what is loaded is what lies there now.
#[test]
fn a_new_file_at_the_same_path_is_new_code() {
    let mut bench = Bench::new();
    let mut descriptions = Vec::new();
    for description in ["the first", "the second"] {
        bench.manifest.description = description.to_owned();
        let path = bench.compile(&[]);
        descriptions.push(bench.load(&path).unwrap().manifest.description.clone());
    }
    assert_eq!(descriptions, ["the first", "the second"]);
}

#[test]
fn a_private_directory_serves_instead_of_memory() {
    let bench = Bench::new();
    let path = bench.compile(&[]);
    let directory = bench.work.path().join("private");
    let private_directory = Some(directory.clone());
    let config = PluginsConfig { private_directory, ..bench.plugins.config() };
    Loader::new(config.clone()).load(&path).unwrap();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    set_mode(&directory, 0o755);
    let error = Loader::new(config).load(&path).unwrap_err().to_string();
    assert!(error.contains("mode 0700"), "{error}");
}

#[test]
fn a_file_that_others_could_change_is_refused() {
    let bench = Bench::new();
    let path = bench.compile(&[]);
    let link = bench.plugins.directory.path().join("link.so");
    symlink(&path, &link).unwrap();
    bench.refused(&link, "it is a symbolic link");
    for mode in [0o775, 0o757, 0o777] {
        set_mode(&path, mode);
        bench.refused(&path, &format!("(mode {mode:04o})"));
    }
    set_mode(&path, 0o755);
    bench.refused(Path::new("/dev/null"), "it is not a regular file");
    bench.refused(bench.work.path(), "it is not a regular file");
    bench.refused(&bench.work.path().join("missing.so"), "it cannot be read");
    match chown(&path, Some(12_345), None) {
        Ok(()) => bench.refused(&path, "owned by user 12345"),
        // Only root can give a file away, so only root can be shown one that was.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
}

#[test]
fn a_file_that_is_not_the_pinned_one_is_refused() {
    let bench = Bench::new();
    let path = bench.compile(&[]);
    let mut config = bench.plugins.config();
    config.pins.clear();
    bench.refused_by(config.clone(), &path, "no sha-256 is pinned for raw.so");
    config.pins.insert("raw.so".to_owned(), "0".repeat(64));
    bench.refused_by(config.clone(), &path, "is pinned");
    config.allow_unpinned = true;
    bench.refused_by(config.clone(), &path, "is pinned");
    config.pins.clear();
    Loader::new(config).load(&path).unwrap();
    assert!(bench.marker().exists());
}

#[test]
fn a_library_that_is_not_what_it_should_be_is_refused() {
    let cases: &[(&[&str], &str)] = &[
        (&["-DNO_STAMP"], "it has no section .purveyor_abi"),
        (&["-DSTAMP_MAGIC=1"], "the stamp begins with"),
        (&["-DSTAMP_MAJOR=9"], "major version 9"),
        (&["-DSTAMP_PANIC=2"], "panic=abort"),
        (&["-DSTAMP_PANIC=7"], "panic strategy 7"),
        (&["-DMIN_HOST_MINOR=99"], "needs minor version 99"),
        (&["-DTARGET=\"riscv64-unknown-none\""], "built for riscv64-unknown-none"),
        (&["-DENTRY=other_entry"], "it exports other_entry"),
        (&["-DVISIBILITY=\"hidden\""], "it does not export purveyor_plugin_v1"),
        (&["-DEXTRA_EXPORT"], "it exports extra_export"),
        (&["-Wl,--no-as-needed", "-lresolv"], "it needs libresolv.so.2"),
        (&["-Wl,--disable-new-dtags", "-Wl,-rpath,/tmp"], "it has an rpath"),
        (&["-Wl,--enable-new-dtags", "-Wl,-rpath,/tmp"], "it has an runpath"),
        (&["-Wl,--audit=libaudit.so"], "it has an audit library"),
        (&["-Wl,--depaudit=libaudit.so"], "it has an audit library"),
        (&["-Wl,--auxiliary=libother.so"], "it has an filter library"),
        (&["-Wl,--filter=libother.so"], "it has an filter library"),
        (&["-c"], "another kind of file"),
    ];
    for (flags, message) in cases {
        let bench = Bench::new();
        let path = bench.compile(flags);
        bench.refused(&path, message);
    }
}

#[test]
fn bytes_that_are_no_library_are_refused() {
    let bench = Bench::new();
    let path = bench.compile(&[]);
    let sound = fs::read(&path).unwrap();
    let patched = |at: usize, byte: u8| {
        let mut bytes = sound.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, message) in [
        (b"#!/bin/sh\n".to_vec(), "it cannot be parsed"),
        (Vec::new(), "it cannot be parsed"),
        (sound[..64].to_vec(), "it cannot be parsed"),
        (sound[..sound.len() / 2].to_vec(), "it cannot be parsed"),
        (patched(4, 1), "it cannot be parsed"),
        (patched(5, 2), ""),
        (patched(18, 8), "another machine"),
    ] {
        fs::write(&path, bytes).unwrap();
        bench.refused(&path, message);
    }
}

/// What can only be known when the code has run.
#[test]
fn a_plugin_that_does_not_keep_the_contract_is_refused() {
    let cases: &[(&[&str], &str)] = &[
        (&["-DTABLE_MAGIC=1"], "the table begins with"),
        (&["-DTABLE_SIZE=40"], "the table has 40 bytes"),
        (&["-DSTART=0"], "the function start is null"),
        (&["-DENTRY_CODE=4"], "the plugin refused the host's table"),
        (&["-DSTAMP_NAME=\"other\""], "the stamp says other 1.0.0 and the manifest raw 1.0.0"),
    ];
    for (flags, message) in cases {
        let bench = Bench::new();
        let error = bench.load(&bench.compile(flags)).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} does not say {message:?}");
    }
    let mut bench = Bench::new();
    bench.manifest.calls.push(Call::default());
    let error = bench.load(&bench.compile(&[])).unwrap_err().to_string();
    assert!(error.contains("the manifest is wrong: "), "{error}");
}

#[tokio::test]
async fn a_bad_plugin_keeps_no_server_from_starting() {
    let bench = Bench::new();
    bench.compile_to("a.so", &[]);
    bench.compile_to("b.so", &[]);
    bench.compile_to("c.so", &["-DNO_STAMP"]);
    let config = bench.plugins.config();
    let account = |id: &str, plugin: &str| {
        let endpoint = "http://127.0.0.1:1/".parse().unwrap();
        purveyor::plugin::ProviderConfig::new(id, plugin, endpoint)
    };
    let accounts = vec![account("two", "nowhere"), account("one", "raw")];
    let registry = Registry::open(config, accounts, Environment::new(clock())).await;
    let refused: Vec<_> =
        registry.refusals().iter().map(|one| (one.file.as_str(), one.error.to_string())).collect();
    assert_eq!(refused[0], ("b.so", "a plugin named raw is loaded from a.so already".to_owned()));
    assert!(refused[1].0 == "c.so" && refused[1].1.contains("no section"), "{refused:?}");
    let states: Vec<_> =
        registry.iter().map(|one| format!("{} {:?}", one.id(), one.state())).collect();
    assert_eq!(states[0], "one Available");
    assert!(states[1].contains("two Unavailable") && states[1].contains("nowhere"), "{states:?}");
}
