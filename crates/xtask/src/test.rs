//! `cargo xtask test`: every check and every test. In CI a check that cannot run is a failure.

use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::setpriority_process;
use xtask::artifacts::{self, Profile};
use xtask::postgres::pooler;
use xtask::{faketime, postgres, tools, workspace};

use crate::command::{count, have, show};
use crate::steps::{Step, Steps};
use crate::{shipped, torture};

/// What leaves the suite of the providers out, where tests are skipped by name.
const CONFORMANCE: &str = "provider-conformance";

/// How many tests of a program run at a time.
const TEST_THREADS: &str = "8";

/// The priority of what can wait.
const LATER: i32 = 10;

/// Runs everything.
///
/// # Errors
/// When anything is not as it should be.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::new(in_ci());
    prepare(&mut steps);
    steps.step("tests", nothing, |output| {
        // What the suite of the providers shows stands at the end, in a step of its own. Most tests wait
        // most of the time, for windows and upstreams, so more of them run than there are cores.
        let rest = ["--", "--skip", CONFORMANCE, "--test-threads", TEST_THREADS];
        count(output, shared("test").args(["--no-fail-fast", "--tests"]).args(rest))
    });
    // The torture run mostly waits, so what is left runs beside it: what waits too first, and what
    // computes gives way.
    steps.together([
        vec![Step::new("torture", |_| Ok(torture::test()?.join("; ")))],
        vec![
            Step::new("conformance", |output| {
                count(output, shared("test").args(["--test", "conformance"]))
            }),
            Step::new("doc tests", |output| {
                give_way()?;
                count(output, shared("test").args(["--no-fail-fast", "--doc"]))
            }),
            Step::new("rustdoc", |output| {
                give_way()?;
                show(output, shared("doc").arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"))
            }),
            Step::new("shipped plugins", |output| {
                give_way()?;
                shipped::check(output)
            }),
        ],
    ]);
    // The last one: it leaves a gateway without the feature where the others had one with it.
    steps.step("no failpoints shipped", nothing, |_| torture::search_shipped());
    steps.close()
}

/// What is checked before anything runs, and what the tests need.
fn prepare(steps: &mut Steps) {
    steps.step(
        "format",
        || have(cargo(&["fmt", "--version"]), "rustup component add rustfmt"),
        |output| show(output, cargo(&["fmt", "--all", "--check"])),
    );
    steps.step(
        "clippy",
        || have(cargo(&["clippy", "--version"]), "rustup component add clippy"),
        |output| show(output, shared("clippy").args(["--all-targets", "--", "-D", "warnings"])),
    );
    steps.step(
        "protos",
        || tools::buf().map(drop),
        |output| {
            show(output, Command::new(tools::buf()?).arg("lint").current_dir(workspace::root()))
        },
    );
    // The bans alone are held by a tidy test as well; licences are checked here only.
    steps.optional(
        "dependencies",
        || tools::cargo_deny().map(drop),
        |output| {
            // Advisories lie in a git repository elsewhere; `cargo deny check` by hand asks it.
            let mut deny = Command::new(tools::cargo_deny()?);
            deny.args(["check", "bans", "licenses", "sources"]);
            show(output, deny.current_dir(workspace::root()))
        },
    );
    steps.step(
        "grpcurl",
        || tools::grpcurl().map(drop),
        |output| show(output, Command::new(tools::grpcurl()?).arg("-version")),
    );
    steps.step(
        "postgresql",
        || postgres::install().map(drop),
        |output| {
            show(output, Command::new(postgres::programs()?.join("postgres")).arg("--version"))
        },
    );
    steps.step(
        "pgbouncer",
        || pooler::install().map(drop),
        |output| show(output, Command::new(pooler::program()?).arg("--version")),
    );
    steps.step(
        "faketime",
        || faketime::install().map(drop),
        |_| Ok(faketime::library()?.display().to_string()),
    );
    // Tests load the plugins, and build them where that was not done; here it can be seen.
    steps.step("plugins", nothing, |_| {
        let artifacts = artifacts::build_as(Profile::Dev, true)?;
        Ok(format!("{} plugins", artifacts.pins.len()))
    });
}

/// A step that needs nothing that could be missing.
fn nothing() -> Result<()> {
    Ok(())
}

/// From now on what this thread starts has the processor when nobody else wants it. Linux keeps a
/// priority for each thread.
fn give_way() -> Result<()> {
    setpriority_process(None, LATER).context("cannot give way")
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
