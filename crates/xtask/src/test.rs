//! `cargo xtask test`: every check and every test. In CI a check that cannot run is a failure.

use std::process::Command;

use anyhow::Result;
use xtask::artifacts::{self, Profile};
use xtask::{faketime, postgres, tools, workspace};

use crate::steps::{Steps, count, have, show};
use crate::{shipped, torture};

/// What leaves the suite of the providers out, where tests are skipped by name.
const CONFORMANCE: &str = "provider-conformance";

/// How many tests of a program run at a time.
const TEST_THREADS: &str = "6";

/// Runs everything.
///
/// # Errors
/// When anything is not as it should be.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::new(in_ci());
    let nothing = || Ok(());
    steps.step(
        "format",
        || have(cargo(&["fmt", "--version"]), "rustup component add rustfmt"),
        || show(cargo(&["fmt", "--all", "--check"])),
    );
    steps.step(
        "clippy",
        || have(cargo(&["clippy", "--version"]), "rustup component add clippy"),
        || show(shared("clippy").args(["--all-targets", "--", "-D", "warnings"])),
    );
    steps.step("rustdoc", nothing, || {
        show(shared("doc").arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.step(
        "protos",
        || tools::buf().map(drop),
        || show(Command::new(tools::buf()?).arg("lint").current_dir(workspace::root())),
    );
    // The bans alone are held by a tidy test as well; licences are checked here only.
    steps.optional(
        "dependencies",
        || tools::cargo_deny().map(drop),
        || {
            // Advisories lie in a git repository elsewhere; `cargo deny check` by hand asks it.
            let mut deny = Command::new(tools::cargo_deny()?);
            deny.args(["check", "bans", "licenses", "sources"]);
            show(deny.current_dir(workspace::root()))
        },
    );
    steps.step(
        "grpcurl",
        || tools::grpcurl().map(drop),
        || show(Command::new(tools::grpcurl()?).arg("-version")),
    );
    steps.step(
        "postgresql",
        || postgres::install().map(drop),
        || show(Command::new(postgres::programs()?.join("postgres")).arg("--version")),
    );
    steps.step(
        "faketime",
        || faketime::install().map(drop),
        || Ok(faketime::library()?.display().to_string()),
    );
    // Tests load the plugins, and build them where that was not done; here it can be seen.
    steps.step("plugins", nothing, || {
        let artifacts = artifacts::build_with_failpoints(Profile::Dev)?;
        Ok(format!("{} plugins", artifacts.pins.len()))
    });
    steps.step("shipped plugins", nothing, shipped::check);
    steps.step("tests", nothing, || {
        // What the suite of the providers shows stands at the end, in a step of its own. Most tests wait
        // most of the time, for windows and upstreams, so more of them run than there are cores.
        let rest = ["--", "--skip", CONFORMANCE, "--test-threads", TEST_THREADS];
        count(shared("test").arg("--no-fail-fast").args(rest))
    });
    steps.step("conformance", nothing, || count(shared("test").args(["--test", "conformance"])));
    steps.step("torture", nothing, torture::test);
    steps.step("no failpoints shipped", nothing, torture::search_shipped);
    steps.close()
}

/// Continuous integration sets `CI`.
fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// A command on the whole workspace with the features that all steps share, so that no crate is built
/// for several sets of features.
fn shared(command: &str) -> &'static mut Command {
    cargo(&[command, "--workspace", "--features", artifacts::FAILPOINTS])
}

fn cargo(arguments: &[&str]) -> &'static mut Command {
    // A handful of commands in a process that ends with them.
    let command = Box::leak(Box::new(workspace::cargo()));
    command.args(arguments)
}
