//! Every reason has the code that the contract's comment says, and an error says the same as a status
//! and as a value, however large it is.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message;
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::{FieldViolation, Op};
use purveyor_sdk::v1::{self, Effect, ErrorReason};
use tonic::Code;
use tonic_types::pb;

use super::retry::{Stage, change, retry};
use super::{DOMAIN, MORE_VIOLATIONS, complete, grpc, of_operation, reason, value};
use crate::api::limits::ERROR_MAX_BYTES;
use crate::api::subject::Subject;
use crate::store::age::Age;
use crate::store::operation::{Attempt, Observed, Operation};

/// The contract itself: its comments are the table.
const CONTRACT: &str = include_str!("../../../proto/purveyor/v1/error.proto");

/// The table for people.
const RETRIES: &str = include_str!("../../../docs/errors.md");

const FAILED_AND_ACCEPTED: Stage = Stage::Failed { accepted: true };

/// Every reason but the one that is never sent.
fn reasons() -> impl Iterator<Item = ErrorReason> {
    (1..1000).filter_map(|number| ErrorReason::try_from(number).ok())
}

/// The word before the colon of each reason's comment.
fn documented() -> BTreeMap<String, String> {
    let mut codes = BTreeMap::new();
    let mut comment = String::new();
    for line in CONTRACT.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("//") {
            comment.push_str(text);
        } else if let Some((name, _)) = line.split_once(" = ") {
            let word = comment.split_once(':').map(|(word, _)| word.trim().to_owned());
            codes.insert(name.to_owned(), word.unwrap_or_default());
            comment.clear();
        } else {
            comment.clear();
        }
    }
    codes
}

/// `FailedPrecondition` -> `FAILED_PRECONDITION`.
fn spelled(code: Code) -> String {
    let mut spelled = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !spelled.is_empty() {
            spelled.push('_');
        }
        spelled.push(letter.to_ascii_uppercase());
    }
    spelled
}

#[test]
fn every_reason_has_the_code_that_the_contract_says() {
    let documented = documented();
    assert!(reasons().count() > 40);
    for reason in reasons() {
        let code = spelled(grpc(&Error::new(reason, "text")).code());
        let said = &documented[reason.as_str_name()];
        assert_eq!(&code, said, "{}", reason.as_str_name());
    }
}

#[test]
fn a_status_and_a_value_say_the_same() {
    for reason in reasons() {
        let error = Error::field("order.items[0].term", "is not a term of this method")
            .with_reason(reason)
            .with_metadata("provider", "providers/acme")
            .with_upstream_code(404)
            .with_retry_after(Duration::from_millis(1500))
            .with_source("a secret");
        let (status, value) = (grpc(&error), value(&error));
        let sent = pb::Status::decode(status.details()).unwrap();
        assert_eq!((status.code() as i32, status.message()), (value.code, value.message.as_str()));
        assert_eq!((sent.code, &sent.message), (value.code, &value.message));
        let info = pb::ErrorInfo::decode(sent.details[0].value.as_slice()).unwrap();
        assert_eq!(sent.details[0].type_url, "type.googleapis.com/google.rpc.ErrorInfo");
        assert_eq!(info.domain, DOMAIN);
        assert_eq!(info.reason, value.reason);
        assert_eq!(format!("ERROR_REASON_{}", info.reason), reason.as_str_name());
        assert_eq!(info.metadata.into_iter().collect::<BTreeMap<_, _>>(), value.metadata);
        assert_eq!(sent.details[1..], value.details[..], "{}", value.reason);
        assert!(!format!("{status:?}{value:?}").contains("a secret"));
    }
}

#[test]
fn details_fit_the_reason() {
    fn check(reason: ErrorReason, expected: &[&str]) {
        let error = Error::new(reason, "text").with_metadata("resource", "providers/a/orders/1");
        let details = value(&error).details;
        let names = details.iter().map(|each| each.type_url.rsplit('.').next().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), expected, "{reason:?}");
    }
    check(ErrorReason::FieldViolation, &[]);
    check(ErrorReason::PriceLimit, &["PreconditionFailure"]);
    check(ErrorReason::OrderNotFound, &["ResourceInfo"]);
    check(ErrorReason::RequestIdReused, &["ResourceInfo"]);
    check(ErrorReason::UpstreamRateLimit, &["QuotaFailure", "RetryInfo"]);
    // Nobody said when: the same answer is too large again.
    check(ErrorReason::Overloaded, &["QuotaFailure"]);
    check(ErrorReason::UpstreamUnavailable, &["RetryInfo"]);
    check(ErrorReason::StoreUnavailable, &["RetryInfo"]);
    check(ErrorReason::AcceptanceUnknown, &["RetryInfo"]);
    // Whoever makes it says whether it passes without an operator.
    check(ErrorReason::OperationInProgress, &[]);
    check(ErrorReason::ProviderUnavailable, &[]);
    check(ErrorReason::EtagMismatch, &[]);
    check(ErrorReason::DeadlineExceeded, &["RetryInfo"]);
    check(ErrorReason::Internal, &[]);
    let info = value(
        &Error::new(ErrorReason::OrderNotFound, "text")
            .with_metadata("resource", "providers/a/orders/1"),
    );
    let info = pb::ResourceInfo::decode(info.details[0].value.as_slice()).unwrap();
    assert_eq!(info.resource_type, "purveyor.v1.Order");
    assert_eq!(info.resource_name, "providers/a/orders/1");
}

#[test]
fn only_what_may_help_says_when_to_try_again() {
    let after = Duration::from_secs(7);
    for reason in reasons() {
        let value = value(&Error::new(reason, "text").with_retry_after(after));
        let same = value.metadata["retry"] == "SAME_REQUEST";
        let details = value.details;
        let retry = details.iter().find(|each| each.type_url.ends_with("RetryInfo"));
        let expected = matches!(
            reason,
            ErrorReason::OperationInProgress
                | ErrorReason::UpstreamRateLimit
                | ErrorReason::Overloaded
                | ErrorReason::UpstreamUnavailable
                | ErrorReason::ProviderUnavailable
                | ErrorReason::StoreUnavailable
                | ErrorReason::AcceptanceUnknown
                | ErrorReason::DeadlineExceeded
        );
        assert_eq!((retry.is_some(), same), (expected, expected), "{reason:?}");
        if let Some(retry) = retry {
            let delay = pb::RetryInfo::decode(retry.value.as_slice()).unwrap().retry_delay;
            assert_eq!(delay.unwrap().seconds, 7);
        }
        // Repeating the request of an operation only shows that operation.
        for stage in [Stage::Failed { accepted: false }, FAILED_AND_ACCEPTED, Stage::Problem] {
            let error = Error::new(reason, "text").with_retry_after(after);
            let ended = of_operation(&error, stage);
            assert!(ended.details.iter().all(|each| !each.type_url.ends_with("RetryInfo")));
            assert_ne!(ended.metadata["retry"], "SAME_REQUEST", "{reason:?}");
        }
    }
}

#[test]
fn twenty_violations_are_told_and_how_many_more() {
    fn check(count: usize, shown: usize, more: Option<&str>) {
        let violations = (0..count).map(|place| FieldViolation {
            field: format!("order.items[{place}].term"),
            description: "must be set".to_owned(),
        });
        let value = value(&Error::fields(violations));
        let request = pb::BadRequest::decode(value.details[0].value.as_slice()).unwrap();
        assert_eq!(request.field_violations.len(), shown, "{count}");
        assert_eq!(value.metadata.get(MORE_VIOLATIONS).map(String::as_str), more, "{count}");
    }
    check(1, 1, None);
    check(20, 20, None);
    check(21, 20, Some("1"));
    check(500, 20, Some("480"));
}

/// The bytes of message and details as headers carry them.
fn travels(error: &Error) -> usize {
    let mut headers = http::HeaderMap::new();
    grpc(error).add_header(&mut headers).unwrap();
    ["grpc-message", "grpc-status-details-bin"].iter().map(|key| headers[*key].len()).sum()
}

#[test]
fn no_error_is_too_large_for_trailers() {
    fn check(name: &str, error: &Error) {
        let travels = travels(error);
        assert!(travels <= ERROR_MAX_BYTES, "{name}: {travels} bytes");
        assert!(!value(error).message.is_empty(), "{name}");
    }
    let long = |text: &str| text.repeat(100_000);
    check("long message", &Error::new(ErrorReason::PriceLimit, long("x")));
    check("multi-byte message", &Error::new(ErrorReason::OrderNotFound, long("…é")));
    check("control characters", &Error::new(ErrorReason::UpstreamRejected, long("\n\0%")));
    let wide = FieldViolation { field: long("f"), description: long("ü") };
    check("long violations", &Error::fields(vec![wide; 300]));
    let mut facts = Error::new(ErrorReason::UpstreamRejected, long("x"));
    for place in 0..200 {
        facts = facts.with_metadata(format!("{place}{}", long("k")), long("é"));
    }
    check("many facts", &facts);
    facts.violations = vec![FieldViolation { field: long("f"), description: long("d") }; 100];
    check("everything", &facts);
}

#[test]
fn what_the_transport_says_gets_our_details() {
    fn check(status: tonic::Status, expected: (Code, &str)) {
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        complete(&mut headers, "/purveyor.v1.Orders/Burn");
        let status = tonic::Status::from_header_map(&headers).unwrap();
        let sent = pb::Status::decode(status.details()).unwrap();
        let info = pb::ErrorInfo::decode(sent.details[0].value.as_slice()).unwrap();
        assert_eq!((status.code(), info.reason.as_str()), expected);
    }
    let invalid = (Code::InvalidArgument, "FIELD_VIOLATION");
    check(tonic::Status::unimplemented(""), (Code::Unimplemented, "CAPABILITY_UNSUPPORTED"));
    check(tonic::Status::out_of_range("message length too large"), invalid);
    check(tonic::Status::resource_exhausted("exceeded while decompressing"), invalid);
    check(tonic::Status::internal("Missing request message."), invalid);
    let own = grpc(&Error::new(ErrorReason::ResumeTokenExpired, "text"));
    check(own, (Code::OutOfRange, "RESUME_TOKEN_EXPIRED"));
}

/// The subjects that the details of an error name.
fn subjects(error: &Error) -> Vec<String> {
    let subjects = |detail: &prost_types::Any| {
        let bytes = detail.value.as_slice();
        match detail.type_url.rsplit('.').next().unwrap() {
            "PreconditionFailure" => {
                let failure = pb::PreconditionFailure::decode(bytes).unwrap();
                failure.violations.into_iter().map(|it| it.subject).collect()
            }
            "QuotaFailure" => {
                let failure = pb::QuotaFailure::decode(bytes).unwrap();
                failure.violations.into_iter().map(|it| it.subject).collect()
            }
            "ResourceInfo" => vec![pb::ResourceInfo::decode(bytes).unwrap().resource_name],
            _ => Vec::new(),
        }
    };
    value(error).details.iter().flat_map(subjects).collect()
}

#[test]
fn no_detail_of_a_known_resource_is_about_this_server() {
    let name = "providers/acme/orders/7";
    let id = "5F0A1B52-6D0C-4A43-9D0E-000000000001";
    let request =
        v1::PayOrderRequest { name: name.into(), request_id: id.into(), ..Default::default() };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let id = uuid::Uuid::parse_str(id).unwrap();
    let new = Operation::new(id, Op::PayOrder, "acme", now, Age::from_nanos(0));
    let operation = Operation { target: name.to_owned(), ..new };
    let ours = format!("operations/{id}");
    for reason in reasons() {
        let stamped = Subject::of_request(&request).stamp(Error::new(reason, "text"));
        assert_eq!(stamped.metadata["resource"], name, "{reason:?}");
        assert_eq!(stamped.metadata["provider"], "providers/acme", "{reason:?}");
        let reused = reason == ErrorReason::RequestIdReused;
        assert_eq!(stamped.metadata.get("operation"), reused.then_some(&ours), "{reason:?}");
        for subject in subjects(&stamped) {
            let expected = match reason {
                ErrorReason::RequestIdReused => ours.as_str(),
                ErrorReason::UpstreamRateLimit => "providers/acme",
                _ => name,
            };
            assert_eq!(subject, expected, "{reason:?}");
        }
        let stamped = Subject::of_operation(&operation).stamp(Error::new(reason, "text"));
        assert_eq!(stamped.metadata["resource"], name, "{reason:?}");
        assert_eq!(stamped.metadata["provider"], "providers/acme", "{reason:?}");
        assert_eq!(stamped.metadata["operation"], ours, "{reason:?}");
        assert!(subjects(&stamped).iter().all(|subject| subject != DOMAIN), "{reason:?}");
    }
}

#[test]
fn what_an_error_says_of_itself_stays() {
    let request = v1::UpdateServiceRequest {
        service: Some(v1::Service {
            name: "providers/acme/services/1".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let error = Error::new(ErrorReason::ProductNotFound, "text")
        .with_metadata("resource", "providers/other/products/2")
        .with_metadata("operation", "operations/3")
        .with_metadata("upstream_status", 403);
    let stamped = Subject::of_request(&request).stamp(error);
    let told = |key: &str| stamped.metadata.get(key).map(String::as_str);
    assert_eq!(told("resource"), Some("providers/other/products/2"));
    assert_eq!(told("provider"), Some("providers/other"));
    assert_eq!(told("operation"), Some("operations/3"));
    assert_eq!(told("upstream_code"), Some("403"));
    // An answer of success is no code of a refusal.
    let error = Error::new(ErrorReason::NotExecuted, "text").with_metadata("upstream_status", 200);
    assert_eq!(Subject::default().stamp(error).metadata.get("upstream_code"), None);
}

#[test]
fn a_subject_is_a_name_or_nothing() {
    let check = |name: &str, expected: Option<&str>| {
        let request = v1::GetOrderRequest { name: name.to_owned() };
        let stamped = Subject::of_request(&request).stamp(Error::unavailable("text"));
        let told = stamped.metadata.get("resource").map(String::as_str);
        assert_eq!((told, told.is_some()), (expected, !stamped.metadata.is_empty()), "{name}");
        let bytes = bytes::Bytes::from(request.encode_to_vec());
        assert_eq!(Subject::of_bytes(&bytes), Subject::of_request(&request), "{name}");
    };
    check("providers/acme", Some("providers/acme"));
    check("providers/acme/products/1", Some("providers/acme/products/1"));
    check("providers/-", None);
    check("providers/acme/orders/a/b", None);
    check("anything\nelse", None);
    check("", None);
    let id = "operations/5f0a1b52-6d0c-4a43-9d0e-000000000001";
    check(id, Some(id));
}

/// The row of a reason in the table for people.
fn row(of: ErrorReason) -> String {
    let now = retry(of, Stage::Call { passes: true }).as_str();
    let never = retry(of, Stage::Call { passes: false }).as_str();
    let call = if now == never { now.to_owned() } else { format!("{now}, else {never}") };
    let failed = retry(of, Stage::Failed { accepted: false }).as_str();
    let code = spelled(grpc(&Error::new(of, "text")).code());
    format!("| `{}` | {code} | {call} | {failed} | {} |", reason(of), change(of))
}

#[test]
fn every_reason_has_its_row_in_the_table_for_people() {
    let table = RETRIES.lines().skip_while(|line| !line.starts_with("| reason |")).skip(2);
    let rows = table.take_while(|line| !line.is_empty());
    let (rows, expected): (Vec<_>, Vec<_>) = (rows.collect(), reasons().map(row).collect());
    assert!(rows == expected, "the table in docs/errors.md has to be\n{}", expected.join("\n"));
}

#[test]
fn nothing_that_may_be_bought_is_requested_anew() {
    for reason in reasons() {
        for stage in [FAILED_AND_ACCEPTED, Stage::Problem] {
            assert_eq!(retry(reason, stage).as_str(), "A_PERSON", "{reason:?}");
        }
    }
    let told = |reason| retry(reason, Stage::Call { passes: false }).as_str();
    // Where the acceptance is not known, the request id is what keeps it from being done twice.
    for reason in [ErrorReason::AcceptanceUnknown, ErrorReason::DeadlineExceeded] {
        assert_eq!(told(reason), "SAME_REQUEST", "{reason:?}");
    }
    // A handler that fails may have stored the write.
    for reason in [ErrorReason::Internal, ErrorReason::PluginFault] {
        assert_eq!(told(reason), "A_PERSON", "{reason:?}");
    }
    assert_eq!(told(ErrorReason::RequestIdReused), "NEVER");
}

#[test]
fn failed_operation_is_requested_anew_only_where_no_spend_was_accepted() {
    use purveyor_sdk::v1::Effect::{Setting, Spend};
    use purveyor_sdk::v1::operation::Outcome;

    let check = |attempts: &[(Effect, Outcome)], accepted: bool| {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let age = Age::from_nanos(0);
        let mut operation = Operation::new(uuid::Uuid::nil(), Op::PayOrder, "acme", now, age);
        operation.attempts = attempts
            .iter()
            .map(|(effect, outcome)| Attempt {
                number: 1,
                step: 1,
                nonce: uuid::Uuid::nil(),
                call: "pay".to_owned(),
                effect: *effect,
                permit_time: now,
                permit_age: age,
                outcome: *outcome,
                message: String::new(),
                upstream_id: String::new(),
                plugin: "acme 1.0.0".to_owned(),
                plugin_sha256: String::new(),
                answer_status: 0,
                answer: Vec::new(),
                observed: Observed::Nothing,
                unapplied: None,
            })
            .collect();
        assert_eq!(Stage::of_failed(&operation), Stage::Failed { accepted }, "{attempts:?}");
        operation.duplicates = vec![v1::UpstreamRef::of("7".to_owned())];
        assert_eq!(Stage::of_failed(&operation), FAILED_AND_ACCEPTED, "{attempts:?}");
    };
    check(&[], false);
    check(
        &[(Spend, Outcome::NotSent), (Spend, Outcome::Absent), (Spend, Outcome::Rejected)],
        false,
    );
    check(&[(Spend, Outcome::Applied), (Spend, Outcome::Rejected)], true);
    check(&[(Spend, Outcome::Pending)], true);
    // A setting moves no money.
    check(&[(Setting, Outcome::Applied), (Setting, Outcome::Rejected)], false);
}
