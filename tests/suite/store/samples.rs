//! Operations to store: plain ones for scenarios, and generated ones in which every field takes
//! every kind of value. It must not decide what a store does with them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::{collection, prop_oneof};
use purveyor::store::age::Age;
use purveyor::store::operation::{
    Attempt, Baseline, Claim, Decision, EndKind, GivenUp, Lock, NewClaim, Note, Observed,
    Operation, PROTOCOL, PendingEnd, Safety, Settle,
};
use purveyor::store::{Change, NewOperation};
use purveyor_sdk::plugin::v1::resource::Kind;
use purveyor_sdk::plugin::v1::{Error, FieldViolation, Op, Resource};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Effect, Evidence, Service, UpstreamRef};
use uuid::Uuid;

/// All states that a stored operation can have.
pub(super) const STATES: [State; 9] = [
    State::Accepted,
    State::Running,
    State::WaitingUpstream,
    State::OutcomeUnknown,
    State::Reconciling,
    State::NeedsOperator,
    State::Succeeded,
    State::Failed,
    State::Cancelled,
];

/// The `n`th identifier; their order is the order of `n`.
pub(super) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// So many seconds after the moment at which all scenarios begin.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + seconds)
}

/// The same moment as [`at`], as an age.
pub(super) fn aged(seconds: i64) -> Age {
    Age::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
}

pub(super) fn lock(key: &str) -> Lock {
    Lock(key.to_owned())
}

pub(super) fn claim(upstream_id: &str) -> Claim {
    Claim {
        account: "account".to_owned(),
        kind: "order".to_owned(),
        upstream_id: upstream_id.to_owned(),
    }
}

/// Claims by answers.
pub(super) fn claims<const N: usize>(upstream_ids: [&str; N]) -> Vec<NewClaim> {
    upstream_ids.map(|upstream_id| NewClaim::by_answer(claim(upstream_id))).into()
}

/// The `n`th operation, as it is accepted.
pub(super) fn operation(n: u128) -> Operation {
    Operation {
        request_id: id(n),
        protocol: PROTOCOL,
        owner: "owner".to_owned(),
        actor: "actor".to_owned(),
        trace_id: String::new(),
        op: Op::CreateOrder,
        provider: "acme".to_owned(),
        account: "account".to_owned(),
        account_key: "acme https://acme.example:443 account".to_owned(),
        target: format!("providers/acme/orders/{n}"),
        upstream_target: Vec::new(),
        exclusive: Vec::new(),
        fingerprint: [7; 32],
        request: b"request".to_vec(),
        state: State::Accepted,
        version: 1,
        create_time: at(0),
        update_time: at(0),
        create_age: aged(0),
        update_age: aged(0),
        start_before: at(600),
        wake_time: None,
        tries: 0,
        step: 1,
        handle: Vec::new(),
        baseline: None,
        attempts: Vec::new(),
        given_up: Vec::new(),
        upstream: UpstreamRef::default(),
        view: None,
        error: None,
        message: String::new(),
        candidates: Vec::new(),
        duplicates: Vec::new(),
        blocked_by: None,
        settle: None,
        pending_end: None,
        notes: Vec::new(),
        safety: None,
    }
}

/// An operation as it is given to `accept`, with nothing held.
pub(super) fn new(operation: Operation) -> NewOperation {
    NewOperation::of(operation)
}

/// The change that follows an operation, holding nothing, with an edit.
pub(super) fn next(operation: &Operation, edit: impl FnOnce(&mut Operation)) -> Change {
    let mut operation = operation.clone();
    operation.version += 1;
    edit(&mut operation);
    Change::of(operation)
}

/// The `n`th attempt of the operation `of`, with its permit just committed.
pub(super) fn attempt(of: u128, n: u32) -> Attempt {
    Attempt {
        number: n,
        step: 1,
        nonce: id(of << 32 | u128::from(n)),
        call: "product.create".to_owned(),
        effect: Effect::Spend,
        permit_time: at(i64::from(n)),
        permit_age: aged(i64::from(n)),
        outcome: Outcome::Unspecified,
        message: String::new(),
        upstream_id: String::new(),
        plugin: "acme 1.0.0".to_owned(),
        plugin_sha256: "00".repeat(32),
        answer_status: 0,
        answer: Vec::new(),
        observed: Observed::Nothing,
        unapplied: None,
    }
}

/// Any text: empty, short, with every kind of character and with NUL.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z]{1,12}",
        Just("a\0b".to_owned()),
        collection::vec(any::<char>(), 0..12).prop_map(String::from_iter),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    collection::vec(any::<u8>(), 0..24)
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// A time as it is compared.
fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(|time| Timestamp::from_nanosecond(time.into()).unwrap())
}

fn age() -> impl Strategy<Value = Age> {
    any::<i64>().prop_map(Age::from_nanos)
}

/// A time of any year that there is.
fn any_time() -> impl Strategy<Value = Timestamp> {
    let seconds = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    let inside = (seconds, 0..1_000_000_000_i32)
        .prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos).unwrap());
    prop_oneof![8 => inside, 1 => Just(Timestamp::MAX), 1 => Just(Timestamp::MIN)]
}

fn reference() -> impl Strategy<Value = UpstreamRef> {
    (text(), text(), text(), text()).prop_map(|(id, r#type, state, message)| UpstreamRef {
        ids: vec![id],
        r#type,
        state,
        message,
    })
}

fn error() -> impl Strategy<Value = Error> {
    (0..41, text(), text(), collection::btree_map(text(), text(), 0..3), text()).prop_map(
        |(reason, message, source, metadata, field)| Error {
            reason,
            message,
            source,
            metadata,
            violations: vec![FieldViolation { field, description: String::new() }],
            retry_after: None,
        },
    )
}

fn view() -> impl Strategy<Value = Resource> {
    let service = (text(), text()).prop_map(|(name, display_name)| {
        Kind::Service(Service { name, display_name, ..Service::default() })
    });
    let kind = prop_oneof![service, text().prop_map(Kind::Deleted)];
    option::of(kind).prop_map(|kind| Resource { kind })
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    let words = (text(), text(), text(), text(), text());
    let numbers = (any::<u32>(), 0..=4, 0..=6, any::<u16>(), 0..Observed::ALL.len());
    (words, numbers, uuid(), (time(), age()), bytes()).prop_map(
        |(words, (step, effect, outcome, answer_status, observed), nonce, times, answer)| Attempt {
            number: 0,
            step,
            nonce,
            call: words.0,
            effect: Effect::try_from(effect).unwrap(),
            permit_time: times.0,
            permit_age: times.1,
            outcome: Outcome::try_from(outcome).unwrap(),
            message: words.1,
            upstream_id: words.2,
            plugin: words.3,
            plugin_sha256: words.4,
            answer_status,
            answer,
            observed: Observed::ALL[observed],
            unapplied: None,
        },
    )
}

fn baseline() -> impl Strategy<Value = Baseline> {
    (bytes(), text(), collection::vec(text(), 0..4), text()).prop_map(
        |(evidence, similarity, present_ids, highest_id)| Baseline {
            evidence,
            similarity,
            present_ids,
            highest_id,
        },
    )
}

fn given_up() -> impl Strategy<Value = GivenUp> {
    let parts = (any::<u32>(), bytes(), option::of(baseline()));
    parts.prop_map(|(step, handle, baseline)| GivenUp { step, handle, baseline })
}

fn settle() -> impl Strategy<Value = Settle> {
    let window = any::<u64>().prop_map(Duration::from_nanos);
    (age(), window, option::of(age())).prop_map(|(conclusive_at, window, escalate_at)| Settle {
        conclusive_at,
        window,
        escalate_at,
    })
}

fn pending_end() -> impl Strategy<Value = PendingEnd> {
    (0..EndKind::ALL.len(), age(), error()).prop_map(|(kind, since, error)| PendingEnd {
        kind: EndKind::ALL[kind],
        since,
        error,
    })
}

fn safety() -> impl Strategy<Value = Safety> {
    let levels = [Evidence::None, Evidence::Difference, Evidence::Natural, Evidence::Reference];
    let effects = [Effect::Read, Effect::Prepare, Effect::Setting, Effect::Spend];
    let words = (any::<bool>(), any::<bool>(), text());
    (0..4_usize, 0..4_usize, any::<u32>(), words, any::<u64>()).prop_map(
        move |(level, effect, settle, words, lag)| Safety {
            evidence: levels[level],
            effect: effects[effect],
            settle: Duration::from_millis(settle.into()),
            absence_is_proof: words.0,
            account_shared: words.1,
            id_kind: words.2,
            effect_lag: Duration::from_nanos(lag),
        },
    )
}

fn note() -> impl Strategy<Value = Note> {
    let said = (0..Decision::ALL.len(), any::<bool>(), option::of(age()), any::<bool>());
    (any_time(), text(), text(), said).prop_map(|(time, actor, text, said)| Note {
        at_own_risk: said.1,
        waits_until: said.2,
        overruled: said.3,
        ..Note::new(time, actor, text, Decision::ALL[said.0])
    })
}

/// Any operation of version 1. Its lists, optional parts and numbers take all their forms.
pub(super) fn any_operation() -> impl Strategy<Value = Operation> {
    let words = collection::vec(text(), 10);
    let times = (time(), time(), any_time(), option::of(age()), age(), age());
    let numbers = (any::<u32>(), any::<u32>(), any::<u32>());
    let bytes = (any::<[u8; 32]>(), bytes(), bytes());
    let parts = (option::of(baseline()), option::of(view()), option::of(error()));
    let lists = (
        collection::vec(any_attempt(), 0..5),
        collection::vec(reference(), 0..3),
        collection::vec(note(), 0..3),
        collection::vec(text(), 0..3),
        collection::vec(given_up(), 0..3),
        collection::vec(reference(), 0..2),
    );
    let end = (option::of(pending_end()), option::of(safety()));
    let rest = (reference(), option::of(uuid()), option::of(settle()), 0..9_usize, end);
    (uuid(), words, times, numbers, bytes, parts, lists, rest).prop_map(
        |(request_id, words, times, numbers, bytes, parts, mut lists, rest)| {
            let mut words = words.into_iter();
            let mut word = || words.next().unwrap();
            for (number, attempt) in (1..).zip(&mut lists.0) {
                attempt.number = number;
            }
            Operation {
                request_id,
                protocol: numbers.0,
                owner: word(),
                actor: word(),
                trace_id: word(),
                op: Op::PayOrder,
                provider: word(),
                account: word(),
                account_key: word(),
                target: word(),
                upstream_target: vec![word(), word()],
                exclusive: lists.3,
                fingerprint: bytes.0,
                request: bytes.1,
                state: STATES[rest.3],
                version: 1,
                create_time: times.0,
                update_time: times.1,
                create_age: times.4,
                update_age: times.5,
                start_before: times.2,
                wake_time: times.3,
                tries: numbers.1,
                step: numbers.2,
                handle: bytes.2,
                baseline: parts.0,
                attempts: lists.0,
                given_up: lists.4,
                upstream: rest.0,
                view: parts.1,
                error: parts.2,
                message: word(),
                candidates: lists.1,
                duplicates: lists.5,
                blocked_by: rest.1,
                settle: rest.2,
                pending_end: rest.4.0,
                notes: lists.2,
                safety: rest.4.1,
            }
        },
    )
}
