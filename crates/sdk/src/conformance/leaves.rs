//! An update without a mask in which one leaf is set: it changes that leaf, and nothing else moves. For each
//! leaf that the claim says can be changed.

use super::caller::Caller;
use super::report::{Case, Score};
use super::request::Request;
use super::stage::Stage;
use super::{Failure, Outcome, Subject};
use crate::mask::{self, Leaf};
use crate::plugin::v1::Op;
use crate::v1::{GetProductRequest, GetServiceRequest, MethodCapability, Product, Service};

pub(super) async fn run<S: Subject>(
    stage: &Stage<'_, S>,
    op: Op,
    method: &'static str,
    score: &mut Score,
) {
    if !matches!(op, Op::UpdateProduct | Op::UpdateService) {
        return;
    }
    let Some(claim) = stage.claim(op) else {
        return score.omit(Case::OneLeaf, method, "the provider has no such update");
    };
    stage.subject.calm().await;
    for path in leaves(claim) {
        let outcome = one(stage, op, path).await;
        let outcome = outcome.map_err(|why| Failure::new(format_args!("{path}: {why}")));
        score.note(Case::OneLeaf, method, outcome);
    }
}

/// The paths of a claim that hold no other.
fn leaves(claim: &MethodCapability) -> impl Iterator<Item = &str> {
    let paths = || claim.updatable_paths.iter().map(String::as_str);
    let holds = |outer: &str, path: &str| {
        path.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
    };
    paths().filter(move |path| !paths().any(|other| holds(path, other)))
}

async fn one<S: Subject>(stage: &Stage<'_, S>, op: Op, path: &str) -> Outcome<()> {
    let request = stage.subject.leaf(&stage.caller, op, path).await?;
    let Some(mut request) = request else {
        return Err(Failure::new("the subject has no request that sets it alone"));
    };
    let set = changed(&[], &wanted(&request)?);
    if set != [path] {
        return Err(Failure::new(format_args!("the request sets {set:?}")));
    }
    if !mask::is_implied(path) {
        name(&mut request, path);
    }
    let before = shown(&stage.caller, &request).await?;
    stage.caller.perform(request.clone()).await?;
    let moved = changed(&before, &shown(&stage.caller, &request).await?);
    if moved != [path] {
        return Err(Failure::new(format_args!("the update changed {moved:?}")));
    }
    Ok(())
}

/// The leaves whose values differ; against nothing, those that are set.
fn changed(before: &[Leaf], after: &[Leaf]) -> Vec<&'static str> {
    let value = |path: &str| {
        before.iter().find(|(it, _)| *it == path).and_then(|(_, value)| value.as_ref())
    };
    let differ = after.iter().filter(|(path, after)| value(path) != after.as_ref());
    differ.map(|(path, _)| *path).collect()
}

/// The leaves of a request's thing.
fn wanted(request: &Request) -> Outcome<Vec<Leaf>> {
    match request {
        Request::UpdateService(request) if request.update_mask.is_none() => {
            Ok(mask::service_leaves(&request.service.clone().unwrap_or_default()))
        }
        Request::UpdateProduct(request) if request.update_mask.is_none() => {
            Ok(mask::product_leaves(&request.product.clone().unwrap_or_default()))
        }
        _ => Err(Failure::new("it is no update without a mask")),
    }
}

/// Names a leaf that an update without a mask does not mean.
fn name(request: &mut Request, path: &str) {
    let mask = Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
    match request {
        Request::UpdateService(request) => request.update_mask = mask,
        Request::UpdateProduct(request) => request.update_mask = mask,
        _ => {}
    }
}

/// The leaves of what a request changes, as the upstream has it.
async fn shown(caller: &Caller, request: &Request) -> Outcome<Vec<Leaf>> {
    match request {
        Request::UpdateService(request) => {
            let name = request.service.clone().unwrap_or_default().name;
            let service: Service = caller.ask(Op::GetService, GetServiceRequest { name }).await?;
            Ok(mask::service_leaves(&service))
        }
        Request::UpdateProduct(request) => {
            let name = request.product.clone().unwrap_or_default().name;
            let request = GetProductRequest { name, ..GetProductRequest::default() };
            let product: Product = caller.ask(Op::GetProduct, request).await?;
            Ok(mask::product_leaves(&product))
        }
        _ => Err(Failure::new("it is no update")),
    }
}
