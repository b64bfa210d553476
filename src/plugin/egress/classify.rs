//! What an exchange proves, by the manifest alone: a pure function, the table of the design in code.
//! Whatever it does not know to be otherwise is unproven.

use purveyor_sdk::body;
use purveyor_sdk::plugin::v1::{BodyFormat, Call, Match, Proof, Success};
use serde_json::Value;

use super::answer::{Exchange, Received};
use crate::plugin::spend::{ProofSeen, Seen};

/// Classifies one exchange of `call`.
pub(super) fn classify(call: &Call, proofs: &[Proof], exchange: &Exchange) -> Seen {
    match exchange {
        Exchange::NotWritten(reason) => Seen::NotSent { reason: reason.clone() },
        Exchange::Broken(reason, None) => Seen::Unproven { reason: reason.clone() },
        Exchange::Broken(reason, Some(partial)) => {
            Seen::Unproven { reason: format!("status {}, but {reason}", partial.status) }
        }
        Exchange::Complete(received) => answer(call, proofs, received),
    }
}

fn answer(call: &Call, proofs: &[Proof], received: &Received) -> Seen {
    let status = received.status;
    let unproven = |reason: &str| Seen::Unproven { reason: format!("status {status}: {reason}") };
    if !matches!(status, 200..=299 | 400..=499) {
        // A redirect may have been an answer to what was done; a 5xx says nothing at all. Only a
        // declared "payment due" counts, because then there is an order that it speaks of.
        return match payment_due(call, received) {
            Some(seen) if status >= 500 => seen,
            _ if status >= 500 => unproven("the upstream failed"),
            _ => unproven("redirects are not followed"),
        };
    }
    let success = (status < 300).then(|| success(call, received)).flatten();
    let due = payment_due(call, received);
    let proofs = satisfied(call, proofs, received);
    match (success, due, proofs.is_empty()) {
        (Some(seen), None, true) | (None, Some(seen), true) => seen,
        (None, None, false) => {
            let names: Vec<_> = proofs.iter().map(|proof| proof.name.as_str()).collect();
            let message = format!("status {status} satisfies {}", names.join(", "));
            Seen::Refusable { proofs, message }
        }
        (None, None, true) if received.until_close => {
            unproven("only the end of the connection says where the answer ends")
        }
        (None, None, true) => unproven("the manifest does not say what this answer means"),
        _ => unproven("the answer is of several declared shapes that contradict each other"),
    }
}

fn success(call: &Call, received: &Received) -> Option<Seen> {
    let shape = call.success.as_ref()?;
    let document = satisfies(&Shape::of_success(shape), received)?;
    if shape.id_pointer.is_empty() {
        return Some(Seen::Success { upstream_id: None, id_kind: String::new() });
    }
    // An answer that makes something and does not say what is not of the shape.
    let id = body::identifier(shape, &document)?;
    Some(Seen::Success { upstream_id: Some(id), id_kind: shape.id_kind.clone() })
}

fn payment_due(call: &Call, received: &Received) -> Option<Seen> {
    let shape = call.payment_due.as_ref()?;
    let document = satisfies(&Shape::of_success(shape), received)?;
    let upstream_id = body::identifier(shape, &document);
    let id_kind = upstream_id.as_ref().map(|_| shape.id_kind.clone()).unwrap_or_default();
    Some(Seen::PaymentDue { upstream_id, id_kind })
}

fn satisfied(call: &Call, proofs: &[Proof], received: &Received) -> Vec<ProofSeen> {
    let declared = proofs.iter().filter(|proof| call.proofs.contains(&proof.name));
    declared
        .filter(|proof| satisfies(&Shape::of_proof(proof), received).is_some())
        .map(|proof| ProofSeen { name: proof.name.clone(), may_repeat: proof.may_repeat })
        .collect()
}

/// What a declared success and a declared proof have in common.
struct Shape<'a> {
    statuses: std::ops::RangeInclusive<i32>,
    format: BodyFormat,
    matches: &'a [Match],
}

impl<'a> Shape<'a> {
    fn of_success(shape: &'a Success) -> Self {
        let statuses = shape.status_min..=shape.status_max;
        Self { statuses, format: shape.format(), matches: &shape.matches }
    }

    fn of_proof(proof: &'a Proof) -> Self {
        let statuses = proof.status_min..=proof.status_max;
        Self { statuses, format: proof.format(), matches: &proof.matches }
    }
}

/// The answer's document, when the answer is of the shape.
fn satisfies(shape: &Shape<'_>, received: &Received) -> Option<Value> {
    if !shape.statuses.contains(&i32::from(received.status)) {
        return None;
    }
    if shape.format == BodyFormat::Unspecified && shape.matches.is_empty() {
        return (!received.until_close).then_some(Value::Null);
    }
    let document = body::document(shape.format, &received.body).ok()?;
    if received.until_close && !ends_itself(shape.format, &document) {
        return None;
    }
    shape.matches.iter().all(|one| body::matches(one, &document)).then_some(document)
}

/// Whether a document that was cut could not be read as this one: without a length, that alone tells
/// that an answer is whole.
fn ends_itself(format: BodyFormat, document: &Value) -> bool {
    match format {
        BodyFormat::Json => document.is_object() || document.is_array(),
        BodyFormat::XmlRpc => true,
        BodyFormat::Form | BodyFormat::Unspecified => false,
    }
}

#[cfg(test)]
mod tests;
