//! Runs a command of a step, and tells what came of it. It must not know which commands these are.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};

use crate::failures::Failures;

/// How many of its last lines are repeated where a command fails.
const TAIL: usize = 40;

/// Where the output of a step goes.
#[derive(Debug)]
pub(crate) enum Output {
    /// It is shown as it comes.
    Shown,
    /// It is kept until the step has ended, since another step shows its own meanwhile.
    Kept(Mutex<String>),
}

impl Output {
    /// Shows a line, or keeps it.
    pub(crate) fn line(&self, line: &str) {
        match self {
            Self::Shown => println!("{line}"),
            Self::Kept(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(line);
                kept.push('\n');
            }
        }
    }

    /// What was kept.
    pub(crate) fn kept(self) -> String {
        match self {
            Self::Shown => String::new(),
            Self::Kept(kept) => kept.into_inner().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Runs a command to its end with its output.
///
/// # Errors
/// When it cannot be started or does not succeed, with the last lines of its output.
pub(crate) fn show(output: &Output, command: &mut Command) -> Result<String> {
    if io::stdout().is_terminal() && std::env::var_os("CARGO_TERM_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut tail = VecDeque::new();
    let status = follow(output, command, |line| keep_last(&mut tail, line))?;
    if !status.success() {
        bail!("{} ended with {status}\n\n{}", line(command), joined(&tail));
    }
    Ok(String::new())
}

/// As [`show`], of a command that runs test binaries: tells how many tests there were.
///
/// # Errors
/// As [`show`], with the numbers and what the failed tests said.
pub(crate) fn count(output: &Output, command: &mut Command) -> Result<String> {
    // Many tests provoke panics, and all that is wanted of one is where it was and what it said.
    command.env("RUST_BACKTRACE", "0").env_remove("RUST_LIB_BACKTRACE");
    let (mut tests, mut failures, mut tail) =
        (Tests::default(), Failures::default(), VecDeque::new());
    let status = follow(output, command, |line| {
        tests.note(line);
        failures.note(line);
        keep_last(&mut tail, line);
    })?;
    let counted = tests.told();
    if !status.success() || tests.failed > 0 {
        let said = failures.told().unwrap_or_else(|| joined(&tail));
        bail!("{counted}; it ended with {status}\n\n{said}");
    }
    Ok(counted)
}

/// Runs a command to its end, line by line of whatever it says.
fn follow(
    output: &Output,
    command: &mut Command,
    mut note: impl FnMut(&str),
) -> Result<ExitStatus> {
    output.line(&format!("    {}", line(command)));
    let (reader, writer) = io::pipe().context("no pipe for the output")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn();
    // The ends of the pipe that are this process's own would keep it open.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.with_context(|| format!("cannot run {command:?}"))?;
    let (mut reader, mut bytes) = (BufReader::new(reader), Vec::new());
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches(['\r', '\n']);
        note(text);
        output.line(text);
        bytes.clear();
    }
    Ok(child.wait()?)
}

fn keep_last(tail: &mut VecDeque<String>, line: &str) {
    if tail.len() == TAIL {
        tail.pop_front();
    }
    tail.push_back(line.to_owned());
}

fn joined(tail: &VecDeque<String>) -> String {
    tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// Finds out whether a command is there, by asking it something harmless.
///
/// # Errors
/// With `hint`, when it is not.
pub(crate) fn have(command: &mut Command, hint: &str) -> Result<()> {
    let answers = command.output().is_ok_and(|output| output.status.success());
    ensure!(answers, "{} does not answer; {hint}", line(command));
    Ok(())
}

fn line(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(program.into()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// The sums of what test binaries say at their ends.
#[derive(Debug, Default)]
struct Tests {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Tests {
    /// Adds a line such as `test result: ok. 5 passed; 0 failed; 0 ignored; …`.
    fn note(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let mut before = "";
        for word in result.split([' ', ';', '.']) {
            let number = || before.parse::<u32>().unwrap_or(0);
            match word {
                "passed" => self.passed += number(),
                "failed" => self.failed += number(),
                "ignored" => self.ignored += number(),
                _ => {}
            }
            before = word;
        }
    }

    fn told(&self) -> String {
        let Self { passed, failed, ignored } = self;
        format!("{passed} tests passed, {failed} failed, {ignored} ignored")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", text]);
        shell
    }

    #[test]
    fn a_command_that_fails_is_a_failure() {
        let shown = |command: &str| show(&Output::Shown, &mut Command::new(command));
        shown("true").unwrap();
        assert!(shown("false").is_err());
        assert!(shown("no-such-program-here").is_err());
        assert!(have(&mut Command::new("no-such-program-here"), "install it").is_err());
    }

    #[test]
    fn a_failed_command_is_told_with_its_last_lines() {
        let text = "for line in $(seq 50); do echo line $line; done; echo last >&2; exit 3";
        let error = show(&Output::Shown, &mut shell(text)).unwrap_err().to_string();
        assert!(error.contains("ended with exit status: 3"), "{error}");
        assert!(error.ends_with("line 49\nline 50\nlast"), "{error}");
        assert!(!error.contains("line 10\n"), "{error}");
    }

    #[test]
    fn kept_output_has_everything_and_shows_nothing() {
        let output = Output::Kept(Mutex::default());
        show(&output, &mut shell("echo said; echo complained >&2; printf '\\377'")).unwrap();
        let kept = output.kept();
        assert!(kept.ends_with("\nsaid\ncomplained\n\u{fffd}\n"), "{kept}");
    }

    #[test]
    fn tests_are_counted_over_all_binaries() {
        let mut tests = Tests::default();
        tests.note("test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        tests.note("test some::test ... ok");
        tests.note(
            "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; finished in 1.23s",
        );
        assert_eq!(tests.told(), "17 tests passed, 3 failed, 1 ignored");
        let said = |text: &str| count(&Output::Kept(Mutex::default()), &mut shell(text));
        let one = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'";
        assert_eq!(said(one).unwrap(), "2 tests passed, 0 failed, 0 ignored");
        assert!(said(&format!("{one}; exit 1")).is_err());
        assert!(said("echo 'test result: FAILED. 0 passed; 1 failed; 0 ignored'").is_err());
        assert!(said("test \"$RUST_BACKTRACE\" = 0").is_ok());
    }

    #[test]
    fn failed_tests_are_told_with_what_they_said() {
        let said = |text: &str| {
            let counted = count(&Output::Kept(Mutex::default()), &mut shell(text));
            counted.unwrap_err().to_string()
        };
        let told = said("echo '---- a::b stdout ----'; echo 'panicked: broken'; exit 101");
        assert!(told.ends_with("exit status: 101\n\n---- a::b\npanicked: broken"), "{told}");
        // Where no test says anything there is what was said last.
        assert!(said("echo 'error: could not compile' >&2; exit 101").ends_with("not compile"));
    }
}
