//! The places when they are compiled in: what is to happen is read once, at the start, from one line
//! of text. It must not be reachable in a build without the feature.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{process, thread};

use purveyor_sdk::plugin::v1::StepOutcome;
use purveyor_sdk::plugin::v1::step_outcome::{Outcome, Rejected, Unknown};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result as Said};
use rustix::process::{Signal, getpid, kill_process};

use super::{Control, Place};
use crate::plugin::{Seen, Stepped};

/// Found by the search of the shipped program for what must not be in it.
const MARK: &str = "purveyor-failpoints-are-compiled-in";

static PLAN: OnceLock<Plan> = OnceLock::new();
static PASSED: AtomicU64 = AtomicU64::new(0);
static SENT: AtomicU64 = AtomicU64::new(0);
static STOP_PASSED: AtomicU64 = AtomicU64::new(0);
static STEPPED: AtomicU64 = AtomicU64::new(0);

/// What is to happen in this process.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    abort: Option<Abort>,
    stall: Option<Stall>,
    stop: Option<Stop>,
    /// So many of a hundred steps with a complete answer end with a plugin error.
    plugin_errors: u64,
    /// Where files ask for a plugin error each.
    errors: Option<PathBuf>,
    control: Option<Control>,
    seed: u64,
}

/// The process stops itself (SIGSTOP) at every nth pass of a place; another process continues it.
#[derive(Debug, PartialEq, Eq)]
struct Stop {
    place: u64,
    nth: u64,
}

/// The process ends when a place is passed for the nth time, and so many microseconds later.
#[derive(Debug, PartialEq, Eq)]
struct Abort {
    place: u64,
    nth: u64,
    delay: Duration,
}

/// So many of a hundred sends are held up right before the write.
#[derive(Debug, PartialEq, Eq)]
struct Stall {
    percent: u64,
    pause: Duration,
}

/// Reads what is to happen, as in `abort=8:3:500,stall=30:7000,control=naive,seed=5`; `stop=exchanged:2`
/// stops the process at every second pass of a place, which has a name and a number, and
/// `plugin-errors=5` is a percentage. To be called once, before anything is served.
///
/// # Errors
///
/// What is not understood.
pub fn arm(text: &str) -> Result<(), String> {
    let plan = read(text)?;
    tracing::warn!(mark = MARK, ?plan, "this build is for the torture run alone");
    // A second call changes nothing; there is none.
    let _plan = PLAN.get_or_init(|| plan);
    Ok(())
}

/// Comes by a place; the process may stop or end here.
pub fn pass(place: Place) {
    if let Some(Stop { place: wanted, nth }) = plan().and_then(|plan| plan.stop.as_ref())
        && place as u64 == *wanted
        && (STOP_PASSED.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(*nth)
    {
        // The kernel always lets a process stop itself.
        let _stopped = kill_process(getpid(), Signal::STOP);
    }
    let Some(Abort { place: wanted, nth, delay }) = plan().and_then(|plan| plan.abort.as_ref())
    else {
        return;
    };
    if place as u64 != *wanted || PASSED.fetch_add(1, Ordering::SeqCst) + 1 != *nth {
        return;
    }
    if delay.is_zero() {
        process::abort();
    }
    let delay = *delay;
    thread::spawn(move || {
        thread::sleep(delay);
        process::abort();
    });
}

/// How long the send that is about to be written is held up, if it is.
pub fn stall() -> Option<Duration> {
    let plan = plan()?;
    let Stall { percent, pause } = plan.stall.as_ref()?;
    let number = mixed(plan.seed ^ mixed(SENT.fetch_add(1, Ordering::SeqCst)));
    (number % 100 < *percent).then_some(*pause)
}

/// Whether something is to happen to a step whose request the upstream has accepted: once for each file in
/// the folder of errors that is named as the provider, and holds a word for it and the name of the call.
fn asked(what: &str, stepped: &Stepped, provider: &str) -> bool {
    let Some(folder) = plan().and_then(|plan| plan.errors.as_ref()) else { return false };
    let file = folder.join(provider);
    let asked = std::fs::read_to_string(&file).unwrap_or_default();
    let accepted = stepped.spend.as_ref().is_some_and(|spend| {
        asked == format!("{what} {}", spend.call)
            && matches!(spend.seen, Seen::Success { .. } | Seen::PaymentDue { .. })
    });
    // It happens to whoever removes it.
    accepted && std::fs::remove_file(&file).is_ok()
}

/// Whether another gateway takes the operation over before the step's end is stored, and does not find what
/// was bought.
pub fn taken_over(stepped: &Stepped, provider: &str) -> bool {
    asked("taken-over", stepped, provider)
}

/// Whether the object in the answer is another operation's, and the gateway ends before that is stored.
pub fn contested(stepped: &Stepped, provider: &str) -> bool {
    asked("contested", stepped, provider)
}

/// Replaces the plugin's outcome by an error, for some of the steps whose answer the host has seen: by
/// chance, or where it is asked for.
pub fn misreport(stepped: &mut Stepped, provider: &str) {
    let Some(plan) = plan() else { return };
    if asked("error", stepped, provider) {
        stepped.said = plugin_error(0);
    }
    if plan.plugin_errors == 0 {
        return;
    }
    let answered = stepped.spend.as_ref().is_some_and(|spend| {
        matches!(
            spend.seen,
            Seen::Success { .. } | Seen::PaymentDue { .. } | Seen::Refusable { .. }
        )
    });
    if !answered {
        return;
    }
    let number = mixed(plan.seed ^ mixed(STEPPED.fetch_add(1, Ordering::SeqCst) ^ (1 << 63)));
    if number % 100 < plan.plugin_errors {
        stepped.said = plugin_error(number / 100);
    }
}

/// What a wrong plugin may return after a complete answer.
fn plugin_error(number: u64) -> Said<StepOutcome> {
    let reasons = [
        ErrorReason::PluginFault,
        ErrorReason::UpstreamUnavailable,
        ErrorReason::UpstreamFailed,
        ErrorReason::FieldViolation,
    ];
    let outcome = match usize::try_from(number % 6).unwrap_or_default() {
        4 => Outcome::Rejected(Rejected::default()),
        5 => Outcome::Unknown(Unknown { message: "the plugin does not understand".to_owned() }),
        index => return Err(Error::new(reasons[index], "the plugin failed after the answer")),
    };
    Ok(StepOutcome { outcome: Some(outcome) })
}

/// The settle window, or none at all.
pub fn settle(window: Duration) -> Duration {
    if control(Control::NoSettle) { Duration::ZERO } else { window }
}

/// Whether this process is that negative control.
pub fn control(control: Control) -> bool {
    plan().is_some_and(|plan| plan.control == Some(control))
}

fn plan() -> Option<&'static Plan> {
    PLAN.get()
}

/// splitmix64.
fn mixed(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

fn read(text: &str) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("{part:?} has no value"))?;
        let numbers = || -> Result<Vec<u64>, String> {
            let placed = matches!(key, "abort" | "stop");
            let number = |(index, word): (usize, &str)| {
                let place = numbered(word).filter(|_| placed && index == 0);
                place.map_or_else(|| word.parse(), Ok)
            };
            let parsed = value.split(':').enumerate().map(number).collect::<Result<_, _>>();
            parsed.map_err(|error| format!("{part:?}: {error}"))
        };
        match key {
            "abort" => {
                let [place, nth, micros] = numbers()?[..] else {
                    return Err(format!("{part:?} is not place:nth:microseconds"));
                };
                plan.abort = Some(Abort { place, nth, delay: Duration::from_micros(micros) });
            }
            "stall" => {
                let [percent, millis] = numbers()?[..] else {
                    return Err(format!("{part:?} is not percent:milliseconds"));
                };
                plan.stall = Some(Stall { percent, pause: Duration::from_millis(millis) });
            }
            "stop" => {
                let [place, nth] = numbers()?[..] else {
                    return Err(format!("{part:?} is not place:nth"));
                };
                if nth == 0 {
                    return Err(format!("{part:?} names no pass"));
                }
                plan.stop = Some(Stop { place, nth });
            }
            "errors" => plan.errors = Some(PathBuf::from(value)),
            "plugin-errors" => {
                let [percent] = numbers()?[..] else {
                    return Err(format!("{part:?} is not a percentage"));
                };
                plan.plugin_errors = percent;
            }
            "seed" => {
                plan.seed = value.parse().map_err(|error| format!("{part:?}: {error}"))?;
            }
            "control" => plan.control = Some(named(value)?),
            _ => return Err(format!("{key:?} is not known")),
        }
    }
    Ok(plan)
}

/// The number of a place by its name.
fn numbered(place: &str) -> Option<u64> {
    let named = |it: &&Place| format!("{it:?}").eq_ignore_ascii_case(&place.replace('-', ""));
    Place::ALL.iter().find(named).map(|place| *place as u64)
}

fn named(control: &str) -> Result<Control, String> {
    match control {
        "naive" => Ok(Control::Naive),
        "no-settle" => Ok(Control::NoSettle),
        "no-preconnect" => Ok(Control::NoPreconnect),
        "success-may-be-absent" => Ok(Control::SuccessMayBeAbsent),
        "shared-account-key" => Ok(Control::SharedAccountKey),
        "lock-by-provider" => Ok(Control::LockByProvider),
        "late-answer-dropped" => Ok(Control::LateAnswerDropped),
        "clock-believed" => Ok(Control::ClockBelieved),
        "blind-absence" => Ok(Control::BlindAbsence),
        "word-is-success" => Ok(Control::WordIsSuccess),
        "early-resolve" => Ok(Control::EarlyResolve),
        "refusal-without-look" => Ok(Control::RefusalWithoutLook),
        "restored-backup" => Ok(Control::RestoredBackup),
        _ => Err(format!("{control:?} is no control")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_happen_is_one_line() {
        let check = |text: &str, expected: Option<Plan>| assert_eq!(read(text).ok(), expected);
        check("", Some(Plan::default()));
        let abort = Abort { place: 8, nth: 3, delay: Duration::from_micros(500) };
        let stall = Stall { percent: 30, pause: Duration::from_millis(7000) };
        let (abort, stall, control) = (Some(abort), Some(stall), Some(Control::Naive));
        let whole = "abort=8:3:500,stall=30:7000,control=naive,seed=5";
        check(whole, Some(Plan { abort, stall, control, seed: 5, ..Plan::default() }));
        let stop = Some(Stop { place: 10, nth: 2 });
        check(
            "stop=10:2,plugin-errors=5",
            Some(Plan { stop, plugin_errors: 5, ..Plan::default() }),
        );
        let stop = |place, nth| Some(Plan { stop: Some(Stop { place, nth }), ..Plan::default() });
        check("stop=exchanged:1", stop(10, 1));
        check("stop=baseline-taken:3", stop(4, 3));
        let wrong = [
            "abort=nowhere:1:1",
            "abort",
            "abort=8",
            "abort=8:x:1",
            "stall=1:2:3",
            "control=odd",
            "other=1",
        ];
        for wrong in
            wrong.into_iter().chain(["stop=10", "stop=10:0", "plugin-errors=1:2", "plugin-errors"])
        {
            check(wrong, None);
        }
    }

    #[test]
    fn plugin_error_after_an_answer_is_never_a_success() {
        for number in 0..6 {
            let said = plugin_error(number);
            let success = said.is_ok_and(|step| {
                matches!(
                    step.outcome,
                    Some(Outcome::Done(_) | Outcome::Next(_) | Outcome::Pending(_))
                )
            });
            assert!(!success, "{number}");
        }
    }
}
