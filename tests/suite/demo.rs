//! README.md cannot lie: its tour is typed again, against the demo, and compared with what stands
//! there; its table of the configuration is compared with what is read. It must not know a provider
//! or an answer: all of that stands in README.md.

mod reference;
mod transcript;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::artifacts::{self, Profile};
use xtask::process::Running;
use xtask::tools;

use crate::support::built;
use transcript::{Bound, Call, calls, compare};

const README: &str = include_str!("../../README.md");

/// The address that stands in README.md; the demo of this test takes a free port.
const ADDRESS: &str = "localhost:50051";

#[test]
fn the_tour_gives_what_stands_there() {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, address) = demo(folder.path());
    let told = walk(&grpcurl, &address);
    assert!(demo.runs().unwrap(), "the demo ended beneath the tour");
    let status = demo.stop().unwrap();
    told.unwrap_or_else(|difference| panic!("{difference}"));
    assert!(status.success(), "the demo ended with {status}");
}

#[test]
fn the_tour_calls_what_it_promises_to_show() {
    let calls = calls(README).unwrap();
    let called = |method: &str| {
        calls.iter().filter(|call| call.arguments.iter().any(|it| it.ends_with(method))).count()
    };
    for method in [
        "Providers/GetProvider",
        "Orders/CreateOrder",
        "Operations/WaitOperation",
        "Services/ListServices",
        "Services/UpdateService",
        "Renewals/ListRenewalOptions",
        "Renewals/CreateRenewal",
        "Services/TerminateService",
    ] {
        assert!(called(method) > 0, "README.md does not call {method}");
    }
    assert!(called("Renewals/CreateRenewal") > 1, "README.md does not renew a second time");
}

/// grpcurl, built with what the machine has. Without Go it can be left out everywhere but in
/// continuous integration.
fn grpcurl() -> Option<PathBuf> {
    say("README's tour: building grpcurl, unless it is there; the first time takes minutes");
    match tools::grpcurl() {
        Ok(program) => Some(program),
        Err(missing) => {
            let ci = std::env::var("CI").is_ok_and(|it| !matches!(it.as_str(), "" | "0" | "false"));
            assert!(!ci, "README's tour was not checked: {missing:#}");
            say(&format!("!!! README's tour WAS NOT CHECKED: {missing:#}"));
            None
        }
    }
}

/// Past the test harness, which keeps what tests print until they fail.
fn say(line: &str) {
    let mut terminal = std::io::stderr();
    writeln!(terminal, "{line}").unwrap();
}

/// The demo as a newcomer has it, after its walk.
fn demo(folder: &Path) -> (Running, String) {
    // The demo builds what it shows, without failpoints; how long that takes is nobody's wait.
    artifacts::build(Profile::Dev).unwrap();
    let mut command = Command::new(built().program("xtask").unwrap());
    command.args(["demo", "--listen", "127.0.0.1:0"]);
    let mut demo = Running::start("the demo", command, folder.join("demo.log")).unwrap();
    let serving = demo.wait_for(|line| line.strip_prefix("serving on at ").map(str::to_owned));
    (demo, serving.unwrap())
}

/// Types every call, in order.
fn walk(grpcurl: &Path, address: &str) -> Result<(), String> {
    let mut bound = Bound::default();
    for call in calls(README)? {
        let said = type_it(&call, grpcurl, address, &bound)?;
        compare(&call, &said, &mut bound)?;
    }
    Ok(())
}

/// Runs a call and tells what it printed, errors included, as a terminal shows it.
fn type_it(call: &Call, grpcurl: &Path, address: &str, bound: &Bound) -> Result<String, String> {
    let arguments = call.arguments.iter().map(|it| bound.carry(it).replace(ADDRESS, address));
    let output = Command::new(grpcurl).args(arguments).output();
    let output = output.map_err(|error| format!("grpcurl cannot be run: {error}"))?;
    let texts = [output.stdout, output.stderr].map(String::from_utf8);
    let [out, errors] = texts;
    let text = |it: Result<String, _>| it.map_err(|error| format!("{error}"));
    Ok(text(out)? + &text(errors)?)
}

#[test]
fn what_varies_may_vary_and_nothing_else() {
    let check = |expected: &str, actual: &str, fits: bool| {
        let readme = format!("```console\n$ grpcurl list\n{expected}\n```\n");
        let call = calls(&readme).unwrap().remove(0);
        let found = compare(&call, actual, &mut Bound::default());
        assert_eq!(found.is_ok(), fits, "{expected} | {actual} | {found:?}");
    };
    let time = |key: &str, value: &str| format!("\"{key}\": \"{value}\",");
    let (first, second) = ("2026-01-02T03:04:05Z", "2027-01-02T03:04:05.6Z");
    check("\"a\": 1", "\"a\": 1\n", true);
    check("\"a\": 1", "\"a\": 2", false);
    check("\"a\": 1", "\"b\": 1", false);
    check("\"a\": 1", "\"a\": 1\n\"b\": 2", false);
    check("\"a\": 1\n\"b\": 2", "\"a\": 1", false);
    check(&time("createTime", first), &time("createTime", second), true);
    check(&time("createTime", first), &time("updateTime", first), false);
    check(&time("createTime", first), &time("createTime", "soon"), false);
    check(&time("period", first), &time("period", second), false);
    check(&time("etag", "dUz2AzhgYjL6cbFu"), &time("etag", "bakaIlYXM_HBKH1D"), true);
    check(&time("etag", "dUz2AzhgYjL6cbFu"), &time("etag", ""), false);
    check(&time("etag", "5"), &time("etag", "6"), true);
    check(&time("etag", "5"), &time("etag", "dUz2AzhgYjL6cbFu"), false);
    // One value of README.md is one value of the run.
    let twice = |one: &str, two: &str| time("expireTime", one) + "\n" + &time("expireTime", two);
    check(&twice(first, first), &twice(second, second), true);
    check(&twice(first, first), &twice(second, first), false);
    check(&twice(first, second), &twice(first, first), false);
    // Lines that are left out are there, and what stands around them is held to.
    check("{\n...\n}", "{\n1\n2\n}", true);
    check("{\n...\n}", "{\n}", false);
    check("{\n...\n3\n}", "{\n1\n2\n}", false);
    check("[\n...\n{\n2\n}\n...\n]", "[\n{\n1\n}\n{\n2\n}\n{\n3\n}\n]", true);
}

#[test]
fn calls_are_read_as_a_shell_reads_them() {
    let check = |block: &str, expected: &[&str]| {
        let readme = format!("```console\n{block}\n```\n");
        assert_eq!(calls(&readme).unwrap()[0].arguments, expected, "{block}");
    };
    check("$ grpcurl -plaintext a list\nanswer", &["-plaintext", "a", "list"]);
    check(
        "$ grpcurl -d '{\n  \"a b\": 1\n}' \\\n    a B/C\nanswer",
        &["-d", "{\n  \"a b\": 1\n}", "a", "B/C"],
    );
    let refused = |readme: &str| assert!(calls(readme).is_err(), "{readme}");
    refused("no block at all\n");
    refused("```console\n$ ls\nfile\n```\n");
    refused("```console\nan answer without a call\n```\n");
    refused("```console\n$ grpcurl 'not closed\n```\n");
    refused("```console\n$ grpcurl list\nnot closed\n");
}

#[test]
fn the_configuration_reads_what_stands_there_and_nothing_else() {
    let documented = reference::documented(README);
    assert!(documented.len() > 40, "the table of the configuration is not found");
    let read = reference::read();
    let stands: BTreeSet<_> = documented.iter().map(reference::Row::place).collect();
    let missing: Vec<_> = read.difference(&stands).collect();
    let unread: Vec<_> = stands.difference(&read).collect();
    assert!(missing.is_empty(), "read, and not in README.md: {missing:?}");
    assert!(unread.is_empty(), "in README.md, and not read: {unread:?}");
}

#[test]
fn defaults_are_what_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let without = reference::loaded(folder.path(), "").unwrap();
    let mut checked = 0;
    for row in reference::documented(README) {
        let Some(default) = row.default() else { continue };
        let with = reference::loaded(folder.path(), &format!("{} = {default}\n", row.key()));
        assert_eq!(with.as_ref(), Ok(&without), "{} is not {default}", row.key());
        checked += 1;
    }
    assert!(checked > 25, "{checked} defaults");
    let other = reference::loaded(folder.path(), "engine.lease_s = 299\n").unwrap();
    assert_ne!(other, without, "a value that differs is not seen");
}
