//! Writes that the upstream accepted: success is the effect, and not the word, and failure is a word that
//! lasts.

use std::time::{Duration, Instant};

use super::losses::{Loss, Trace};
use super::report::Case;
use super::request::Request;
use super::stage::Stage;
use super::trial::{Trial, another, is_in, ms};
use super::{Disturbance, Failure, Happening, Outcome, Subject};
use crate::v1::operation::State;

/// How late an effect is that shows before anybody is asked.
const LAG: Duration = ms(700);

/// Longer than any case lasts.
const FOR_GOOD: Duration = Duration::from_secs(3600);

/// How late an answer comes after which something happens. An attempt may take longer.
const STALL: Duration = ms(300);

pub(super) async fn run<S: Subject>(
    stage: &Stage<'_, S>,
    trace: &Trace,
    loss: &Loss,
    sample: Request,
) -> Outcome<()> {
    let trial = Trial::begin(stage, trace, &loss.call).await;
    match loss.case {
        Case::FoundFailed => found_failed(&trial, sample).await,
        Case::EffectNever => effect_never(&trial, sample).await,
        Case::EffectLags => effect_lags(&trial, sample).await,
        Case::NotFoundOnce => not_found_once(&trial, sample).await,
        _ => refused_after(&trial, sample).await,
    }
}

/// That what is found in a state of failure has failed.
async fn found_failed<S: Subject>(trial: &Trial<'_, S>, sample: Request) -> Outcome<()> {
    trial.disturb(Disturbance::LoseUnderWay).await?;
    let name = trial.send(sample).await?;
    let sale = trial.sale().await?;
    trial.happens(Happening::Fails(&sale)).await?;
    is_in(&trial.rests(&name).await?, State::Failed, "UPSTREAM_FAILED")?;
    match trial.sold().await.len() {
        1 => Ok(()),
        sold => Err(Failure::new(format_args!("sold {sold} times"))),
    }
}

/// That an effect which does not show is an operator's, keeps its target meanwhile, and ends the operation
/// when it shows.
async fn effect_never<S: Subject>(trial: &Trial<'_, S>, sample: Request) -> Outcome<()> {
    trial.disturb(Disturbance::EffectLag(FOR_GOOD)).await?;
    let name = trial.send(sample.clone()).await?;
    trial.reached().await?;
    trial.is_locked(&name, &sample).await?;
    is_in(&trial.rests(&name).await?, State::NeedsOperator, "EFFECT_NOT_SEEN")?;
    trial.is_locked(&name, &sample).await?;
    trial.stage.subject.calm().await;
    is_in(&trial.ends(&name).await?, State::Succeeded, "")?;
    trial.is_whole(0).await
}

/// That a write has not succeeded before its effect can be read.
async fn effect_lags<S: Subject>(trial: &Trial<'_, S>, sample: Request) -> Outcome<()> {
    trial.disturb(Disturbance::EffectLag(LAG)).await?;
    let begun = Instant::now();
    let name = trial.send(sample).await?;
    is_in(&trial.rests(&name).await?, State::Succeeded, "")?;
    if begun.elapsed() < LAG {
        return Err(Failure::new("it succeeded before its effect could be read"));
    }
    trial.is_whole(0).await
}

/// That one read which knows nothing of what was accepted ends nothing.
async fn not_found_once<S: Subject>(trial: &Trial<'_, S>, sample: Request) -> Outcome<()> {
    trial.disturb(Disturbance::Stall(STALL)).await?;
    let name = trial.send(sample).await?;
    trial.reached().await?;
    trial.happens(Happening::NotFoundOnce(&trial.call.name)).await?;
    is_in(&trial.rests(&name).await?, State::Succeeded, "")?;
    trial.is_whole(0).await
}

/// That a payment which is accepted and not carried out fails, and keeps nothing from being paid.
async fn refused_after<S: Subject>(trial: &Trial<'_, S>, sample: Request) -> Outcome<()> {
    trial.disturb(Disturbance::Unpaid).await?;
    let name = trial.send(sample.clone()).await?;
    is_in(&trial.rests(&name).await?, State::Failed, "")?;
    trial.is_undone().await?;
    trial.stage.subject.calm().await;
    trial.stage.caller.perform(another(&sample)).await?;
    trial.is_whole(trial.call.times).await
}
