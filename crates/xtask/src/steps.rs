//! Runs one check after another and keeps the score. A check that cannot run is never taken for one
//! that passed. It must not know any check.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long a step may be silent before it is said that it still runs.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Steps {
    /// Whether a step that cannot run fails the whole.
    strict: bool,
    done: Vec<(String, Outcome, Duration)>,
}

#[derive(Debug)]
enum Outcome {
    /// With what it counted, if anything.
    Passed(String),
    Failed(String),
    CannotRun {
        why: String,
        /// Whether that fails the whole.
        counts: bool,
    },
}

impl Steps {
    /// No steps yet.
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, done: Vec::new() }
    }

    /// Runs a step, unless `needs` says that something is missing. A failure does not keep the next
    /// steps from running: one run shows them all.
    pub(crate) fn step(
        &mut self,
        name: &str,
        needs: impl FnOnce() -> Result<()>,
        run: impl FnOnce() -> Result<String>,
    ) {
        self.any(name, self.strict, needs, run);
    }

    /// As [`Steps::step`], of one that may be left out everywhere. It is still said loudly.
    pub(crate) fn optional(
        &mut self,
        name: &str,
        needs: impl FnOnce() -> Result<()>,
        run: impl FnOnce() -> Result<String>,
    ) {
        self.any(name, false, needs, run);
    }

    fn any(
        &mut self,
        name: &str,
        strict: bool,
        needs: impl FnOnce() -> Result<()>,
        run: impl FnOnce() -> Result<String>,
    ) {
        println!("\n==> {name}");
        let begin = Instant::now();
        let outcome = match needs() {
            Err(missing) => Outcome::CannotRun { why: format!("{missing:#}"), counts: strict },
            Ok(()) => match run() {
                Ok(counted) => Outcome::Passed(counted),
                Err(error) => Outcome::Failed(format!("{error:#}")),
            },
        };
        let took = begin.elapsed();
        println!("==> {name}: {} ({:.1} s)", outcome.word(), took.as_secs_f64());
        if let Outcome::CannotRun { why, .. } = &outcome {
            println!("!!! {name} DID NOT RUN: {why}");
        }
        self.done.push((name.to_owned(), outcome, took));
    }

    /// Prints the score.
    ///
    /// # Errors
    /// When a step failed, or, where that counts, could not run.
    pub(crate) fn close(self) -> Result<()> {
        let widest = self.done.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
        println!("\n{:<widest$}  result       seconds", "step");
        let (mut passed, mut failed, mut not_run, mut bad) = (0, 0, 0, 0);
        for (name, outcome, took) in &self.done {
            let said = match outcome {
                Outcome::Passed(counted) => {
                    passed += 1;
                    counted
                }
                Outcome::Failed(why) => {
                    failed += 1;
                    bad += 1;
                    why
                }
                Outcome::CannotRun { why, counts } => {
                    not_run += 1;
                    bad += usize::from(*counts);
                    why
                }
            };
            let line =
                format!("{name:<widest$}  {:<11}  {:>7.1}", outcome.word(), took.as_secs_f64());
            println!("{line}  {}", said.lines().next().unwrap_or_default());
        }
        let seconds: f64 = self.done.iter().map(|(.., took)| took.as_secs_f64()).sum();
        println!("\n{passed} passed, {failed} failed, {not_run} did not run, in {seconds:.0} s");
        ensure!(bad == 0, "{bad} of {} steps are not as they should be", self.done.len());
        Ok(())
    }
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Failed(_) => "FAILED",
            Self::CannotRun { .. } => "DID NOT RUN",
        }
    }
}

/// Runs a command to its end with its output shown, and says now and then that it still runs.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn show(command: &mut Command) -> Result<String> {
    println!("    {}", line(command));
    command.stdin(Stdio::null());
    let status = beating(|| {
        let child = command.spawn();
        Ok(child.with_context(|| format!("cannot run {command:?}"))?.wait()?)
    })?;
    ensure!(status.success(), "{} ended with {status}", line(command));
    Ok(String::new())
}

/// As [`show`], of a command that runs test binaries: tells how many tests there were.
///
/// # Errors
/// As [`show`], with the numbers.
pub(crate) fn count(command: &mut Command) -> Result<String> {
    println!("    {}", line(command));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut tests = Tests::default();
    let status = beating(|| {
        let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let output = child.stdout.take().context("the output is not piped")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            tests.note(&line);
            println!("{line}");
        }
        Ok(child.wait()?)
    })?;
    let counted = tests.told();
    ensure!(status.success() && tests.failed == 0, "{counted}; it ended with {status}");
    Ok(counted)
}

/// Runs something that may be silent for long.
fn beating<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    let (done, running) = mpsc::channel::<()>();
    let begin = Instant::now();
    let heart = thread::spawn(move || {
        while running.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
            println!("    ... still running after {} s", begin.elapsed().as_secs());
        }
    });
    let result = run();
    drop(done);
    if heart.join().is_err() {
        bail!("the heartbeat broke off");
    }
    result
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

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(strict: bool) -> Steps {
        let mut steps = Steps::new(strict);
        steps.step("good", || Ok(()), || Ok(String::new()));
        steps
    }

    #[test]
    fn all_good_is_good() {
        steps(true).close().unwrap();
    }

    #[test]
    fn a_failure_fails_the_whole_and_the_next_step_runs() {
        let mut steps = steps(false);
        let mut ran = false;
        steps.step("bad", || Ok(()), || bail!("broken"));
        steps.step(
            "next",
            || Ok(()),
            || {
                ran = true;
                Ok(String::new())
            },
        );
        assert!(steps.close().is_err());
        assert!(ran);
    }

    #[test]
    fn what_cannot_run_fails_where_that_counts() {
        for strict in [false, true] {
            let mut steps = steps(strict);
            steps.optional("not needed", || bail!("no tool"), || Ok(String::new()));
            steps.step("missing", || bail!("no compiler"), || Ok(String::new()));
            assert_eq!(steps.close().is_err(), strict);
        }
    }

    #[test]
    fn a_command_that_fails_is_a_failure() {
        show(&mut Command::new("true")).unwrap();
        assert!(show(&mut Command::new("false")).is_err());
        assert!(show(&mut Command::new("no-such-program-here")).is_err());
        assert!(have(&mut Command::new("no-such-program-here"), "install it").is_err());
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
        let said = |text: &str| count(Command::new("sh").args(["-c", text]));
        let one = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'";
        assert_eq!(said(one).unwrap(), "2 tests passed, 0 failed, 0 ignored");
        assert!(said(&format!("{one}; exit 1")).is_err());
        assert!(said("echo 'test result: FAILED. 0 passed; 1 failed; 0 ignored'").is_err());
    }
}
