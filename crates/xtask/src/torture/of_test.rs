//! The runs that belong to the project's tests: several at a time, and what has to have gone wrong in them.
//! It must not know how a run goes.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use xtask::artifacts::{self, Profile};

use super::check::Score;
use super::options::{Options, Store};
use super::person::Deed;
use super::{Ran, run_built};

/// How many runs go on at once: most of a run is waiting.
const WORKERS: usize = 3;

/// Runs them all.
///
/// # Errors
/// As [`super::run`], with all that failed; and when something that the runs are about did not go wrong.
pub(crate) fn test() -> Result<Vec<String>> {
    let artifacts = artifacts::build_as(Profile::Dev, true)?;
    let waiting = Mutex::new(VecDeque::from(Options::of_test()));
    let ended = Mutex::new(Vec::new());
    let take = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        while let Some(options) = take() {
            let begin = Instant::now();
            // A panic fails its run alone.
            let ran = catch_unwind(AssertUnwindSafe(|| run_built(&options, &artifacts)));
            let ran = ran.unwrap_or_else(|_| Err(anyhow!("it panicked")));
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.push((options, ran, begin.elapsed()));
        }
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    let ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (mut summaries, mut failed, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for (options, ran, took) in &ended {
        match ran {
            Ok(ran) => {
                summaries.push(summary(&options.told(), &ran.score, *took));
                if options.workload().is_none() {
                    plain.push((options.store(), ran));
                }
            }
            Err(error) => failed.push(format!("{}: {error:#}", options.told())),
        }
    }
    if failed.is_empty() {
        failed.extend(missing(&plain));
    }
    let of = ended.len();
    ensure!(failed.is_empty(), "{} of {of} runs\n\n{}", failed.len(), failed.join("\n"));
    Ok(summaries)
}

fn summary(what: &str, score: &Score, took: Duration) -> String {
    let Score { orders, double, told_wrong, .. } = score;
    let seconds = took.as_secs();
    format!("{what}: {orders} orders, {double} double, {told_wrong} told wrong, {seconds} s")
}

/// What did not happen in any of the runs without a control: a promise that nothing has tried is not kept.
fn missing(plain: &[(Store, &Ran)]) -> Option<String> {
    let toll = |count: fn(&Ran) -> &AtomicU64| {
        plain.iter().map(|(_, ran)| count(ran).load(Ordering::SeqCst)).sum::<u64>()
    };
    let shared = || plain.iter().filter(|(store, _)| *store == Store::Postgres);
    let restarts = shared().map(|(_, ran)| ran.toll.restarts.load(Ordering::SeqCst)).sum::<u64>();
    let hazards = [
        ("crashes of a gateway", toll(|ran| &ran.toll.crashes)),
        ("gateways stopped and continued", toll(|ran| &ran.toll.stops)),
        ("steps of a wall clock", toll(|ran| &ran.toll.steps)),
        ("restarts on PostgreSQL", restarts),
        ("gateways without a provider", toll(|ran| &ran.toll.lacking)),
        ("times that a provider hung", toll(|ran| &ran.toll.hangs)),
        ("ids that came back", plain.iter().map(|(_, ran)| ran.score.came_back as u64).sum()),
        ("early words of operators", plain.iter().map(|(_, ran)| ran.words.early as u64).sum()),
        ("late words of operators", plain.iter().map(|(_, ran)| ran.words.late as u64).sum()),
    ];
    let deeds = Deed::ALL.into_iter().filter(|deed| *deed != Deed::Changes).map(|deed| {
        let count = plain.iter().map(|(_, ran)| ran.deeds.count(deed)).sum();
        (deed.word(), count)
    });
    let missing =
        hazards.into_iter().chain(deeds).filter(|(_, count)| *count == 0).map(|(hazard, _)| hazard);
    let mut missing: Vec<&str> = missing.collect();
    if plain.iter().any(|(_, ran)| ran.toll.restores.load(Ordering::SeqCst) == 0) {
        missing.push("restored backup in each");
    }
    (!missing.is_empty())
        .then(|| format!("the runs without a control had no {}", missing.join(", no ")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::nemesis::Toll;
    use super::super::operator::Words;
    use super::super::person::Deeds;
    use super::{Deed, Ran, Score, Store, missing};

    #[test]
    fn missing_names_what_never_happened() {
        let deeds = || {
            let deeds = Deeds::default();
            Deed::ALL.into_iter().for_each(|deed| deeds.note(deed));
            deeds
        };
        let ran = |count: u64| Ran {
            score: Score { came_back: 1, ..Score::default() },
            deeds: Arc::new(deeds()),
            words: Words { early: 1, late: 1, ..Words::default() },
            toll: Toll {
                crashes: count.into(),
                stops: 1.into(),
                steps: 1.into(),
                restarts: count.into(),
                lacking: 1.into(),
                hangs: 1.into(),
                restores: 1.into(),
                ..Toll::default()
            },
        };
        let (good, calm) = (ran(1), ran(0));
        assert_eq!(missing(&[(Store::Postgres, &good), (Store::Sqlite, &calm)]), None);
        let told = missing(&[(Store::Postgres, &calm), (Store::Sqlite, &good)]).unwrap();
        assert!(told.ends_with("had no restarts on PostgreSQL"), "{told}");
        let told = missing(&[(Store::Sqlite, &calm)]).unwrap();
        assert!(told.ends_with("no crashes of a gateway, no restarts on PostgreSQL"), "{told}");
        let idle = Ran { deeds: Arc::default(), ..ran(1) };
        let told = missing(&[(Store::Postgres, &idle)]).unwrap();
        assert!(told.contains("no payments by a person, no renamings"), "{told}");
        let silent = Ran { words: Words::default(), ..ran(1) };
        let told = missing(&[(Store::Postgres, &silent)]).unwrap();
        assert!(
            told.ends_with("no early words of operators, no late words of operators"),
            "{told}"
        );
    }
}
