//! How the parts of an operation that no query looks into are kept as bytes, the same in every
//! store: protobuf messages, so that a field can be added without touching the rows there are.
//! It must not decide what is kept, and it never loses anything: what was written is read again
//! exactly, and bytes that cannot be read are an error.

use std::time::Duration;

use jiff::Timestamp;
use prost::Message;
use purveyor_sdk::plugin::v1::{BaselineResponse, Error, Resource, resource};
use purveyor_sdk::v1::UpstreamRef;
use uuid::Uuid;

use super::StoreError;
use super::age::Age;
use super::confirmation::LostTime;
use super::operation::{Baseline, Decision, EndKind, GivenUp, Note, PendingEnd, Safety, Settle};

/// A sequence of messages, each with its length before it.
pub(super) fn sequence<M: Message>(messages: &[M]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend(message.encode_length_delimited_to_vec());
    }
    bytes
}

/// The messages of [`sequence`].
pub(super) fn from_sequence<M: Message + Default>(
    column: &str,
    mut bytes: &[u8],
) -> Result<Vec<M>, StoreError> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let message = M::decode_length_delimited(&mut bytes).map_err(|e| corrupt(column, e))?;
        messages.push(message);
    }
    Ok(messages)
}

/// One message.
pub(super) fn message<M: Message + Default>(column: &str, bytes: &[u8]) -> Result<M, StoreError> {
    M::decode(bytes).map_err(|e| corrupt(column, e))
}

/// What is read where something else was expected.
pub(super) fn corrupt(column: &str, what: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{column}: {what}"))
}

/// Names, as one message with a repeated string.
pub(super) fn names(names: &[String]) -> Vec<u8> {
    NamesRecord { names: names.to_vec() }.encode_to_vec()
}

/// The names of [`names`].
pub(super) fn from_names(column: &str, bytes: &[u8]) -> Result<Vec<String>, StoreError> {
    Ok(message::<NamesRecord>(column, bytes)?.names)
}

/// The evidence before a spend, as the `purveyor.plugin.v1.BaselineResponse` that brought it.
pub(super) fn baseline(baseline: &Baseline) -> Vec<u8> {
    BaselineResponse {
        evidence: baseline.evidence.clone(),
        similarity: baseline.similarity.clone(),
        present_ids: baseline.present_ids.clone(),
        highest_id: baseline.highest_id.clone(),
        ..BaselineResponse::default()
    }
    .encode_to_vec()
}

/// The evidence of [`baseline`].
pub(super) fn from_baseline(bytes: &[u8]) -> Result<Baseline, StoreError> {
    let BaselineResponse { evidence, similarity, present_ids, highest_id, .. } =
        message("baseline", bytes)?;
    Ok(Baseline { evidence, similarity, present_ids, highest_id })
}

/// What steps are looked for by once more, as a sequence; `None` where there is none.
pub(super) fn given_up(steps: &[GivenUp]) -> Option<Vec<u8>> {
    let record = |it: &GivenUp| GivenUpRecord {
        step: it.step,
        handle: it.handle.clone(),
        baseline: it.baseline.as_ref().map(baseline),
    };
    let records: Vec<_> = steps.iter().map(record).collect();
    (!records.is_empty()).then(|| sequence(&records))
}

/// The steps of [`given_up`].
pub(super) fn from_given_up(bytes: &[u8]) -> Result<Vec<GivenUp>, StoreError> {
    from_sequence("given_up", bytes)?
        .into_iter()
        .map(|GivenUpRecord { step, handle, baseline }| {
            let baseline = baseline.as_deref().map(from_baseline).transpose()?;
            Ok(GivenUp { step, handle, baseline })
        })
        .collect()
}

/// The settle window.
pub(super) fn settle(settle: &Settle) -> Vec<u8> {
    SettleRecord {
        window_ns: nanoseconds(settle.window),
        conclusive_at: settle.conclusive_at.as_nanos(),
        escalate_at: settle.escalate_at.map(Age::as_nanos),
    }
    .encode_to_vec()
}

/// The window of [`settle`].
pub(super) fn from_settle(bytes: &[u8]) -> Result<Settle, StoreError> {
    let SettleRecord { window_ns, conclusive_at, escalate_at } = message("settle", bytes)?;
    Ok(Settle {
        conclusive_at: Age::from_nanos(conclusive_at),
        window: Duration::from_nanos(window_ns),
        escalate_at: escalate_at.map(Age::from_nanos),
    })
}

/// The window of a store without an age: it begins again at its full length, because nobody knows how
/// much of it was watched.
pub(super) fn settle_begun_again(bytes: &[u8], age: Age) -> Result<Vec<u8>, StoreError> {
    let before = from_settle(bytes)?;
    let conclusive_at = age + before.window;
    Ok(settle(&Settle { conclusive_at, escalate_at: None, ..before }))
}

/// The identifiers of a target or an object as older stores wrote them: one text, in which those of an
/// object that is several upstream were joined by commas. They were numbers.
pub(super) fn ids_apart(text: &str) -> Vec<String> {
    let number = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    if text.split(',').all(number) {
        return text.split(',').map(str::to_owned).collect();
    }
    UpstreamRef::ids_of(text)
}

/// What an older store wrote of an upstream object, with its identifiers apart.
pub(super) fn upstream_apart(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    let before: UpstreamRef = message("upstream", bytes)?;
    Ok(UpstreamRef { ids: ids_apart(before.id()), ..before }.encode_to_vec())
}

/// The order or renewal that an older store wrote, with its identifiers apart.
pub(super) fn view_apart(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut view: Resource = message("view", bytes)?;
    let upstream = match &mut view.kind {
        Some(resource::Kind::Order(order)) => order.upstream.as_mut(),
        Some(resource::Kind::Renewal(renewal)) => renewal.upstream.as_mut(),
        _ => None,
    };
    if let Some(upstream) = upstream {
        upstream.ids = ids_apart(upstream.id());
    }
    Ok(view.encode_to_vec())
}

/// How an operation ends unless something else shows first.
pub(super) fn pending_end(end: &PendingEnd) -> Vec<u8> {
    PendingEndRecord {
        kind: end.kind as i32,
        since: end.since.as_nanos(),
        error: Some(end.error.clone()),
    }
    .encode_to_vec()
}

/// The end of [`pending_end`].
pub(super) fn from_pending_end(bytes: &[u8]) -> Result<PendingEnd, StoreError> {
    let PendingEndRecord { kind, since, error } = message("pending_end", bytes)?;
    let known = EndKind::ALL.into_iter().find(|it| *it as i32 == kind);
    let kind = known.ok_or_else(|| corrupt("pending_end", format_args!("kind {kind}")))?;
    Ok(PendingEnd { kind, since: Age::from_nanos(since), error: error.unwrap_or_default() })
}

/// What keeps an operation safe.
pub(super) fn safety(safety: &Safety) -> Vec<u8> {
    SafetyRecord {
        evidence: safety.evidence as i32,
        effect: safety.effect as i32,
        settle_ns: nanoseconds(safety.settle),
        absence_is_proof: safety.absence_is_proof,
        account_shared: safety.account_shared,
        id_kind: safety.id_kind.clone(),
        effect_lag_ns: nanoseconds(safety.effect_lag),
    }
    .encode_to_vec()
}

/// The safety of [`safety`].
pub(super) fn from_safety(bytes: &[u8]) -> Result<Safety, StoreError> {
    let record: SafetyRecord = message("safety", bytes)?;
    Ok(Safety {
        evidence: number("safety.evidence", record.evidence.into())?,
        effect: number("safety.effect", record.effect.into())?,
        settle: Duration::from_nanos(record.settle_ns),
        absence_is_proof: record.absence_is_proof,
        account_shared: record.account_shared,
        id_kind: record.id_kind,
        effect_lag: Duration::from_nanos(record.effect_lag_ns),
    })
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The time that a store lacks.
pub(super) fn lost_time(lost: &LostTime) -> Vec<u8> {
    LostTimeRecord {
        from: Some(time(lost.from)),
        from_age: lost.from_age.as_nanos(),
        confirmed_age: lost.confirmed_age.as_nanos(),
        until: Some(time(lost.until)),
        until_age: lost.until_age.as_nanos(),
    }
    .encode_to_vec()
}

/// The time of [`lost_time`].
pub(super) fn from_lost_time(bytes: &[u8]) -> Result<LostTime, StoreError> {
    let record: LostTimeRecord = message("lost_time", bytes)?;
    Ok(LostTime {
        from: from_time("lost_time.from", record.from)?,
        from_age: Age::from_nanos(record.from_age),
        confirmed_age: Age::from_nanos(record.confirmed_age),
        until: from_time("lost_time.until", record.until)?,
        until_age: Age::from_nanos(record.until_age),
    })
}

/// What operators said, as a sequence.
pub(super) fn notes(notes: &[Note]) -> Vec<u8> {
    let records: Vec<_> = notes
        .iter()
        .map(|note| NoteRecord {
            time: Some(time(note.time)),
            actor: note.actor.clone(),
            text: note.text.clone(),
            decision: note.decision as i32,
            at_own_risk: note.at_own_risk,
            waits_until: note.waits_until.map(Age::as_nanos),
            overruled: note.overruled,
        })
        .collect();
    sequence(&records)
}

/// The notes of [`notes`].
pub(super) fn from_notes(bytes: &[u8]) -> Result<Vec<Note>, StoreError> {
    from_sequence("notes", bytes)?
        .into_iter()
        .map(|record: NoteRecord| {
            let known = Decision::ALL.into_iter().find(|it| *it as i32 == record.decision);
            let unknown = || corrupt("notes", format_args!("decision {}", record.decision));
            Ok(Note {
                time: from_time("notes.time", record.time)?,
                actor: record.actor,
                text: record.text,
                decision: known.ok_or_else(unknown)?,
                at_own_risk: record.at_own_risk,
                waits_until: record.waits_until.map(Age::from_nanos),
                overruled: record.overruled,
            })
        })
        .collect()
}

/// An identifier of sixteen bytes.
pub(super) fn uuid(column: &str, bytes: &[u8]) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(|e| corrupt(column, e))
}

/// A number of an enum.
pub(super) fn number<E: TryFrom<i32>>(column: &str, number: i64) -> Result<E, StoreError> {
    i32::try_from(number)
        .ok()
        .and_then(|number| E::try_from(number).ok())
        .ok_or_else(|| corrupt(column, format_args!("{number} has no meaning here")))
}

/// Exact: jiff keeps the sign of seconds and nanoseconds equal, and both come back as they went.
fn time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

fn from_time(column: &str, time: Option<prost_types::Timestamp>) -> Result<Timestamp, StoreError> {
    let time = time.ok_or_else(|| corrupt(column, "no time"))?;
    Timestamp::new(time.seconds, time.nanos).map_err(|e| corrupt(column, e))
}

/// [`Settle`] as it is kept. Numbers of fields are never used for anything else again; 1, 2, 4 and 5
/// were moments on other clocks.
#[derive(Clone, PartialEq, prost::Message)]
struct SettleRecord {
    #[prost(uint64, tag = "3")]
    window_ns: u64,
    #[prost(sfixed64, tag = "6")]
    conclusive_at: i64,
    #[prost(sfixed64, optional, tag = "7")]
    escalate_at: Option<i64>,
}

/// [`PendingEnd`] as it is kept.
#[derive(Clone, PartialEq, prost::Message)]
struct PendingEndRecord {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(sfixed64, tag = "2")]
    since: i64,
    #[prost(message, optional, tag = "3")]
    error: Option<Error>,
}

/// [`Safety`] as it is kept.
#[derive(Clone, PartialEq, prost::Message)]
struct SafetyRecord {
    #[prost(int32, tag = "1")]
    evidence: i32,
    #[prost(uint64, tag = "2")]
    settle_ns: u64,
    #[prost(bool, tag = "3")]
    absence_is_proof: bool,
    #[prost(bool, tag = "4")]
    account_shared: bool,
    #[prost(string, tag = "5")]
    id_kind: String,
    #[prost(uint64, tag = "6")]
    effect_lag_ns: u64,
    #[prost(int32, tag = "7")]
    effect: i32,
}

/// [`LostTime`] as it is kept.
#[derive(Clone, PartialEq, prost::Message)]
struct LostTimeRecord {
    #[prost(message, optional, tag = "1")]
    from: Option<prost_types::Timestamp>,
    #[prost(sfixed64, tag = "2")]
    from_age: i64,
    #[prost(sfixed64, tag = "3")]
    confirmed_age: i64,
    #[prost(message, optional, tag = "4")]
    until: Option<prost_types::Timestamp>,
    #[prost(sfixed64, tag = "5")]
    until_age: i64,
}

/// [`Note`] as it is kept.
#[derive(Clone, PartialEq, prost::Message)]
struct NoteRecord {
    #[prost(message, optional, tag = "1")]
    time: Option<prost_types::Timestamp>,
    #[prost(string, tag = "2")]
    actor: String,
    #[prost(string, tag = "3")]
    text: String,
    #[prost(int32, tag = "4")]
    decision: i32,
    #[prost(bool, tag = "5")]
    at_own_risk: bool,
    #[prost(int64, optional, tag = "6")]
    waits_until: Option<i64>,
    #[prost(bool, tag = "7")]
    overruled: bool,
}

/// [`GivenUp`] as it is kept. Tag 4 was a flag, and is never used for anything else.
#[derive(Clone, PartialEq, prost::Message)]
struct GivenUpRecord {
    #[prost(uint32, tag = "1")]
    step: u32,
    #[prost(bytes = "vec", tag = "2")]
    handle: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "3")]
    baseline: Option<Vec<u8>>,
}

/// A list of names as it is kept.
#[derive(Clone, PartialEq, prost::Message)]
struct NamesRecord {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::ids_apart;

    #[test]
    fn ids_apart_parts_numbers_alone() {
        let check = |text: &str, expected: &[&str]| assert_eq!(ids_apart(text), expected, "{text}");
        check("", &[]);
        check("637366", &["637366"]);
        check("637366,637367", &["637366", "637367"]);
        // An identifier of another upstream may have a comma in it.
        check("disk,ssd", &["disk,ssd"]);
        check("7,", &["7,"]);
    }
}
