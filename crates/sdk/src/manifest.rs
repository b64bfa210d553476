//! The manifest: made from a plugin's declarations, and checked, by the plugin's own test and by the
//! gateway before it believes one. It must not be lenient: the gateway acts on what is said here.

use prost_types::Duration;

mod overlap;
mod validate;

pub use validate::{Problem, validate};

use crate::declare::{
    Call, Conditions, Credential, Method, Note, Proof, Rate, Shape, Test, Timing,
};
use crate::dispatch::Dispatch;
use crate::plugin::v1::r#match;
use crate::plugin::v1::{self, Manifest, Match};
use crate::v1::{Confirmation, Notice};

/// The manifest of a provider.
pub fn of<P: Dispatch>() -> Manifest {
    let schema = schemars::schema_for!(P::Config);
    Manifest {
        name: P::NAME.to_owned(),
        version: P::VERSION.to_owned(),
        description: P::DESCRIPTION.to_owned(),
        methods: P::METHODS.iter().map(method).collect(),
        calls: P::CALLS.iter().map(call).collect(),
        proofs: P::PROOFS.iter().map(proof).collect(),
        configuration_schema: schema.as_value().to_string(),
        credentials: P::CREDENTIALS.iter().map(credential).collect(),
        rate: P::RATE.map(rate),
        timing: P::TIMING.map(timing),
        minimum_host_minor: 0,
        secret_pointers: texts(P::SECRET_POINTERS),
        notices: P::NOTICES.iter().map(notice).collect(),
        polls_at_once: P::POLLS_AT_ONCE,
    }
}

fn method(method: &Method) -> v1::Method {
    v1::Method {
        op: method.op.into(),
        calls: texts(method.calls),
        evidence: method.evidence.into(),
        absence_is_proof: method.absence_is_proof,
        validate_asks_upstream: method.asks_upstream,
        price_known: method.price_known,
        updatable_paths: texts(method.updates),
        terms: texts(method.terms),
        max_items: method.max_items,
        cancel_policies: method.cancel.iter().map(|policy| (*policy).into()).collect(),
        can_leave_unpaid: method.leaves_unpaid,
        notices: method.notices.iter().map(notice).collect(),
        charges_at_once: method.charges_at_once,
        takes_prices: method.takes_prices,
        confirmation: method.confirmation.into(),
        effect_lag: (method.confirmation == Confirmation::Read)
            .then(|| Duration { seconds: method.effect_lag_seconds.into(), nanos: 0 }),
    }
}

fn call(call: &Call) -> v1::Call {
    v1::Call {
        name: call.name.to_owned(),
        effect: call.effect.into(),
        method: call.method.to_owned(),
        path: call.path.to_owned(),
        body_format: call.format.into(),
        word_pointer: call.word_pointer.to_owned(),
        words: texts(call.words),
        success: call.success.as_ref().map(shape),
        payment_due: call.payment_due.as_ref().map(shape),
        proofs: texts(call.proofs),
    }
}

fn shape(shape: &Shape) -> v1::Success {
    v1::Success {
        status_min: shape.statuses.0.into(),
        status_max: shape.statuses.1.into(),
        format: shape.format.into(),
        matches: matches(&shape.conditions),
        id_pointer: shape.id_pointer.to_owned(),
        id_kind: shape.id_kind.to_owned(),
        id_after: shape.id_after.to_owned(),
    }
}

/// Adds the configured words to every match of these proofs that takes them.
pub fn add_refusal_words(proofs: &mut [v1::Proof], words: &[String]) {
    for one in proofs.iter_mut().flat_map(|proof| &mut proof.matches) {
        if let Some(r#match::Test::Words(known)) = &mut one.test
            && known.configurable
        {
            known.words.extend_from_slice(words);
        }
    }
}

pub(crate) fn proof(proof: &Proof) -> v1::Proof {
    v1::Proof {
        name: proof.name.to_owned(),
        status_min: proof.statuses.0.into(),
        status_max: proof.statuses.1.into(),
        format: proof.format.into(),
        matches: matches(&proof.conditions),
        may_repeat: proof.may_repeat,
    }
}

fn matches(conditions: &Conditions) -> Vec<Match> {
    let one = |(pointer, test): (&str, Test)| Match {
        pointer: pointer.to_owned(),
        test: Some(match test {
            Test::Exists => r#match::Test::Exists(true),
            Test::Equals(text) => r#match::Test::Equals(text.to_owned()),
            Test::Prefix(text) => r#match::Test::Prefix(text.to_owned()),
            Test::Suffix(text) => r#match::Test::Suffix(text.to_owned()),
            Test::Words(words, configurable) => {
                r#match::Test::Words(v1::Words { words: texts(words), configurable })
            }
            Test::IsNull => r#match::Test::IsNull(true),
        }),
    };
    conditions.iter().map(one).collect()
}

fn credential(credential: &Credential) -> v1::Credential {
    v1::Credential {
        name: credential.name.to_owned(),
        description: credential.description.to_owned(),
        placement: credential.placement.into(),
        header: credential.header.to_owned(),
        optional: credential.optional,
        scheme: credential.scheme.to_owned(),
    }
}

fn rate(rate: Rate) -> v1::Rate {
    v1::Rate { requests: rate.requests.into(), period: duration(rate.period) }
}

fn timing(timing: Timing) -> v1::Timing {
    v1::Timing {
        attempt_timeout: duration(timing.attempt_timeout),
        upstream_idle: duration(timing.upstream_idle),
        upstream_processing: duration(timing.upstream_processing),
        listing_lag: duration(timing.listing_lag),
    }
}

/// A duration that the wire cannot hold is left out, and then refused by `validate`.
fn duration(duration: std::time::Duration) -> Option<Duration> {
    duration.try_into().ok()
}

fn notice(note: &Note) -> Notice {
    Notice {
        reason: note.reason.to_owned(),
        message: note.message.to_owned(),
        source: note.source.to_owned(),
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests;
