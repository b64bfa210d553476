//! Runs one check after another, some of them side by side, and keeps the score. A check that cannot run
//! is never taken for one that passed. It must not know any check.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::command::Output;

/// How long a step may be silent before it is said that it still runs.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Steps {
    /// Whether a step that cannot run fails the whole.
    strict: bool,
    begin: Instant,
    done: Vec<Done>,
}

/// A step that runs beside others.
pub(crate) struct Step<'a> {
    name: &'a str,
    run: Run<'a>,
}

type Run<'a> = Box<dyn FnOnce(&Output) -> Result<String> + Send + 'a>;

/// A step that has ended.
#[derive(Debug)]
struct Done {
    name: String,
    outcome: Outcome,
    took: Duration,
}

#[derive(Debug)]
enum Outcome {
    /// With what it counted, if anything.
    Passed(String),
    /// The first line says it, and the others what there is to be known.
    Failed(String),
    CannotRun {
        why: String,
        /// Whether that fails the whole.
        counts: bool,
    },
}

impl<'a> Step<'a> {
    /// A step that needs nothing that could be missing.
    pub(crate) fn new(
        name: &'a str,
        run: impl FnOnce(&Output) -> Result<String> + Send + 'a,
    ) -> Self {
        Self { name, run: Box::new(run) }
    }
}

impl Steps {
    /// No steps yet.
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, begin: Instant::now(), done: Vec::new() }
    }

    /// Runs a step, unless `needs` says that something is missing. A failure does not keep the next
    /// steps from running: one run shows them all.
    pub(crate) fn step(
        &mut self,
        name: &str,
        needs: impl FnOnce() -> Result<()>,
        run: impl FnOnce(&Output) -> Result<String>,
    ) {
        self.any(name, self.strict, needs, run);
    }

    /// As [`Steps::step`], of one that may be left out everywhere. It is still said loudly.
    pub(crate) fn optional(
        &mut self,
        name: &str,
        needs: impl FnOnce() -> Result<()>,
        run: impl FnOnce(&Output) -> Result<String>,
    ) {
        self.any(name, false, needs, run);
    }

    /// Runs lanes side by side, and the steps of each one after another. What the steps of the first
    /// lane say is shown as it comes; what those of another say is shown whole when each has ended.
    pub(crate) fn together<'a>(&mut self, lanes: impl IntoIterator<Item = Vec<Step<'a>>>) {
        let run = |(lane, steps): (usize, Vec<Step<'a>>)| {
            let output = || if lane == 0 { Output::Shown } else { Output::Kept(Mutex::default()) };
            let perform = |step: Step<'a>| perform(step.name, output(), || Ok(()), true, step.run);
            steps.into_iter().map(perform).collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            let lanes = lanes.into_iter().enumerate();
            let lanes: Vec<_> = lanes.map(|lane| scope.spawn(move || run(lane))).collect();
            for lane in lanes {
                self.done.extend(lane.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
        });
    }

    fn any(
        &mut self,
        name: &str,
        strict: bool,
        needs: impl FnOnce() -> Result<()>,
        run: impl FnOnce(&Output) -> Result<String>,
    ) {
        self.done.push(perform(name, Output::Shown, needs, strict, run));
    }

    /// Prints the score, and at last what failed: where only the end of a log is seen, it is there.
    ///
    /// # Errors
    /// When a step failed, or, where that counts, could not run.
    pub(crate) fn close(self) -> Result<()> {
        let widest = self.done.iter().map(|done| done.name.len()).max().unwrap_or_default();
        println!("\n{:<widest$}  result       seconds", "step");
        let (mut passed, mut failed, mut not_run) = (0, 0, 0);
        for Done { name, outcome, took } in &self.done {
            match outcome {
                Outcome::Passed(_) => passed += 1,
                Outcome::Failed(_) => failed += 1,
                Outcome::CannotRun { .. } => not_run += 1,
            }
            let line =
                format!("{name:<widest$}  {:<11}  {:>7.1}", outcome.word(), took.as_secs_f64());
            println!("{line}  {}", outcome.told().lines().next().unwrap_or_default());
        }
        let seconds = self.begin.elapsed().as_secs_f64();
        println!("\n{passed} passed, {failed} failed, {not_run} did not run, in {seconds:.0} s");
        let wrong = self.wrong();
        for (name, why) in &wrong {
            println!("\n!!! {name}: {why}");
        }
        ensure!(
            wrong.is_empty(),
            "{} of {} steps are not as they should be",
            wrong.len(),
            self.done.len()
        );
        Ok(())
    }

    /// What fails the whole, and all that is known of it.
    fn wrong(&self) -> Vec<(&str, &str)> {
        let wrong = |done: &&Done| match done.outcome {
            Outcome::Passed(_) => false,
            Outcome::Failed(_) => true,
            Outcome::CannotRun { counts, .. } => counts,
        };
        let wrong = self.done.iter().filter(wrong);
        wrong.map(|done| (done.name.as_str(), done.outcome.told())).collect()
    }
}

/// Runs one step.
fn perform(
    name: &str,
    output: Output,
    needs: impl FnOnce() -> Result<()>,
    strict: bool,
    run: impl FnOnce(&Output) -> Result<String>,
) -> Done {
    let later = if matches!(output, Output::Shown) { "" } else { " (shown when it has ended)" };
    println!("\n==> {name}{later}");
    let begin = Instant::now();
    // A panic fails its step alone.
    let run = || match needs() {
        Err(missing) => Outcome::CannotRun { why: format!("{missing:#}"), counts: strict },
        Ok(()) => match run(&output) {
            Ok(counted) => Outcome::Passed(counted),
            Err(error) => Outcome::Failed(format!("{error:#}")),
        },
    };
    let outcome = beating(name, || catch_unwind(AssertUnwindSafe(run)));
    let outcome = outcome.unwrap_or_else(|_| Outcome::Failed("it panicked".to_owned()));
    let (word, took) = (outcome.word(), begin.elapsed());
    // At once, or the output of another step could come between.
    println!("{}==> {name}: {word} ({:.1} s)", output.kept(), took.as_secs_f64());
    if let Outcome::CannotRun { why, .. } = &outcome {
        println!("!!! {name} DID NOT RUN: {why}");
    }
    Done { name: name.to_owned(), outcome, took }
}

/// Runs something that may be silent for long, and says now and then that it still runs.
pub(crate) fn beating<T>(name: &str, run: impl FnOnce() -> T) -> T {
    let (done, running) = mpsc::channel::<()>();
    let begin = Instant::now();
    thread::scope(|scope| {
        scope.spawn(move || {
            while running.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                println!("    ... {name} still runs after {} s", begin.elapsed().as_secs());
            }
        });
        let result = run();
        drop(done);
        result
    })
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Failed(_) => "FAILED",
            Self::CannotRun { .. } => "DID NOT RUN",
        }
    }

    /// What it counted, or why it is not as it should be.
    fn told(&self) -> &str {
        match self {
            Self::Passed(told) | Self::Failed(told) | Self::CannotRun { why: told, .. } => told,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};

    use anyhow::bail;

    use super::*;

    fn steps(strict: bool) -> Steps {
        let mut steps = Steps::new(strict);
        steps.step("good", || Ok(()), |_| Ok(String::new()));
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
        steps.step("bad", || Ok(()), |_| bail!("broken"));
        steps.step("worse", || Ok(()), |_| panic!("broken"));
        steps.step(
            "next",
            || Ok(()),
            |_| {
                ran = true;
                Ok(String::new())
            },
        );
        assert_eq!(steps.wrong(), [("bad", "broken"), ("worse", "it panicked")]);
        assert!(steps.close().is_err());
        assert!(ran);
    }

    #[test]
    fn what_cannot_run_fails_where_that_counts() {
        for strict in [false, true] {
            let mut steps = steps(strict);
            steps.optional("not needed", || bail!("no tool"), |_| Ok(String::new()));
            steps.step("missing", || bail!("no compiler"), |_| Ok(String::new()));
            let wrong = if strict { vec![("missing", "no compiler")] } else { Vec::new() };
            assert_eq!(steps.wrong(), wrong);
            assert_eq!(steps.close().is_err(), strict);
        }
    }

    #[test]
    fn lanes_run_side_by_side_and_their_steps_one_after_another() {
        let mut steps = steps(false);
        let (meeting, first) = (Barrier::new(2), AtomicBool::new(false));
        let meet = |_: &Output| {
            meeting.wait();
            Ok(String::new())
        };
        let after = |_: &Output| {
            ensure!(first.load(Ordering::SeqCst), "the step before has not ended");
            Ok(String::new())
        };
        let fails = |output: &Output| {
            output.line("said");
            first.store(true, Ordering::SeqCst);
            bail!("broken")
        };
        steps.together([
            vec![Step::new("shown", meet)],
            vec![Step::new("kept", meet), Step::new("bad", fails), Step::new("after", after)],
        ]);
        let names: Vec<&str> = steps.done.iter().map(|done| done.name.as_str()).collect();
        assert_eq!(names, ["good", "shown", "kept", "bad", "after"]);
        assert_eq!(steps.wrong(), [("bad", "broken")]);
        assert!(steps.close().is_err());
    }
}
