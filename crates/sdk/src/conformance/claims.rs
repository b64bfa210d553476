//! What GetProvider claims is what there is: a claimed method is served, any other is refused before
//! anybody asks the upstream.

use tonic::Code;

use super::report::{Case, Score};
use super::request::Request;
use super::stage::Stage;
use super::{Failure, Outcome, Subject, probe};
use crate::op::{OPS, OpKind};
use crate::plugin::v1::Op;
use crate::v1::provider::State;
use crate::v1::{Effect, Evidence, MethodCapability};

pub(super) async fn run<S: Subject>(stage: &Stage<'_, S>, score: &mut Score) {
    stage.subject.calm().await;
    let alone = stage.caller.quiet().await;
    score.note(Case::Claims, "Providers.GetProvider", alone.and_then(|()| well_formed(stage)));
    let methods = || OPS.iter().filter(|info| !info.method.is_empty());
    // Claimed ones first: whose account it is may be asked once, and is known from then on.
    for info in methods().filter(|info| stage.claim(info.op).is_some()) {
        score.note(Case::Claims, info.method, served(stage, info.op).await);
    }
    for info in methods().filter(|info| stage.claim(info.op).is_none()) {
        score.note(Case::Claims, info.method, refused(stage, info.op).await);
    }
}

/// That the claims do not contradict themselves.
fn well_formed<S: Subject>(stage: &Stage<'_, S>) -> Outcome<()> {
    if stage.claims.state() != State::Available {
        let message = &stage.claims.state_message;
        return Err(Failure::new(format_args!("the provider is not available: {message}")));
    }
    for claim in &stage.claims.methods {
        let MethodCapability { method, .. } = claim;
        let Some(info) = OPS.iter().find(|info| info.method == method) else {
            return Err(Failure::new(format_args!("{method} is no method")));
        };
        let write = info.kind == OpKind::Write;
        let (changes, evident) =
            (claim.effect() > Effect::Read, claim.evidence() != Evidence::Unspecified);
        if (changes, evident) != (write, write) {
            return Err(Failure::new(format_args!("the effect or evidence of {method} cannot be")));
        }
        let times = stage.claims.methods.iter().filter(|other| other.method == *method).count();
        if times != 1 {
            return Err(Failure::new(format_args!("{method} is claimed {times} times")));
        }
    }
    Ok(())
}

/// That a claimed method is served: whatever it says of things that are not there.
async fn served<S: Subject>(stage: &Stage<'_, S>, op: Op) -> Outcome<()> {
    let request = harmless(stage, op)?;
    match request.send(&stage.caller).await {
        Err(refusal) if refusal.code == Code::Unimplemented => Err(refusal.into()),
        _ => Ok(()),
    }
}

/// That a method which is not claimed is refused as such, and nobody asks the upstream.
async fn refused<S: Subject>(stage: &Stage<'_, S>, op: Op) -> Outcome<()> {
    let moment = stage.moment().await;
    let request = harmless(stage, op)?;
    let Err(refusal) = request.send(&stage.caller).await else {
        return Err(Failure::new("not claimed, and served"));
    };
    refusal.must_be(Code::Unimplemented, "CAPABILITY_UNSUPPORTED", "")?;
    match stage.requests_since(&moment).await {
        0 => Ok(()),
        times => Err(Failure::new(format_args!("the upstream was asked {times} times"))),
    }
}

/// A request that changes nothing, should it be served.
fn harmless<S: Subject>(stage: &Stage<'_, S>, op: Op) -> Outcome<Request> {
    let probe = probe::of(op, stage.caller.provider());
    let mut probe = probe.ok_or_else(|| Failure::new("the suite has no request of this method"))?;
    if let Some(frame) = probe.frame() {
        *frame.validate_only = true;
    }
    Ok(probe)
}
