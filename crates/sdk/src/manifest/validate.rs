//! What is wrong with a manifest, all of it at once. It must not stop at the first mistake, and it must
//! not trust that a manifest was made by this SDK: plugins in other languages write their own.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::overlap;
use crate::op::{self, OpKind};
use crate::plugin::v1::credential::Placement;
use crate::plugin::v1::r#match::Test;
use crate::plugin::v1::{
    BodyFormat, Call, Credential, Manifest, Match, Method, Op, Proof, Success, Words,
};
use crate::term::Period;
use crate::v1::{CancelPolicy, Confirmation, Effect, Evidence};

/// The most bytes of a plugin's name: it becomes part of metrics and file names.
const MAX_NAME_BYTES: usize = 32;

/// The most writes that one poll may ask for: what the gateway takes up at a time.
const MAX_POLLS_AT_ONCE: i32 = 200;

/// Statuses that may come although something was done: a time-out, a conflict with what an earlier
/// request did, a repeat, a limit that is checked late.
const DOUBTFUL: [i32; 4] = [408, 409, 425, 429];

/// HTTP methods that a call may use.
const HTTP_METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// One mistake: where it is, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place in the manifest: `calls["product.create"].success`.
    pub place: String,
    /// What is wrong there.
    pub description: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.description)
    }
}

/// Every mistake of a manifest; none means that it can be acted on.
pub fn validate(manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Problems { manifest, found: Vec::new() };
    problems.identity();
    problems.unique("calls", manifest.calls.iter().map(|call| &call.name));
    problems.unique("proofs", manifest.proofs.iter().map(|proof| &proof.name));
    problems.unique("credentials", manifest.credentials.iter().map(|one| &one.name));
    for call in &manifest.calls {
        problems.call(call);
    }
    problems.overlaps();
    for proof in &manifest.proofs {
        problems.proof(proof);
    }
    problems.methods();
    for credential in &manifest.credentials {
        problems.credential(credential);
    }
    problems.limits();
    for pointer in &manifest.secret_pointers {
        problems.pointer("secret_pointers", pointer);
    }
    problems.found
}

struct Problems<'a> {
    manifest: &'a Manifest,
    found: Vec<Problem>,
}

impl Problems<'_> {
    fn add(&mut self, place: impl Into<String>, description: impl Into<String>) {
        self.found.push(Problem { place: place.into(), description: description.into() });
    }

    fn check(&mut self, good: bool, place: impl Into<String>, description: impl Into<String>) {
        if !good {
            self.add(place, description);
        }
    }

    fn identity(&mut self) {
        let Manifest { name, version, configuration_schema, .. } = self.manifest;
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = first && name.len() <= MAX_NAME_BYTES && name.bytes().all(rest);
        self.check(good, "name", "has to be [a-z][a-z0-9-]* of at most 32 bytes");
        let numbers: Vec<_> = version.split(['-', '+']).next().unwrap_or("").split('.').collect();
        let semantic = numbers.len() == 3 && numbers.iter().all(|part| part.parse::<u64>().is_ok());
        self.check(semantic, "version", "is not a semantic version");
        let schema = serde_json::from_str::<Value>(configuration_schema);
        let schema = schema.is_ok_and(|schema| schema.is_object());
        self.check(schema, "configuration_schema", "is not a JSON object");
        let minor = self.manifest.minimum_host_minor;
        self.check(minor >= 0, "minimum_host_minor", "is negative");
    }

    fn unique<'n>(&mut self, list: &str, names: impl Iterator<Item = &'n String>) {
        let mut seen = BTreeSet::new();
        for name in names {
            self.check(!name.is_empty(), list, "a name is empty");
            self.check(seen.insert(name), format!("{list}[{name:?}]"), "is there twice");
        }
    }

    fn call(&mut self, call: &Call) {
        let place = format!("calls[{:?}]", call.name);
        let effect = Effect::try_from(call.effect).unwrap_or_default();
        self.check(effect != Effect::Unspecified, &place, "has no effect");
        let known = HTTP_METHODS.contains(&call.method.as_str());
        self.check(known, format!("{place}.method"), "is no HTTP method");
        let path = call.path.is_empty() || call.path.starts_with('/');
        let plain = !call.path.contains(['?', '#']) && !call.path.contains("//");
        let whole = call.path.split('/').all(|part| part == "{}" || !part.contains(['{', '}']));
        let dots = call.path.split('/').any(|part| matches!(part, "." | ".."));
        self.check(path && plain && whole && !dots, format!("{place}.path"), "is no path");
        self.words(call, &place);
        match &call.success {
            Some(success) => {
                self.shape(&format!("{place}.success"), success);
                let range = success.status_min >= 200 && success.status_max <= 299;
                self.check(range, format!("{place}.success"), "is not within 200 to 299");
            }
            None => self.check(
                effect == Effect::Read,
                &place,
                "has no shape of success, and is no read",
            ),
        }
        if let Some(shape) = &call.payment_due {
            let place = format!("{place}.payment_due");
            self.shape(&place, shape);
            self.check(!shape.id_pointer.is_empty(), place, "does not say where the id stands");
        }
        for name in &call.proofs {
            let declared = self.manifest.proofs.iter().any(|proof| proof.name == *name);
            self.check(declared, format!("{place}.proofs"), format!("{name:?} is not declared"));
        }
    }

    fn words(&mut self, call: &Call, place: &str) {
        let format = BodyFormat::try_from(call.body_format).ok();
        self.check(format.is_some(), format!("{place}.body_format"), "is unknown");
        let pointer = !call.word_pointer.is_empty();
        let words = !call.words.is_empty();
        let place = format!("{place}.words");
        match format {
            Some(BodyFormat::XmlRpc) => {
                self.check(words, &place, "an XML-RPC call needs its method");
                self.check(!pointer, &place, "an XML-RPC call needs no pointer to its method");
            }
            Some(BodyFormat::Json) => {
                self.check(words == pointer, &place, "words and their pointer go together");
                self.pointer(&place, &call.word_pointer);
            }
            _ => self.check(!words && !pointer, &place, "bodies of this format hold no words"),
        }
        let empty = call.words.iter().any(String::is_empty);
        self.check(!empty, &place, "a word is empty");
    }

    /// Two calls that one and the same request could be sent under hide the stronger effect.
    fn overlaps(&mut self) {
        let calls = &self.manifest.calls;
        for (index, left) in calls.iter().enumerate() {
            for right in &calls[index + 1..] {
                if overlap::same_request(left, right) {
                    let description = format!("cannot be told from {:?}", right.name);
                    self.add(format!("calls[{:?}]", left.name), description);
                }
            }
        }
    }

    fn shape(&mut self, place: &str, shape: &Success) {
        self.statuses(place, shape.status_min, shape.status_max);
        self.conditions(place, shape.format, &shape.matches, &[&shape.id_pointer]);
        let together = shape.id_pointer.is_empty() == shape.id_kind.is_empty();
        self.check(together, place, "id_pointer and id_kind go together");
        let configurable =
            |one: &Match| matches!(&one.test, Some(Test::Words(it)) if it.configurable);
        let refusal = shape.matches.iter().any(configurable);
        self.check(!refusal, place, "the operator's words of refusal make no success");
        let nowhere = shape.id_pointer.is_empty() && !shape.id_after.is_empty();
        self.check(!nowhere, place, "does not say where the text before the id stands");
    }

    fn proof(&mut self, proof: &Proof) {
        let place = format!("proofs[{:?}]", proof.name);
        self.statuses(&place, proof.status_min, proof.status_max);
        self.conditions(&place, proof.format, &proof.matches, &[]);
        let may_succeed = proof.status_min < 400;
        let told = !proof.matches.is_empty();
        self.check(!may_succeed || told, &place, "proves nothing: success could look like it");
        let server = proof.status_max >= 500;
        self.check(!server, &place, "proves nothing: a failing server could answer it");
        let statuses = proof.status_min..=proof.status_max;
        let alone = proof.status_min == proof.status_max;
        let doubtful = DOUBTFUL.iter().any(|status| statuses.contains(status));
        self.check(alone || !doubtful, place, "408, 409, 425 and 429 need a proof of their own");
    }

    fn statuses(&mut self, place: &str, min: i32, max: i32) {
        let good = 100 <= min && min <= max && max <= 599;
        self.check(good, place, "the statuses are no range");
        let redirect = min <= 399 && max >= 300;
        self.check(!redirect, place, "a redirect says nothing of what was done");
    }

    fn conditions(&mut self, place: &str, format: i32, matches: &[Match], pointers: &[&String]) {
        let format = BodyFormat::try_from(format).ok();
        self.check(format.is_some(), place, "the format is unknown");
        let asked = !matches.is_empty() || pointers.iter().any(|pointer| !pointer.is_empty());
        let blind = asked && format == Some(BodyFormat::Unspecified);
        self.check(!blind, place, "looks into a body whose format it does not say");
        for pointer in pointers {
            self.pointer(place, pointer);
        }
        for condition in matches {
            self.pointer(place, &condition.pointer);
            let good = match &condition.test {
                Some(Test::Exists(wanted) | Test::IsNull(wanted)) => *wanted,
                Some(Test::Prefix(text) | Test::Suffix(text)) => !text.is_empty(),
                Some(Test::Words(Words { words, configurable })) => {
                    (*configurable || !words.is_empty())
                        && words.iter().all(|word| !word.trim().is_empty())
                }
                Some(Test::Equals(_)) => true,
                None => false,
            };
            self.check(good, place, format!("the test at {:?} is none", condition.pointer));
        }
    }

    /// Empty is the whole document.
    fn pointer(&mut self, place: &str, pointer: &str) {
        let good = pointer.is_empty() || pointer.starts_with('/');
        self.check(good, place, format!("{pointer:?} is no JSON pointer"));
    }

    fn methods(&mut self) {
        let mut seen = BTreeSet::new();
        for method in &self.manifest.methods {
            let op = Op::try_from(method.op).ok().filter(|op| *op != Op::Unspecified);
            let Some(op) = op else {
                // A newer plugin may have methods that this version does not call.
                continue;
            };
            let place = format!("methods[{}]", op.as_str_name());
            self.check(seen.insert(method.op), &place, "is there twice");
            self.method(method, op, &place);
        }
        self.writes_can_be_followed();
    }

    fn method(&mut self, method: &Method, op: Op, place: &str) {
        let kind = op::kind(op);
        let mut strongest = Effect::Read;
        for name in &method.calls {
            match self.manifest.calls.iter().find(|call| call.name == *name) {
                Some(call) => strongest = strongest.max(call.effect()),
                None => self.add(format!("{place}.calls"), format!("{name:?} is not declared")),
            }
        }
        let evidence = method.evidence() != Evidence::Unspecified;
        let confirmation = method.confirmation() != Confirmation::Unspecified;
        match kind {
            OpKind::Write => {
                self.check(evidence, place, "a write has to say its evidence");
                self.check(confirmation, place, "a write has to say how its effect is known");
                let changes = strongest > Effect::Read;
                self.check(changes, place, "a write has to make a call that is more than a read");
            }
            OpKind::Read => {
                self.check(strongest == Effect::Read, place, "a read may only make reads");
            }
            OpKind::Engine => {
                let plan = op == Op::Plan && strongest == Effect::Prepare;
                self.check(plan || strongest == Effect::Read, place, "may only make reads");
            }
        }
        self.check(kind == OpKind::Write || !evidence, place, "only writes have evidence");
        let effect = kind == OpKind::Write || !confirmation;
        self.check(effect, place, "only writes have an effect to confirm");
        self.details(method, place);
    }

    fn details(&mut self, method: &Method, place: &str) {
        let proven = method.absence_is_proof;
        let searchable = method.evidence() != Evidence::None;
        self.check(!proven || searchable, place, "without evidence absence proves nothing");
        for term in &method.terms {
            let normal = term.parse::<Period>().map(|period| period.to_string());
            let good = normal.as_deref() == Ok(term);
            self.check(good, format!("{place}.terms"), format!("{term:?} is not in normal form"));
        }
        let read = method.confirmation() == Confirmation::Read;
        let lag = method.effect_lag.map(std::time::Duration::try_from);
        let good = if read { matches!(lag, Some(Ok(_))) } else { lag.is_none() };
        self.check(good, format!("{place}.effect_lag"), "goes with a confirmation by a read");
        self.check(method.max_items >= 0, format!("{place}.max_items"), "is negative");
        let known = |policy: &i32| {
            CancelPolicy::try_from(*policy).is_ok_and(|one| one != CancelPolicy::Unspecified)
        };
        let policies = method.cancel_policies.iter().all(known);
        self.check(policies, format!("{place}.cancel_policies"), "holds no policy");
    }

    /// What a write needs beside itself: a baseline to compare with, and a search to find it by.
    fn writes_can_be_followed(&mut self) {
        let has = |op: Op| self.manifest.methods.iter().any(|method| method.op() == op);
        let (find, baseline) = (has(Op::Find), has(Op::Baseline));
        let evidence = |wanted: &[Evidence]| {
            let wanted = |method: &Method| wanted.contains(&method.evidence());
            self.manifest.methods.iter().any(wanted)
        };
        let sought = evidence(&[Evidence::Reference, Evidence::Natural, Evidence::Difference]);
        let compared = evidence(&[Evidence::Difference]);
        self.check(!sought || find, "methods", "there is evidence and no OP_FIND to look for it");
        let baseline = !compared || baseline;
        self.check(baseline, "methods", "evidence by difference needs OP_BASELINE");
    }

    fn credential(&mut self, credential: &Credential) {
        let place = format!("credentials[{:?}]", credential.name);
        let placement = Placement::try_from(credential.placement).unwrap_or_default();
        self.check(placement != Placement::Unspecified, &place, "is never used");
        let header = !credential.header.is_empty();
        let needed = placement == Placement::Header;
        self.check(header == needed, &place, "a header is named exactly when it is one");
        let scheme = &credential.scheme;
        let word = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        self.check(word && (needed || scheme.is_empty()), place, "a scheme is a word of a header");
    }

    fn limits(&mut self) {
        let valid = |duration: &Option<prost_types::Duration>, least: i64| {
            duration.is_some_and(|one| {
                (0..1_000_000_000).contains(&one.nanos)
                    && (one.seconds > 0 || (one.seconds == 0 && i64::from(one.nanos) >= least))
            })
        };
        let polls = self.manifest.polls_at_once;
        self.check(
            (0..=MAX_POLLS_AT_ONCE).contains(&polls),
            "polls_at_once",
            "is not within 0 and 200",
        );
        if let Some(rate) = &self.manifest.rate {
            let good = rate.requests == 0 || (rate.requests > 0 && valid(&rate.period, 1));
            self.check(good, "rate", "is no number of requests in a period");
        }
        if let Some(timing) = &self.manifest.timing {
            let attempt = valid(&timing.attempt_timeout, 1);
            self.check(attempt, "timing.attempt_timeout", "is missing or no duration");
            let parts = [
                ("timing.upstream_idle", &timing.upstream_idle),
                ("timing.upstream_processing", &timing.upstream_processing),
                ("timing.listing_lag", &timing.listing_lag),
            ];
            for (place, duration) in parts {
                self.check(valid(duration, 0), place, "is missing or no duration");
            }
        }
    }
}
