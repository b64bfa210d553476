//! Runs one check after another and keeps the score. A check that cannot run is never taken for one
//! that passed. It must not know any check.

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
    Passed,
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
        run: impl FnOnce() -> Result<()>,
    ) {
        self.any(name, self.strict, needs, run);
    }

    /// As [`Steps::step`], of one that may be left out everywhere. It is still said loudly.
    pub(crate) fn optional(
        &mut self,
        name: &str,
        needs: impl FnOnce() -> Result<()>,
        run: impl FnOnce() -> Result<()>,
    ) {
        self.any(name, false, needs, run);
    }

    fn any(
        &mut self,
        name: &str,
        strict: bool,
        needs: impl FnOnce() -> Result<()>,
        run: impl FnOnce() -> Result<()>,
    ) {
        println!("\n==> {name}");
        let begin = Instant::now();
        let outcome = match needs() {
            Err(missing) => Outcome::CannotRun { why: format!("{missing:#}"), counts: strict },
            Ok(()) => match run() {
                Ok(()) => Outcome::Passed,
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
        println!("\n{:<widest$}  result        seconds", "step");
        let mut bad = 0;
        for (name, outcome, took) in &self.done {
            println!("{name:<widest$}  {:<12}  {:>7.1}", outcome.word(), took.as_secs_f64());
            match outcome {
                Outcome::Passed => {}
                Outcome::Failed(why) => {
                    bad += 1;
                    println!("{:widest$}  {why}", "");
                }
                Outcome::CannotRun { why, counts } => {
                    bad += usize::from(*counts);
                    println!("{:widest$}  {why}", "");
                }
            }
        }
        ensure!(bad == 0, "{bad} of {} steps are not as they should be", self.done.len());
        Ok(())
    }
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "FAILED",
            Self::CannotRun { .. } => "DID NOT RUN",
        }
    }
}

/// Runs a command to its end with its output shown, and says now and then that it still runs.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn show(command: &mut Command) -> Result<()> {
    println!("    {}", line(command));
    let mut child =
        command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot run {command:?}"))?;
    let (done, running) = mpsc::channel::<()>();
    let begin = Instant::now();
    let heart = thread::spawn(move || {
        while running.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
            println!("    ... still running after {} s", begin.elapsed().as_secs());
        }
    });
    let status = child.wait();
    drop(done);
    if heart.join().is_err() {
        bail!("the heartbeat broke off");
    }
    let status = status?;
    ensure!(status.success(), "{} ended with {status}", line(command));
    Ok(())
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
        steps.step("good", || Ok(()), || Ok(()));
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
                Ok(())
            },
        );
        assert!(steps.close().is_err());
        assert!(ran);
    }

    #[test]
    fn what_cannot_run_fails_where_that_counts() {
        for strict in [false, true] {
            let mut steps = steps(strict);
            steps.optional("not needed", || bail!("no tool"), || Ok(()));
            steps.step("missing", || bail!("no compiler"), || Ok(()));
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
}
