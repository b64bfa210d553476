//! What the faulty plugin declares: one call of every effect, to one URL that tells them apart by a
//! word, and one call by its path.

use purveyor_sdk::plugin::v1::credential::Placement;
use purveyor_sdk::plugin::v1::r#match::Test;
use purveyor_sdk::plugin::v1::{
    BodyFormat, Call, Credential, Manifest, Match, Method, Op, Proof, Success, Timing,
};
use purveyor_sdk::v1::{Confirmation, Effect, Evidence};

pub(crate) fn manifest() -> Manifest {
    let everything = ["read", "prepare", "setting", "spend", "thing"];
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    Manifest {
        name: "faulty".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "wrong in every way".to_owned(),
        methods: vec![
            method(Op::ListProducts, &["read", "thing"], Evidence::Unspecified),
            method(Op::GetProduct, &["thing"], Evidence::Unspecified),
            method(Op::CreateOrder, &everything, Evidence::Difference),
            method(Op::Plan, &[], Evidence::Unspecified),
            method(Op::Baseline, &[], Evidence::Unspecified),
            method(Op::Poll, &[], Evidence::Unspecified),
            method(Op::Find, &[], Evidence::Unspecified),
        ],
        calls: vec![
            word("read", Effect::Read),
            word("prepare", Effect::Prepare),
            word("setting", Effect::Setting),
            word("spend", Effect::Spend),
            Call {
                name: "thing".to_owned(),
                effect: Effect::Read.into(),
                method: "GET".to_owned(),
                path: "/things/{}".to_owned(),
                ..Call::default()
            },
        ],
        proofs: vec![proof("no-credit", "NO_CREDIT", 400), proof("busy", "BUSY", 429)],
        configuration_schema: r#"{"type":"object"}"#.to_owned(),
        credentials: vec![Credential {
            name: "api-key".to_owned(),
            description: "the key".to_owned(),
            placement: Placement::Bearer.into(),
            optional: true,
            ..Credential::default()
        }],
        timing: Some(Timing {
            attempt_timeout: seconds(2),
            upstream_idle: seconds(5),
            upstream_processing: seconds(5),
            listing_lag: seconds(1),
        }),
        secret_pointers: vec!["/password".to_owned()],
        ..Manifest::default()
    }
}

fn method(op: Op, calls: &[&str], evidence: Evidence) -> Method {
    let writes = evidence != Evidence::Unspecified;
    let confirmation = if writes { Confirmation::Answer } else { Confirmation::Unspecified };
    Method {
        op: op.into(),
        calls: calls.iter().map(|&call| call.to_owned()).collect(),
        evidence: evidence.into(),
        confirmation: confirmation.into(),
        ..Method::default()
    }
}

/// A call of the one URL, told apart by its word.
fn word(name: &str, effect: Effect) -> Call {
    let writes = effect != Effect::Read;
    Call {
        name: name.to_owned(),
        effect: effect.into(),
        method: "POST".to_owned(),
        path: "/api".to_owned(),
        body_format: BodyFormat::Json.into(),
        word_pointer: "/action".to_owned(),
        words: vec![name.to_owned()],
        success: writes.then(|| success(effect)),
        payment_due: (effect == Effect::Spend).then(|| Success {
            status_min: 402,
            status_max: 402,
            ..success(effect)
        }),
        proofs: if writes { vec!["no-credit".to_owned(), "busy".to_owned()] } else { Vec::new() },
    }
}

fn success(effect: Effect) -> Success {
    let spends = effect == Effect::Spend;
    Success {
        status_min: 200,
        status_max: 299,
        format: BodyFormat::Json.into(),
        matches: Vec::new(),
        id_pointer: if spends { "/id".to_owned() } else { String::new() },
        id_kind: if spends { "order".to_owned() } else { String::new() },
        ..Success::default()
    }
}

/// Another attempt may follow what is asked for too often.
fn proof(name: &str, code: &str, status: i32) -> Proof {
    let test = Some(Test::Equals(code.to_owned()));
    Proof {
        name: name.to_owned(),
        status_min: status,
        status_max: status,
        format: BodyFormat::Json.into(),
        matches: vec![Match { pointer: "/code".to_owned(), test }],
        may_repeat: status == 429,
    }
}
