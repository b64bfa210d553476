//! Writes whose answer was lost or proves nothing: nothing is bought a second time before every witness
//! says that it was not bought.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::join;

use super::caller::{told, until};
use super::losses::{Loss, Trace, resolved};
use super::report::Case;
use super::request::Request;
use super::stage::Stage;
use super::trial::{Trial, another, is_in, ms};
use super::{Disturbance, Failure, Happening, Outcome, Subject};
use crate::v1::operation::State;
use crate::v1::{Effect, Evidence, Operation};

/// How long after its window an absence is still not believed.
const AFTERWARDS: Duration = ms(400);

/// So many reconciliation windows decide, whoever else buys.
const WINDOWS: u32 = 3;

pub(super) async fn run<S: Subject>(
    stage: &Stage<'_, S>,
    trace: &Trace,
    loss: &Loss,
    sample: Request,
) -> Outcome<()> {
    if matches!(loss.case, Case::ListNotWhole | Case::NewestEnded) {
        return newest(stage, trace, loss, sample).await;
    }
    let trial = Trial::begin(stage, trace, &loss.call).await;
    match loss.case {
        Case::Undeclared => {
            undeclared(&trial, &sample).await?;
            let sample = stage.sample(trace.op).await?;
            let trial = Trial::begin(stage, trace, &loss.call).await;
            undeclared_and_done(&trial, sample).await
        }
        Case::MarkCut => mark_cut(&trial, sample).await,
        Case::Renamed => renamed(&trial, sample).await,
        Case::DatedAhead => dated_ahead(&trial, sample).await,
        _ => sustained(&trial, sample).await,
    }
}

/// That a refusal which nobody declares is not sent again, and fails when its absence is proven. What is
/// only set is sent again.
async fn undeclared<S: Subject>(trial: &Trial<'_, S>, sample: &Request) -> Outcome<()> {
    trial.disturb(Disturbance::Undeclared { committed: false }).await?;
    let operation = trial.rests(&trial.send(sample.clone()).await?).await?;
    match (trial.call.effect, trial.trace.evidence) {
        (_, Evidence::None) if operation.state() == State::NeedsOperator => {
            trial.is_undone().await?;
            resolved(trial.stage, &operation, None).await
        }
        (Effect::Setting, _) => is_in(&operation, State::Succeeded, ""),
        _ => {
            is_in(&operation, State::Failed, "UPSTREAM_REJECTED")?;
            trial.is_undone().await
        }
    }
}

/// That it is found where it took effect all the same.
async fn undeclared_and_done<S: Subject>(trial: &Trial<'_, S>, sample: Request) -> Outcome<()> {
    trial.disturb(Disturbance::Undeclared { committed: true }).await?;
    let operation = trial.rests(&trial.send(sample).await?).await?;
    if trial.call.effect == Effect::Setting && operation.state() == State::Succeeded {
        return Ok(());
    }
    trial.is_whole(0).await?;
    found_or_asked(trial, &operation).await
}

async fn found_or_asked<S: Subject>(trial: &Trial<'_, S>, operation: &Operation) -> Outcome<()> {
    match operation.state() {
        State::NeedsOperator => trial.is_resolved(operation).await,
        _ => is_in(operation, State::Succeeded, ""),
    }
}

/// That what bears no mark of ours is an operator's.
async fn mark_cut<S: Subject>(trial: &Trial<'_, S>, sample: Request) -> Outcome<()> {
    trial.disturb(Disturbance::CutMark).await?;
    let name = trial.send(sample).await?;
    is_candidate(trial, &name).await
}

/// As [`mark_cut`], where a person has renamed it.
async fn renamed<S: Subject>(trial: &Trial<'_, S>, sample: Request) -> Outcome<()> {
    trial.disturb(Disturbance::LoseUnderWay).await?;
    let name = trial.send(sample).await?;
    let sale = trial.sale().await?;
    trial.happens(Happening::Renamed(&sale)).await?;
    is_candidate(trial, &name).await
}

/// That an operation needs an operator, who is shown what was sold, and that naming it ends the operation.
async fn is_candidate<S: Subject>(trial: &Trial<'_, S>, name: &str) -> Outcome<()> {
    let operation = trial.rests(name).await?;
    is_in(&operation, State::NeedsOperator, "")?;
    let sale = trial.sale().await?;
    if !operation.candidates.iter().any(|it| it.names(&sale.id)) {
        let candidates = &operation.candidates;
        return Err(Failure::new(format_args!("{} is not among {candidates:?}", sale.id)));
    }
    if trial.sent().await != trial.call.times {
        return Err(Failure::new("it was sent again"));
    }
    trial.is_resolved(&operation).await?;
    trial.is_whole(0).await
}

/// That a row of somebody else which is dated ahead does not hide what was sold.
async fn dated_ahead<S: Subject>(trial: &Trial<'_, S>, sample: Request) -> Outcome<()> {
    trial.happens(Happening::BoughtAhead).await?;
    trial.disturb(Disturbance::LoseAfterCommit).await?;
    let operation = trial.rests(&trial.send(sample).await?).await?;
    trial.is_whole(0).await?;
    found_or_asked(trial, &operation).await
}

/// What the account is known to have does not show any more, because listings lack it or because it has
/// ended.
async fn newest<S: Subject>(
    stage: &Stage<'_, S>,
    trace: &Trace,
    loss: &Loss,
    earlier: Request,
) -> Outcome<()> {
    let before = Trial::begin(stage, trace, &loss.call).await;
    stage.caller.perform(earlier).await?;
    let known = before.sale().await?;
    let sample = stage.sample(trace.op).await?;
    let trial = Trial::begin(stage, trace, &loss.call).await;
    trial.disturb(Disturbance::LoseBeforeCommit).await?;
    let name = trial.send(sample).await?;
    trial.reached().await?;
    if loss.case == Case::NewestEnded {
        trial.happens(Happening::Ended(&known)).await?;
        let operation = trial.rests(&name).await?;
        return sent_again_or_asked(&trial, &operation).await;
    }
    trial.happens(Happening::ListingsLack).await?;
    until_conclusive(&trial, &name).await?;
    trial.is_undone().await?;
    stage.subject.calm().await;
    is_in(&trial.rests(&name).await?, State::Succeeded, "")?;
    trial.is_whole(1).await
}

async fn sent_again_or_asked<S: Subject>(
    trial: &Trial<'_, S>,
    operation: &Operation,
) -> Outcome<()> {
    if operation.state() == State::NeedsOperator {
        trial.is_undone().await?;
        return resolved(trial.stage, operation, None).await;
    }
    is_in(operation, State::Succeeded, "")?;
    trial.is_whole(1).await
}

/// Waits until absence could have been believed for a while.
async fn until_conclusive<S: Subject>(trial: &Trial<'_, S>, name: &str) -> Outcome<()> {
    until("its window is over", async || {
        let operation = trial.stage.caller.operation(name).await?;
        if operation.done || operation.attempts.len() > 1 {
            let told = told(&operation);
            return Err(Failure::new(format_args!("absence was believed: {told}")));
        }
        let settled = operation.settle_time.and_then(|time| SystemTime::try_from(time).ok());
        Ok(settled.filter(|time| SystemTime::now() > *time + AFTERWARDS).map(drop))
    })
    .await
}

/// That a lost request is sent again in time although somebody else buys the same, one after the other.
async fn sustained<S: Subject>(trial: &Trial<'_, S>, sample: Request) -> Outcome<()> {
    let stage = trial.stage;
    trial.disturb(Disturbance::LoseBeforeCommit).await?;
    let name = trial.send(sample).await?;
    trial.reached().await?;
    let decided = AtomicBool::new(false);
    let lost = async {
        let operation = trial.rests(&name).await;
        decided.store(true, Ordering::Relaxed);
        operation
    };
    let buying = async {
        let mut bought = 0;
        while !decided.load(Ordering::Relaxed) {
            let sample = stage.subject.sample(&stage.caller, trial.trace.op).await?;
            let sample = sample.ok_or_else(|| Failure::new("the subject has no sample"))?;
            stage.caller.perform(another(&sample)).await?;
            bought += 1;
        }
        Outcome::Ok(bought)
    };
    let (operation, bought) = join!(lost, buying);
    let (operation, bought) = (operation?, bought?);
    is_in(&operation, State::Succeeded, "")?;
    in_time(trial, &operation)?;
    // What a sample needs beforehand is sold as well.
    let sold = trial.sold().await;
    let alike = sold.iter().filter(|sale| trial.trace.sold.contains(&sale.kind)).count();
    let expected = trial.trace.sold.len() * (bought + 1);
    if alike == expected {
        return Ok(());
    }
    Err(Failure::new(format_args!("sold {alike} instead of {expected}: {sold:?}")))
}

/// That the second attempt of the call was sent soon enough after the first one.
fn in_time<S: Subject>(trial: &Trial<'_, S>, operation: &Operation) -> Outcome<()> {
    let attempts = operation.attempts.iter().filter(|it| it.call == trial.call.name);
    let sent: Vec<SystemTime> =
        attempts.filter_map(|it| SystemTime::try_from(it.send_time?).ok()).collect();
    let [first, second] = sent.as_slice() else {
        return Err(Failure::new(format_args!("it was sent {} times", sent.len())));
    };
    let took = second.duration_since(*first).unwrap_or_default();
    let limits = trial.stage.claims.limits.as_ref();
    let window = limits.and_then(|limits| Duration::try_from(limits.settle?).ok());
    let window = window.unwrap_or_default();
    if took <= window * WINDOWS {
        return Ok(());
    }
    Err(Failure::new(format_args!("it took {took:?}, and a window is {window:?}")))
}
