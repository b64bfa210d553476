//! A write when something goes wrong with one of its calls. What it does then is compared with what it
//! did when nothing went wrong.

use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::pin_mut;
use tonic::Code;

use super::caller::{succeeded, until};
use super::judge::{Ending, judge};
use super::report::{Case, Score};
use super::request::Request;
use super::stage::{Moment, Stage};
use super::{Disturbance, Failure, Outcome, Sale, Subject, absence, effects};
use crate::op;
use crate::plugin::v1::Op;
use crate::v1::operation::State;
use crate::v1::resolve_operation_request::{Executed, NotExecuted, Resolution};
use crate::v1::{
    Confirmation, Effect, Evidence, MethodCapability, Operation, ResolveOperationRequest,
};

/// How late an answer comes whose caller has hung up. An attempt may take longer.
const STALL: Duration = Duration::from_millis(300);

/// How long a caller would wait who does not hang up.
const WAIT: prost_types::Duration = prost_types::Duration { seconds: 20, nanos: 0 };

/// The writes that make something.
const MAKES: [Op; 3] = [Op::CreateOrder, Op::CreateProduct, Op::CreateRenewal];

/// The cases that are about a whole write, what takes longest first; [`EFFECTS`] are about what was
/// accepted.
const TRIALS: [Case; 12] = [
    Case::ListNotWhole,
    Case::MarkCut,
    Case::Renamed,
    Case::NewestEnded,
    Case::Sustained,
    Case::DatedAhead,
    Case::Undeclared,
    Case::RefusedAfter,
    Case::FoundFailed,
    Case::EffectNever,
    Case::EffectLags,
    Case::NotFoundOnce,
];
const EFFECTS: [Case; 5] = [
    Case::RefusedAfter,
    Case::FoundFailed,
    Case::EffectNever,
    Case::EffectLags,
    Case::NotFoundOnce,
];

/// What a write did when nothing went wrong.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    pub(super) op: Op,
    pub(super) operation: String,
    pub(super) evidence: Evidence,
    /// The calls that do more than read, once each.
    pub(super) calls: Vec<Traced>,
    /// The kinds of what was sold, in order of their names.
    pub(super) sold: Vec<String>,
}

/// A call of a write.
#[derive(Debug, Clone)]
pub(super) struct Traced {
    pub(super) name: String,
    pub(super) effect: Effect,
    /// How often it was sent.
    pub(super) times: u64,
    /// Whether its answer names what it made.
    pub(super) named: bool,
}

/// What goes wrong, and with which call.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    pub(super) case: Case,
    pub(super) call: Traced,
}

impl Trace {
    /// The names of its calls.
    pub(super) fn names(&self) -> Vec<String> {
        self.calls.iter().map(|call| call.name.clone()).collect()
    }

    /// Everything that can go wrong, what takes longest first.
    pub(super) fn losses(&self) -> Vec<Loss> {
        let each =
            |case: Case| self.calls.iter().map(move |call| Loss { case, call: call.clone() });
        let cases = [
            Case::LostBefore,
            Case::LostAfter,
            Case::WordUnknown,
            Case::BoughtAgain,
            Case::PluginError,
            Case::TakenOver,
            Case::Contested,
            Case::HangUp,
            Case::RateLimit,
        ];
        let first = self.calls.iter().find(|call| call.effect > Effect::Prepare);
        let trials = first.into_iter().flat_map(|call| {
            let kept = move |case: &Case| self.has_trial(*case, call);
            let loss = |case| Loss { case, call: call.clone() };
            TRIALS.into_iter().filter(kept).map(loss)
        });
        let kept = |loss: &Loss| match loss.case {
            // What only prepares is no attempt, so nobody has seen it succeed, or waits for its answer, and
            // it may fail although something lapses.
            Case::PluginError | Case::TakenOver | Case::WordUnknown => {
                loss.call.effect != Effect::Prepare
            }
            // What is only changed keeps its identifier.
            Case::Contested => loss.call.named && MAKES.contains(&self.op),
            _ => true,
        };
        trials.chain(cases.into_iter().flat_map(each).filter(kept)).collect()
    }

    /// Whether a case of one call means something to this write.
    fn has_trial(&self, case: Case, call: &Traced) -> bool {
        match case {
            Case::FoundFailed | Case::RefusedAfter => call.effect == Effect::Spend,
            Case::EffectNever | Case::EffectLags | Case::NotFoundOnce | Case::Undeclared => true,
            _ => MAKES.contains(&self.op),
        }
    }
}

/// What a write did since `moment`.
pub(super) async fn traced<S: Subject>(
    stage: &Stage<'_, S>,
    claim: &MethodCapability,
    op: Op,
    operation: &Operation,
    prepared: &[String],
    moment: &Moment,
) -> Trace {
    let attempted = operation.attempts.iter();
    let attempted = attempted.map(|it| (it.call.clone(), it.effect(), !it.upstream_id.is_empty()));
    let prepared = prepared.iter().map(|call| (call.clone(), Effect::Prepare, false));
    let mut calls: Vec<Traced> = Vec::new();
    for (name, effect, named) in attempted.chain(prepared) {
        let times = stage.asked_since(moment, &name).await;
        if times > 0 && calls.iter().all(|call| call.name != name) {
            calls.push(Traced { name, effect, times, named });
        }
    }
    Trace {
        op,
        operation: operation.name.clone(),
        evidence: claim.evidence(),
        calls,
        sold: kinds(&stage.sold_since(moment).await),
    }
}

pub(super) fn kinds(sales: &[Sale]) -> Vec<String> {
    let mut kinds: Vec<String> = sales.iter().map(|sale| sale.kind.clone()).collect();
    kinds.sort_unstable();
    kinds
}

pub(super) async fn run<S: Subject>(
    stage: &Stage<'_, S>,
    trace: &Trace,
    loss: &Loss,
    score: &mut Score,
) {
    let method = op::info(trace.op).map_or("", |info| info.method);
    if let Some(why) = omits(stage, trace, loss.case) {
        return score.omit(loss.case, method, why);
    }
    if TRIALS.contains(&loss.case)
        && let Err(failure) = stage.caller.delivered().await
    {
        return score.note(loss.case, method, Err(failure));
    }
    let sample = match loss.case {
        Case::BoughtAgain => stage.again(trace.op).await,
        _ => stage.sample(trace.op).await.map(Some),
    };
    let outcome = match sample {
        Ok(None) => None,
        Ok(Some(sample)) if loss.case == Case::HangUp => {
            hang_up(stage, trace, &loss.call, sample).await
        }
        Ok(Some(sample)) if EFFECTS.contains(&loss.case) => {
            Some(struck(stage, Box::pin(effects::run(stage, trace, loss, sample)).await).await)
        }
        Ok(Some(sample)) if TRIALS.contains(&loss.case) => {
            Some(struck(stage, Box::pin(absence::run(stage, trace, loss, sample)).await).await)
        }
        Ok(Some(sample)) => lose(stage, trace, loss, sample).await,
        Err(failure) => Some(Err(failure)),
    };
    stage.subject.calm().await;
    let named = |failure: Failure| Failure::new(format_args!("{}: {failure}", loss.call.name));
    score.note_some(loss.case, method, outcome.map(|outcome| outcome.map_err(named)));
}

/// Why a case says nothing about this write.
fn omits<S: Subject>(stage: &Stage<'_, S>, trace: &Trace, case: Case) -> Option<&'static str> {
    let claim = stage.claim(trace.op);
    let read = claim.is_some_and(|claim| claim.confirmation() == Confirmation::Read);
    if EFFECTS.contains(&case) && !read {
        return Some("nothing of it can be read, so that its answer is its effect");
    }
    let searched = trace.evidence != Evidence::None || case == Case::Undeclared;
    if TRIALS.contains(&case) && !searched {
        return Some(
            "nothing can be searched for it, so that a lost answer is an operator's at once",
        );
    }
    stage.subject.omits(trace.op, case)
}

/// `None` where the upstream cannot go wrong in this way.
async fn lose<S: Subject>(
    stage: &Stage<'_, S>,
    trace: &Trace,
    loss: &Loss,
    sample: Request,
) -> Option<Outcome<()>> {
    let disturbance = match loss.case {
        Case::LostAfter | Case::BoughtAgain => Disturbance::LoseAfterCommit,
        Case::WordUnknown => Disturbance::UnknownWord,
        Case::RateLimit => Disturbance::RateLimit,
        Case::PluginError => Disturbance::PluginError,
        Case::TakenOver => Disturbance::TakenOver,
        Case::Contested => Disturbance::Contested,
        _ => Disturbance::LoseBeforeCommit,
    };
    let moment = stage.moment().await;
    match stage.subject.disturb(&loss.call.name, disturbance).await {
        Ok(true) => {}
        Ok(false) => return None,
        Err(failure) => return Some(Err(failure)),
    }
    Some(struck(stage, ends_true(stage, trace, loss, sample, &moment).await).await)
}

/// What a case comes to that went well: nothing is shown where nothing went wrong.
async fn struck<S: Subject>(stage: &Stage<'_, S>, outcome: Outcome<()>) -> Outcome<()> {
    outcome?;
    if stage.subject.struck().await {
        return Ok(());
    }
    Err(Failure::new("the disturbance did not strike"))
}

/// That the operation ends in a state that is true, and leads to one effect at most.
async fn ends_true<S: Subject>(
    stage: &Stage<'_, S>,
    trace: &Trace,
    loss: &Loss,
    sample: Request,
    moment: &Moment,
) -> Outcome<()> {
    let accepted = stage.caller.accepted(sample).await?;
    let operation = match loss.case {
        // A person may be asked for a moment.
        Case::TakenOver => stage.caller.becomes(&accepted.name, |it| it.done).await?,
        Case::Contested => {
            stage.caller.becomes(&accepted.name, |it| it.done || it.problem.is_some()).await?
        }
        _ => stage.caller.rests(&accepted.name).await?,
    };
    let sold = stage.sold_since(moment).await;
    let ending = Ending {
        state: operation.state(),
        sent: stage.asked_since(moment, &loss.call.name).await,
        sold: kinds(&sold),
    };
    judge(trace, loss, &ending).map_err(|failure| {
        Failure::new(format_args!("{failure}; {}", super::caller::told(&operation)))
    })?;
    if operation.state() == State::NeedsOperator {
        let done = sold.last().filter(|_| loss.case != Case::LostBefore);
        let done = match (loss.case, done) {
            (Case::Contested, Some(sale)) => {
                refused(stage, &operation, sale).await?;
                None
            }
            (_, done) => done,
        };
        resolved(stage, &operation, done).await?;
    }
    Ok(())
}

/// That a person who has looked at the upstream, and found this or nothing, can end what the gateway
/// cannot.
pub(super) async fn resolved<S: Subject>(
    stage: &Stage<'_, S>,
    operation: &Operation,
    sold: Option<&Sale>,
) -> Outcome<()> {
    let (told, expected) = match sold {
        Some(sale) => {
            (Resolution::Executed(Executed { upstream_id: sale.id.clone() }), State::Succeeded)
        }
        None => (
            Resolution::NotExecuted(NotExecuted { try_again: false, ..NotExecuted::default() }),
            State::Failed,
        ),
    };
    word(stage, &operation.name, told).await?;
    let operation = stage.caller.rests(&operation.name).await?;
    if operation.state() != expected {
        let told = super::caller::told(&operation);
        return Err(Failure::new(format_args!("a person's word does not end it: {told}")));
    }
    Ok(())
}

/// Says a person's word. What reads on changes the operation meanwhile, so it is said of the operation as it
/// is then.
async fn word<S: Subject>(stage: &Stage<'_, S>, name: &str, told: Resolution) -> Outcome<()> {
    until("a person's word is taken", async || {
        let operation = stage.caller.operation(name).await?;
        match stage.caller.resolve(resolution(&operation, told.clone())).await {
            Ok(_) => Ok(Some(())),
            Err(refusal) if refusal.reason == "ETAG_MISMATCH" => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    })
    .await
}

fn resolution(operation: &Operation, resolution: Resolution) -> ResolveOperationRequest {
    ResolveOperationRequest {
        name: operation.name.clone(),
        etag: operation.etag.clone(),
        note: "the upstream's ledger was read".to_owned(),
        resolution: Some(resolution),
    }
}

/// That a person's word does not give an operation what another one was answered.
async fn refused<S: Subject>(
    stage: &Stage<'_, S>,
    operation: &Operation,
    sale: &Sale,
) -> Outcome<()> {
    let Some(problem) = &operation.problem else {
        return Err(Failure::new("the operation does not tell its problem"));
    };
    if problem.reason != "DUPLICATE_DETECTED" {
        return Err(Failure::new(format_args!("the problem is {}", problem.reason)));
    }
    let executed = Resolution::Executed(Executed { upstream_id: sale.id.clone() });
    match stage.caller.resolve(resolution(operation, executed)).await {
        Err(refusal) => {
            refusal.must_be(Code::InvalidArgument, "FIELD_VIOLATION", "executed.upstream_id")
        }
        Ok(_) => Err(Failure::new("a person's word gives it what another operation was answered")),
    }
}

/// That a write goes on to its end when its caller hangs up in the middle of a call.
async fn hang_up<S: Subject>(
    stage: &Stage<'_, S>,
    trace: &Trace,
    call: &Traced,
    mut sample: Request,
) -> Option<Outcome<()>> {
    let mut name = String::new();
    if let Some(frame) = sample.frame() {
        *frame.wait = Some(WAIT);
        name = format!("operations/{}", frame.request_id);
    }
    let moment = stage.moment().await;
    match stage.subject.disturb(&call.name, Disturbance::Stall(STALL)).await {
        Ok(true) => {}
        Ok(false) => return None,
        Err(failure) => return Some(Err(failure)),
    }
    let gone_on = async {
        leave(stage, call, sample, &moment).await?;
        let operation = stage.caller.rests(&name).await?;
        succeeded(&operation)?;
        let sold = kinds(&stage.sold_since(&moment).await);
        if sold != trace.sold {
            return Err(Failure::new(format_args!("sold {sold:?} instead of {:?}", trace.sold)));
        }
        Ok(())
    };
    Some(struck(stage, gone_on.await).await)
}

/// Hangs up as soon as the upstream has the call.
async fn leave<S: Subject>(
    stage: &Stage<'_, S>,
    call: &Traced,
    sample: Request,
    moment: &Moment,
) -> Outcome<()> {
    let write = stage.caller.accepted(sample);
    let reached = until("the upstream has the call", async || {
        Ok((stage.asked_since(moment, &call.name).await > 0).then_some(()))
    });
    pin_mut!(write, reached);
    match select(write, reached).await {
        Either::Right((reached, _)) => reached,
        Either::Left((answer, _)) => {
            answer?;
            Err(Failure::new("answered before the upstream had the call"))
        }
    }
}
