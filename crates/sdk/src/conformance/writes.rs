//! A write when nothing goes wrong: a quote that does nothing, one effect however often it is sent, and
//! refusals that leave nothing behind.

use futures_util::join;
use tonic::Code;

use super::caller::{ready, request_id, succeeded, told};
use super::leaves;
use super::losses::{Trace, traced};
use super::report::{Case, Score};
use super::request::Request;
use super::stage::Stage;
use super::{Disturbance, Failure, Outcome, Rejection, Subject, Violation};
use crate::op;
use crate::plugin::v1::Op;
use crate::v1::operation::{Result as Came, State};
use crate::v1::{Effect, MethodCapability, Operation, Quote};

/// Tells what the write did, for the cases in which something goes wrong.
pub(super) async fn run<S: Subject>(
    stage: &Stage<'_, S>,
    op: Op,
    score: &mut Score,
) -> Option<Trace> {
    let method = op::info(op).map_or("", |info| info.method);
    leaves::run(stage, op, method, score).await;
    let claim = stage.claim(op)?;
    let sample = match stage.sample(op).await {
        Ok(sample) => sample,
        Err(failure) => {
            score.note(Case::HappyPath, method, Err(failure));
            return None;
        }
    };
    let quoted = quoted(stage, claim, sample.clone()).await;
    let prepared = quoted.as_ref().map(prepares).unwrap_or_default();
    score.note(Case::Quote, method, quoted.map(drop));
    let (once, trace) = performed(stage, claim, &sample, &prepared).await;
    score.note(Case::HappyPath, method, once);
    let trace = trace?;
    score.note(Case::Repeat, method, repeated(stage, &trace, &sample).await);
    score.note(Case::ReusedId, method, reused(stage, &trace, sample.clone()).await);
    score.note(Case::Violation, method, violated(stage, &trace, sample).await);
    score.note_some(Case::Encoded, method, encoded(stage, &trace).await.transpose());
    score.note_some(Case::BoughtAgain, method, bought_again(stage, &trace).await);
    score.note_some(Case::Rejection, method, rejected(stage, op).await);
    stage.subject.calm().await;
    Some(trace)
}

/// That a write succeeds whose answers come compressed and with a byte order mark.
async fn encoded<S: Subject>(stage: &Stage<'_, S>, trace: &Trace) -> Outcome<Option<()>> {
    let sample = stage.sample(trace.op).await?;
    let Some(call) = trace.calls.first() else { return Ok(None) };
    if !stage.subject.disturb(&call.name, Disturbance::Encoded).await? {
        return Ok(None);
    }
    let moment = stage.moment().await;
    let performed = stage.caller.perform(sample).await;
    stage.subject.calm().await;
    performed?;
    let sold = super::losses::kinds(&stage.sold_since(&moment).await);
    if sold != trace.sold {
        return Err(Failure::new(format_args!("sold {sold:?} and not {:?}", trace.sold)));
    }
    Ok(Some(()))
}

/// The calls of a quote that cost nothing and lapse by themselves.
fn prepares(quote: &Quote) -> Vec<String> {
    let steps = quote.steps.iter().filter(|step| step.effect() == Effect::Prepare);
    steps.map(|step| step.call.clone()).collect()
}

/// That `validate_only` tells what would be done, does none of it, and leaves the request id alone.
async fn quoted<S: Subject>(
    stage: &Stage<'_, S>,
    claim: &MethodCapability,
    mut request: Request,
) -> Outcome<Quote> {
    let mut id = String::new();
    if let Some(frame) = request.frame() {
        *frame.validate_only = true;
        id.clone_from(frame.request_id);
    }
    let moment = stage.moment().await;
    let operation = stage.caller.accepted(request).await?;
    let Operation { done: true, result: Some(Came::Quote(quote)), .. } = operation else {
        return Err(Failure::new(format_args!("not a quote: {}", told(&operation))));
    };
    if !operation.name.is_empty() {
        return Err(Failure::new("the quote has a name, as if it were stored"));
    }
    let changing = quote.steps.iter().filter(|step| step.effect() > Effect::Prepare);
    let changing: Vec<String> = changing.map(|step| step.call.clone()).collect();
    stage.nothing_since(&moment, &changing).await?;
    not_stored(stage, &id).await?;
    agrees(claim, &quote)?;
    Ok(quote)
}

/// That a quote says what the capabilities say.
fn agrees(claim: &MethodCapability, quote: &Quote) -> Outcome<()> {
    if let Some(step) = quote.steps.iter().find(|step| !claim.calls.contains(&step.call)) {
        return Err(Failure::new(format_args!(
            "{} is not among the calls of the claim",
            step.call
        )));
    }
    let effect = quote.steps.iter().map(|step| step.effect()).max().unwrap_or(Effect::Read);
    if effect > claim.effect() {
        return Err(Failure::new("a step does more than the claim says"));
    }
    if quote.steps.is_empty() && claim.effect() > Effect::Read {
        return Err(Failure::new("the quote has no steps"));
    }
    if claim.validate_asks_upstream && !quote.upstream_asked {
        return Err(Failure::new("the claim says that the upstream is asked, the quote denies it"));
    }
    if claim.price_known && quote.price.is_none() {
        return Err(Failure::new("the claim says that the price is known, the quote has none"));
    }
    Ok(())
}

/// That no operation has this request id.
async fn not_stored<S: Subject>(stage: &Stage<'_, S>, request_id: &str) -> Outcome<()> {
    match stage.caller.operation(&format!("operations/{request_id}")).await {
        Err(refusal) => refusal.must_be(Code::NotFound, "OPERATION_NOT_FOUND", ""),
        Ok(operation) => Err(Failure::new(format_args!("it was stored: {}", told(&operation)))),
    }
}

/// That a write, sent twice at once, is one operation which succeeds and does what it claims. What it
/// did is told also where it is not what was claimed.
async fn performed<S: Subject>(
    stage: &Stage<'_, S>,
    claim: &MethodCapability,
    sample: &Request,
    prepared: &[String],
) -> (Outcome<()>, Option<Trace>) {
    let moment = stage.moment().await;
    let operation = match Box::pin(sent_twice(stage, sample)).await {
        Ok(operation) => operation,
        Err(failure) => return (Err(failure), None),
    };
    let trace = traced(stage, claim, sample.op(), &operation, prepared, &moment).await;
    (did_as_claimed(claim, &operation, &trace), Some(trace))
}

async fn sent_twice<S: Subject>(stage: &Stage<'_, S>, sample: &Request) -> Outcome<Operation> {
    let (first, second) =
        join!(stage.caller.accepted(sample.clone()), stage.caller.accepted(sample.clone()));
    let (first, second) = (first?, second?);
    if first.name != second.name {
        return Err(Failure::new("the same request, sent twice at once, is two operations"));
    }
    let operation = stage.caller.rests(&first.name).await?;
    succeeded(&operation)?;
    Ok(operation)
}

fn did_as_claimed(claim: &MethodCapability, operation: &Operation, trace: &Trace) -> Outcome<()> {
    for attempt in &operation.attempts {
        if !claim.calls.contains(&attempt.call) || attempt.effect() > claim.effect() {
            let call = &attempt.call;
            return Err(Failure::new(format_args!("{call} is beyond what is claimed")));
        }
    }
    let effect = operation.attempts.iter().map(|attempt| attempt.effect()).max();
    match claim.effect() {
        Effect::Spend if trace.sold.is_empty() => {
            Err(Failure::new("it spends, as it claims, and the ledger has nothing of it"))
        }
        Effect::Setting if effect != Some(Effect::Setting) => {
            Err(Failure::new("it changes something, as it claims, and nothing was sent"))
        }
        Effect::Read | Effect::Unspecified if !trace.sold.is_empty() => Err(Failure::new(
            "it changes nothing, as it claims, and the ledger has something of it",
        )),
        _ => Ok(()),
    }
}

/// That a repeat shows the same operation and does nothing.
async fn repeated<S: Subject>(
    stage: &Stage<'_, S>,
    trace: &Trace,
    sample: &Request,
) -> Outcome<()> {
    let moment = stage.moment().await;
    let operation = stage.caller.accepted(sample.clone()).await?;
    if operation.name != trace.operation || !operation.done {
        return Err(Failure::new(format_args!(
            "it is not the same any more: {}",
            told(&operation)
        )));
    }
    stage.nothing_since(&moment, &trace.names()).await
}

/// That a request id stands for one request.
async fn reused<S: Subject>(stage: &Stage<'_, S>, trace: &Trace, sample: Request) -> Outcome<()> {
    let moment = stage.moment().await;
    let Err(refusal) = sample.varied().send(&stage.caller).await else {
        return Err(Failure::new("the id of another request was taken"));
    };
    refusal.must_be(Code::AlreadyExists, "REQUEST_ID_REUSED", "")?;
    stage.nothing_since(&moment, &trace.names()).await
}

/// That what was given up can be bought again: one more sale, which the operation owns, and nobody is
/// told of a sale too many.
async fn bought_again<S: Subject>(stage: &Stage<'_, S>, trace: &Trace) -> Option<Outcome<()>> {
    match stage.again(trace.op).await {
        Ok(request) => Some(buy_again(stage, trace, request?).await),
        Err(failure) => Some(Err(failure)),
    }
}

async fn buy_again<S: Subject>(
    stage: &Stage<'_, S>,
    trace: &Trace,
    request: Request,
) -> Outcome<()> {
    let moment = stage.moment().await;
    let operation = stage.caller.perform(request).await?;
    if let Some(problem) = &operation.problem {
        let (reason, message) = (&problem.reason, &problem.message);
        return Err(Failure::new(format_args!("it is told as a problem: {reason}: {message}")));
    }
    let mut sold: Vec<String> =
        stage.sold_since(&moment).await.into_iter().map(|sale| sale.kind).collect();
    sold.sort_unstable();
    if sold != trace.sold {
        let before = &trace.sold;
        return Err(Failure::new(format_args!("sold {sold:?} instead of {before:?}")));
    }
    for call in &trace.calls {
        let times = stage.asked_since(&moment, &call.name).await;
        if times != call.times {
            let (name, before) = (&call.name, call.times);
            return Err(Failure::new(format_args!("{name} was sent {times} times, not {before}")));
        }
    }
    Ok(())
}

/// That what is wrong with a request is told by its path, before anything is stored or sent.
async fn violated<S: Subject>(
    stage: &Stage<'_, S>,
    trace: &Trace,
    mut sample: Request,
) -> Outcome<()> {
    if let Some(frame) = sample.frame() {
        frame.request_id.clear();
    }
    let Err(refusal) = sample.clone().send(&stage.caller).await else {
        return Err(Failure::new("a write without a request id was taken"));
    };
    refusal.must_be(Code::InvalidArgument, "REQUEST_ID_REQUIRED", "")?;
    let violations = stage.subject.violations(&stage.caller, sample.op()).await?;
    if violations.is_empty() && carries_a_resource(sample.op()) {
        return Err(Failure::new("the subject has no request with a wrong field"));
    }
    for Violation { request, field } in violations {
        let mut request = ready(request);
        let id = request_id();
        if let Some(frame) = request.frame() {
            frame.request_id.clone_from(&id);
        }
        let moment = stage.moment().await;
        let Err(refusal) = request.send(&stage.caller).await else {
            return Err(Failure::new(format_args!("taken although {field} is wrong")));
        };
        refusal.must_be(Code::InvalidArgument, "FIELD_VIOLATION", &field)?;
        not_stored(stage, &id).await?;
        stage.nothing_since(&moment, &trace.names()).await?;
    }
    Ok(())
}

/// Whether a plugin's own rules apply to what a write says.
fn carries_a_resource(op: Op) -> bool {
    matches!(
        op,
        Op::CreateProduct
            | Op::UpdateProduct
            | Op::CreateOrder
            | Op::UpdateService
            | Op::CreateRenewal
    )
}

/// That what the upstream rejects fails for the upstream's reason, and sells nothing.
async fn rejected<S: Subject>(stage: &Stage<'_, S>, op: Op) -> Option<Outcome<()>> {
    stage.subject.calm().await;
    match stage.subject.rejection(&stage.caller, op).await {
        Ok(rejection) => Some(reject(stage, rejection?).await),
        Err(failure) => Some(Err(failure)),
    }
}

async fn reject<S: Subject>(stage: &Stage<'_, S>, rejection: Rejection) -> Outcome<()> {
    let moment = stage.moment().await;
    let operation = stage.caller.accepted(ready(rejection.request)).await?;
    let operation = stage.caller.rests(&operation.name).await?;
    match &operation.result {
        Some(Came::Error(error))
            if operation.state() == State::Failed && error.reason == rejection.reason => {}
        _ => {
            let (reason, told) = (rejection.reason, told(&operation));
            return Err(Failure::new(format_args!("expected {reason}, got {told}")));
        }
    }
    stage.nothing_since(&moment, &[]).await
}
