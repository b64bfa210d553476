//! Every plugin of the workspace through the conformance suite: as a shared library in the real program,
//! over real gRPC, against its simulator. Prints the table of providers and cases; any failed case fails
//! the run. It must not know a case.
//!
//! A provider's file has its subject: what it orders, what is refused, and what its simulator calls the
//! calls of the manifest. To add one, write `PROVIDER.rs` after the model of `gandi.rs` (an
//! implementation of `Subject` over a `bench::Bench`, and a `show`), and name it in [`run`].
//!
//! Arguments are those of cargo's own test programs as far as they mean something here: a word runs the
//! providers whose name contains it, and `--skip provider-conformance` skips everything.

#![allow(clippy::print_stdout, reason = "this program is there to print a table")]

mod bench;
mod computestacks;
mod gandi;
mod klikk;
mod ovh;
mod racknap;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use purveyor_sdk::conformance::{Case, Failure, Report, Row, table};
use xtask::artifacts::{self, Profile};
use xtask::workspace;

/// What the whole is called where tests are skipped by name.
const NAME: &str = "provider-conformance";

/// The plugins that have a subject, by the names of their folders.
const SHOWN: [&str; 5] = ["computestacks", "gandi", "klikk", "ovh", "racknap"];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(reports) => conclude(&reports),
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<Vec<Report>> {
    let wanted = wanted(arguments);
    let mut reports = without_subject(&wanted)?;
    if !SHOWN.iter().any(|name| wanted(name)) {
        return Ok(reports);
    }
    if !cfg!(feature = "failpoints") {
        println!(
            "without the feature `failpoints` no plugin can be brought to err, so nothing shows that"
        );
    }
    let artifacts = artifacts::build_as(Profile::Dev, cfg!(feature = "failpoints"))?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
    let shows = [
        computestacks::show(&artifacts).boxed_local(),
        gandi::show(&artifacts).boxed_local(),
        klikk::show(&artifacts).boxed_local(),
        ovh::show(&artifacts).boxed_local(),
        racknap::show(&artifacts).boxed_local(),
    ];
    let shows = SHOWN.into_iter().zip(shows).filter(|(name, _)| wanted(name));
    let shown = runtime.block_on(join_all(shows.map(|(_, report)| report)));
    reports.extend(shown.into_iter().collect::<Result<Vec<_>>>()?);
    reports.sort_by(|one, other| one.plugin.cmp(&other.plugin));
    Ok(reports)
}

/// A plugin that nothing shows would look like one that passed, so it fails.
fn without_subject(wanted: &impl Fn(&str) -> bool) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    let plugins =
        fs::read_dir(workspace::root().join("plugins")).context("no plugins are there")?;
    for plugin in plugins {
        let plugin = plugin?.file_name().to_string_lossy().into_owned();
        if wanted(&plugin) && !SHOWN.contains(&plugin.as_str()) {
            let outcome = Err(Failure::new("the plugin has no subject in tests/conformance"));
            let row = Row { case: Case::Claims, method: "Providers.GetProvider", outcome };
            reports.push(Report { plugin, rows: vec![row], ..Report::default() });
        }
    }
    Ok(reports)
}

/// Whether a provider is to be shown.
fn wanted(arguments: &[String]) -> impl Fn(&str) -> bool {
    let mut words = Vec::new();
    let (mut skipped, mut rest) = (false, arguments.iter());
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--skip" => skipped |= rest.next().is_some_and(|name| NAME.contains(name.as_str())),
            "--list" => skipped = true,
            "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => drop(rest.next()),
            option if option.starts_with('-') => {}
            word => words.push(word.to_owned()),
        }
    }
    move |name| {
        let named = words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
        named && !skipped
    }
}

/// What a report omits, by the reason.
fn omissions(report: &Report) -> BTreeMap<&'static str, Vec<String>> {
    let mut omissions: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for omission in &report.omitted {
        let case = format!("{}, {}", omission.case.title(), omission.method);
        omissions.entry(omission.why).or_default().push(case);
    }
    omissions
}

/// Prints what came of it.
fn conclude(reports: &[Report]) -> ExitCode {
    let rows = || reports.iter().flat_map(|report| &report.rows);
    let failed = rows().filter(|row| row.outcome.is_err()).count();
    if !reports.is_empty() {
        println!("\nconformance: cases by methods that show them\n\n{}\n", table(reports));
    }
    for report in reports {
        for (why, cases) in omissions(report) {
            println!("{}: {why}: {}", report.plugin, cases.join("; "));
        }
    }
    for report in reports {
        for row in report.failures() {
            let why = row.outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
            println!("{}: {}, {}: {why}", report.plugin, row.case.title(), row.method);
        }
    }
    let good = failed == 0 && reports.iter().all(Report::passed);
    let (verdict, passed) = (if good { "ok" } else { "FAILED" }, rows().count() - failed);
    println!("test result: {verdict}. {passed} passed; {failed} failed; 0 ignored");
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
