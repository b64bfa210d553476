//! Every mistake of a manifest is told, at its place; a good one has none.

use prost_types::Duration;

use super::validate;
use crate::plugin::v1::credential::Placement;
use crate::plugin::v1::r#match::Test;
use crate::plugin::v1::{
    BodyFormat, Call, Credential, Manifest, Match, Method, Op, Proof, Rate, Success, Timing, Words,
};
use crate::v1::{Confirmation, Effect, Evidence};

fn good() -> Manifest {
    let success = Success {
        status_min: 200,
        status_max: 200,
        format: BodyFormat::XmlRpc.into(),
        id_pointer: "/params/0/id".to_owned(),
        id_kind: "operation".to_owned(),
        ..Success::default()
    };
    let call = |name: &str, effect: Effect, word: &str| Call {
        name: name.to_owned(),
        effect: effect.into(),
        method: "POST".to_owned(),
        path: "/xmlrpc".to_owned(),
        body_format: BodyFormat::XmlRpc.into(),
        words: vec![word.to_owned()],
        ..Call::default()
    };
    let create = Call {
        success: Some(success),
        proofs: vec!["data".to_owned()],
        ..call("create", Effect::Spend, "product.create")
    };
    let fault =
        Match { pointer: "/fault/faultCode".to_owned(), test: Some(Test::Prefix("5".to_owned())) };
    let method = |op: Op, calls: &[&str]| Method {
        op: op.into(),
        calls: calls.iter().map(|call| (*call).to_owned()).collect(),
        ..Method::default()
    };
    let second = Some(Duration { seconds: 1, nanos: 0 });
    Manifest {
        name: "acme".to_owned(),
        version: "0.1.0".to_owned(),
        configuration_schema: "{}".to_owned(),
        methods: vec![
            Method {
                evidence: Evidence::Difference.into(),
                confirmation: Confirmation::Read.into(),
                effect_lag: second,
                terms: vec!["P1Y".to_owned()],
                ..method(Op::CreateOrder, &["create", "info"])
            },
            method(Op::GetOrder, &["info"]),
            method(Op::Baseline, &["info"]),
            method(Op::Find, &["info"]),
        ],
        calls: vec![create, call("info", Effect::Read, "operation.info")],
        proofs: vec![Proof {
            name: "data".to_owned(),
            status_min: 200,
            status_max: 200,
            format: BodyFormat::XmlRpc.into(),
            matches: vec![fault],
            ..Proof::default()
        }],
        credentials: vec![Credential {
            name: "key".to_owned(),
            placement: Placement::Granted.into(),
            ..Credential::default()
        }],
        rate: Some(Rate { requests: 30, period: second }),
        timing: Some(Timing {
            attempt_timeout: second,
            upstream_idle: second,
            upstream_processing: second,
            listing_lag: Some(Duration::default()),
        }),
        ..Manifest::default()
    }
}

#[test]
fn a_good_manifest_has_no_problems() {
    assert_eq!(validate(&good()), []);
}

#[test]
fn every_mistake_is_told() {
    fn check(expected: &str, spoil: impl FnOnce(&mut Manifest)) {
        let mut manifest = good();
        spoil(&mut manifest);
        let found: Vec<_> = validate(&manifest).iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|problem| problem == expected), "{expected}: {found:#?}");
    }
    let name = "name: has to be [a-z][a-z0-9-]* of at most 32 bytes";
    check(name, |m| m.name.clear());
    check(name, |m| m.name = "Acme".to_owned());
    check(name, |m| m.name = "a".repeat(33));
    check("version: is not a semantic version", |m| m.version = "1.0".to_owned());
    check("configuration_schema: is not a JSON object", |m| m.configuration_schema = "[]".into());
    check("minimum_host_minor: is negative", |m| m.minimum_host_minor = -1);
    check("secret_pointers: \"password\" is no JSON pointer", |m| {
        m.secret_pointers = vec!["password".to_owned()];
    });
    check("polls_at_once: is not within 0 and 200", |m| m.polls_at_once = -1);
    check("polls_at_once: is not within 0 and 200", |m| m.polls_at_once = 201);
    check("rate: is no number of requests in a period", |m| {
        m.rate = Some(Rate { requests: 1, period: None });
    });
    check("timing.attempt_timeout: is missing or no duration", |m| {
        m.timing = Some(Timing::default());
    });
    check("credentials[\"key\"]: is never used", |m| m.credentials[0].placement = 0);
    check("credentials[\"key\"]: a header is named exactly when it is one", |m| {
        m.credentials[0].placement = Placement::Header.into();
    });
    check("credentials[\"key\"]: a scheme is a word of a header", |m| {
        m.credentials[0].scheme = "Bearer".to_owned();
    });
    check("credentials[\"key\"]: a scheme is a word of a header", |m| {
        m.credentials[0].placement = Placement::Header.into();
        m.credentials[0].header = "validate".to_owned();
        m.credentials[0].scheme = "Bearer ".to_owned();
    });
    check("credentials[\"key\"]: is there twice", |m| {
        m.credentials.push(m.credentials[0].clone());
    });
}

#[test]
fn every_mistake_of_a_call_is_told() {
    fn check(expected: &str, spoil: impl FnOnce(&mut Manifest)) {
        let mut manifest = good();
        spoil(&mut manifest);
        let found: Vec<_> = validate(&manifest).iter().map(ToString::to_string).collect();
        let expected = format!("calls[\"create\"]{expected}");
        assert!(found.contains(&expected), "{expected}: {found:#?}");
    }
    fn success(manifest: &mut Manifest) -> &mut Success {
        manifest.calls[0].success.as_mut().unwrap()
    }
    check(": has no effect", |m| m.calls[0].effect = 0);
    check(": has no effect", |m| m.calls[0].effect = 99);
    check(".method: is no HTTP method", |m| m.calls[0].method = "post".to_owned());
    for path in ["a", "/a?b", "/a#b", "//a", "/a/../b", "/a{}", "/{a}"] {
        check(".path: is no path", |m| m.calls[0].path = path.to_owned());
    }
    check(".words: an XML-RPC call needs its method", |m| m.calls[0].words.clear());
    check(".words: a word is empty", |m| m.calls[0].words.push(String::new()));
    check(".words: words and their pointer go together", |m| {
        m.calls[0].body_format = BodyFormat::Json.into();
    });
    check(".words: bodies of this format hold no words", |m| {
        m.calls[0].body_format = BodyFormat::Form.into();
    });
    check(".body_format: is unknown", |m| m.calls[0].body_format = 99);
    check(": has no shape of success, and is no read", |m| m.calls[0].success = None);
    check(".success: is not within 200 to 299", |m| success(m).status_max = 404);
    check(".success: the statuses are no range", |m| success(m).status_min = 201);
    check(".success: a redirect says nothing of what was done", |m| success(m).status_max = 302);
    check(".success: id_pointer and id_kind go together", |m| success(m).id_kind.clear());
    check(".success: does not say where the text before the id stands", |m| {
        *success(m) = Success { id_after: "ID: ".to_owned(), ..Success::default() };
    });
    check(".success: looks into a body whose format it does not say", |m| success(m).format = 0);
    check(".success: the test at \"/a\" is none", |m| {
        success(m).matches = vec![Match { pointer: "/a".to_owned(), test: None }];
    });
    check(".payment_due: does not say where the id stands", |m| {
        m.calls[0].payment_due =
            Some(Success { status_min: 402, status_max: 402, ..Success::default() });
    });
    check(".proofs: \"none\" is not declared", |m| m.calls[0].proofs.push("none".to_owned()));
    check(": is there twice", |m| m.calls[1].name = "create".to_owned());
    check(": cannot be told from \"info\"", |m| m.calls[1].words = m.calls[0].words.clone());
    check(": cannot be told from \"info\"", |m| {
        m.calls[1].body_format = 0;
        m.calls[1].words.clear();
    });
}

#[test]
fn every_mistake_of_a_method_is_told() {
    fn check(expected: &str, spoil: impl FnOnce(&mut Manifest)) {
        let mut manifest = good();
        spoil(&mut manifest);
        let found: Vec<_> = validate(&manifest).iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|problem| problem == expected), "{expected}: {found:#?}");
    }
    const WRITE: &str = "methods[OP_CREATE_ORDER]";
    check(&format!("{WRITE}: a write has to say its evidence"), |m| m.methods[0].evidence = 0);
    check(&format!("{WRITE}: a write has to make a call that is more than a read"), |m| {
        m.methods[0].calls.remove(0);
    });
    check(&format!("{WRITE}.calls: \"x\" is not declared"), |m| {
        m.methods[0].calls.push("x".to_owned());
    });
    check(&format!("{WRITE}: is there twice"), |m| m.methods.push(m.methods[0].clone()));
    check(&format!("{WRITE}: without evidence absence proves nothing"), |m| {
        m.methods[0].evidence = Evidence::None.into();
        m.methods[0].absence_is_proof = true;
    });
    check(&format!("{WRITE}.terms: \"P12M\" is not in normal form"), |m| {
        m.methods[0].terms.push("P12M".to_owned());
    });
    check(&format!("{WRITE}.max_items: is negative"), |m| m.methods[0].max_items = -1);
    check(&format!("{WRITE}.cancel_policies: holds no policy"), |m| {
        m.methods[0].cancel_policies.push(0);
    });
    check("methods[OP_GET_ORDER]: a read may only make reads", |m| {
        m.methods[1].calls.push("create".to_owned());
    });
    check(&format!("{WRITE}: a write has to say how its effect is known"), |m| {
        (m.methods[0].confirmation, m.methods[0].effect_lag) = (0, None);
    });
    check(&format!("{WRITE}.effect_lag: goes with a confirmation by a read"), |m| {
        m.methods[0].effect_lag = None;
    });
    check(&format!("{WRITE}.effect_lag: goes with a confirmation by a read"), |m| {
        m.methods[0].confirmation = Confirmation::Answer.into();
    });
    check(&format!("{WRITE}.effect_lag: goes with a confirmation by a read"), |m| {
        m.methods[0].effect_lag = Some(Duration { seconds: -1, nanos: 0 });
    });
    check("methods[OP_GET_ORDER]: only writes have an effect to confirm", |m| {
        m.methods[1].confirmation = Confirmation::Answer.into();
    });
    check("methods[OP_GET_ORDER]: only writes have evidence", |m| {
        m.methods[1].evidence = Evidence::None.into();
    });
    check("methods[OP_FIND]: may only make reads", |m| m.methods[3].calls.push("create".into()));
    check("methods: there is evidence and no OP_FIND to look for it", |m| {
        m.methods.remove(3);
    });
    check("methods: evidence by difference needs OP_BASELINE", |m| {
        m.methods.remove(2);
    });
}

#[test]
fn a_proof_that_success_could_look_like_is_none() {
    fn check(expected: &str, spoil: impl FnOnce(&mut Proof)) {
        let mut manifest = good();
        spoil(&mut manifest.proofs[0]);
        let found: Vec<_> = validate(&manifest).iter().map(ToString::to_string).collect();
        assert_eq!(found, [format!("proofs[\"data\"]: {expected}")]);
    }
    check("proves nothing: success could look like it", |proof| proof.matches.clear());
    check("proves nothing: a failing server could answer it", |proof| {
        (proof.status_min, proof.status_max) = (500, 500);
        proof.matches.clear();
    });
    check("the test at \"/fault/faultCode\" is none", |proof| {
        proof.matches[0].test = Some(Test::Prefix(String::new()));
    });
    let words = |words: &[&str], configurable| {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        Some(Test::Words(Words { words, configurable }))
    };
    check("the test at \"/fault/faultCode\" is none", |proof| {
        proof.matches[0].test = words(&[], false);
    });
    check("the test at \"/fault/faultCode\" is none", |proof| {
        proof.matches[0].test = words(&["no", " "], true);
    });
    check("the statuses are no range", |proof| {
        (proof.status_min, proof.status_max) = (0, 0);
        proof.matches[0].test = words(&["no"], false);
    });
    check("proves nothing: a failing server could answer it", |proof| {
        (proof.status_min, proof.status_max) = (503, 503);
    });
    for (min, max) in [(400, 408), (409, 410), (424, 428), (400, 499), (429, 431)] {
        check("408, 409, 425 and 429 need a proof of their own", |proof| {
            (proof.status_min, proof.status_max) = (min, max);
        });
    }
}

#[test]
fn proof_by_words_is_accepted_with_its_statuses() {
    fn check(statuses: (i32, i32), words: &[&str], configurable: bool) {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        let mut manifest = good();
        let proof = &mut manifest.proofs[0];
        (proof.status_min, proof.status_max) = statuses;
        proof.matches[0].test = Some(Test::Words(Words { words, configurable }));
        assert_eq!(validate(&manifest), [], "{statuses:?}");
    }
    check((200, 299), &["no"], false);
    check((400, 407), &["no", "never"], true);
    check((429, 429), &["Throttled"], false);
    check((400, 400), &[], true);
}

#[test]
fn configurable_words_make_no_success() {
    let mut manifest = good();
    let test = Some(Test::Words(Words { words: vec!["yes".to_owned()], configurable: true }));
    let success = manifest.calls[0].success.as_mut().unwrap();
    success.matches = vec![Match { pointer: "/params/0".to_owned(), test }];
    let found: Vec<_> = validate(&manifest).iter().map(ToString::to_string).collect();
    let expected = "calls[\"create\"].success: the operator's words of refusal make no success";
    assert_eq!(found, [expected]);
}

#[test]
fn a_method_of_a_newer_version_is_no_mistake() {
    let mut manifest = good();
    manifest.methods.push(Method { op: 9999, ..Method::default() });
    assert_eq!(validate(&manifest), []);
}

#[test]
fn requests_that_cannot_be_told_apart() {
    fn check(left: (&str, Effect), right: (&str, Effect), expected: bool) {
        let call = |name: &str, (path, effect): (&str, Effect)| Call {
            name: name.to_owned(),
            method: "POST".to_owned(),
            path: path.to_owned(),
            effect: effect.into(),
            ..Call::default()
        };
        let found = super::overlap::same_request(&call("a", left), &call("b", right));
        assert_eq!(found, expected, "{left:?} {right:?}");
    }
    check(("/a", Effect::Read), ("/a", Effect::Read), true);
    check(("/a", Effect::Read), ("/b", Effect::Spend), false);
    check(("/a/{}", Effect::Read), ("/a/b", Effect::Spend), true);
    check(("/a/{}", Effect::Read), ("/a/b", Effect::Read), false);
    check(("/{}/b", Effect::Read), ("/a/{}", Effect::Setting), true);
    check(("/a/{}", Effect::Read), ("/a/b/c", Effect::Spend), false);
}
