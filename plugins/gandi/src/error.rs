//! What the upstream's faults mean. A fault code is six digits: whose mistake it is, the object, the
//! cause. It must not call anything a refusal that is not proven to be one.

use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};

/// The names of the proofs that the manifest declares.
pub(crate) mod proof {
    /// The caller's mistake, `5` and five more digits: nothing was done.
    pub(crate) const FAULT: &str = "fault";
    /// Too many requests: nothing was done, and it may be sent again.
    pub(crate) const QUOTA: &str = "quota";
    /// The emptied API's answer: the method does nothing any more.
    pub(crate) const NIL: &str = "nil";
    /// The upstream does not have the method.
    pub(crate) const UNSUPPORTED_METHOD: &str = "unsupported_method";
}

/// The one code outside the scheme.
const UNSUPPORTED_METHOD: i64 = 1;

/// The longest text of the upstream that is passed on.
const MAX_TEXT: usize = 300;

/// What a fault says about a write.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing was done.
    Refused { proof: &'static str, error: Error },
    /// It does not tell.
    Unknown(String),
}

/// The meaning of a fault that answers a write.
pub(crate) fn of_write(code: i64, text: &str) -> Verdict {
    match parts(code) {
        Some((5, object, cause)) => {
            let proof = if cause == cause::QUOTA_REACHED { proof::QUOTA } else { proof::FAULT };
            Verdict::Refused { proof, error: refusal(code, object, cause, text) }
        }
        _ if code == UNSUPPORTED_METHOD => {
            Verdict::Refused { proof: proof::UNSUPPORTED_METHOD, error: gone(code, text) }
        }
        _ => Verdict::Unknown(format!("the upstream failed: {} (fault {code})", short(text))),
    }
}

/// The error of a fault that answers a read. What it reads is the plugin's to say and no field of the caller's,
/// so no field is wrong.
pub(crate) fn of_read(code: i64, text: &str) -> Error {
    match parts(code) {
        Some((5, object, cause)) => {
            let error = refusal(code, object, cause, text);
            match error.reason {
                ErrorReason::FieldViolation => {
                    let message = format!("the upstream refused: {}", short(text));
                    Error::rejected(message).with_upstream_code(code)
                }
                _ => error,
            }
        }
        _ if code == UNSUPPORTED_METHOD => gone(code, text),
        _ => Error::unavailable(format!("the upstream failed: {}", short(text)))
            .with_upstream_code(code),
    }
}

/// FIELD_VIOLATION where the upstream refuses the currency that a caller has asked for, and not the configured one.
pub(crate) fn of_currency(error: Error, asked: &str) -> Error {
    let code = error.metadata.get(purveyor_sdk::UPSTREAM_CODE);
    let object = code.and_then(|code| parts(code.parse().ok()?)).map(|(_, object, _)| object);
    if asked.is_empty() || object != Some(object::CURRENCY) {
        return error;
    }
    Error { metadata: error.metadata, ..Error::field("currency_code", error.message) }
}

/// UPSTREAM_API_GONE: the product methods answer nothing any more.
pub(crate) fn emptied() -> Error {
    Error::new(ErrorReason::UpstreamApiGone, "the upstream's method does nothing any more")
}

/// An error with another reason where the upstream says that something does not exist: what that
/// something is, only the caller knows.
pub(crate) fn missing<T>(result: Result<T>, not_found: impl FnOnce() -> Error) -> Result<T> {
    result.map_err(|error| match error.reason {
        ErrorReason::OrderNotFound | ErrorReason::ServiceNotFound => {
            Error { metadata: error.metadata, ..not_found() }
        }
        _ => error,
    })
}

/// Whether the upstream refused because of the step that an operation is in.
pub(crate) fn is_wrong_step(error: &Error) -> bool {
    let code = error.metadata.get(purveyor_sdk::UPSTREAM_CODE);
    let code = code.and_then(|code| code.parse().ok()).and_then(parts);
    code.is_some_and(|(_, _, cause)| cause == cause::INVALID_STEP)
}

/// Qualification, object and cause of a six-digit code.
fn parts(code: i64) -> Option<(i64, i64, i64)> {
    let six_digits = (100_000..=999_999).contains(&code);
    six_digits.then_some((code / 100_000, code / 100 % 1000, code % 100))
}

/// The causes that mean something of their own.
mod cause {
    pub(super) const TYPE: i64 = 10;
    pub(super) const SYNTAX: i64 = 20;
    pub(super) const VALUE: i64 = 30;
    pub(super) const IDENTICAL: i64 = 34;
    pub(super) const QUOTA_REACHED: i64 = 35;
    pub(super) const NAME: i64 = 36;
    pub(super) const BAD_PARAMETER: i64 = 37;
    pub(super) const DONT_EXIST: i64 = 40;
    pub(super) const NOT_FOUND: i64 = 42;
    pub(super) const NO_RIGHT: i64 = 50;
    pub(super) const NOT_ENOUGH_MONEY: i64 = 63;
    pub(super) const INVALID_STEP: i64 = 90;
}

/// The objects that mean something of their own.
mod object {
    pub(super) const STRING: i64 = 12;
    pub(super) const ACCOUNT: i64 = 101;
    pub(super) const OPERATION: i64 = 102;
    pub(super) const HOSTING_PRODUCT: i64 = 351;
    pub(super) const CURRENCY: i64 = 701;
    pub(super) const PRICER_DURATION: i64 = 705;
    pub(super) const PRICER_QUANTITY: i64 = 706;
    pub(super) const QUANTITY: i64 = 715;
    pub(super) const GRID: i64 = 723;
}

fn refusal(code: i64, object: i64, cause: i64, text: &str) -> Error {
    let message = format!("the upstream refused: {}", short(text));
    let error = match (object, cause) {
        // A malformed API key is a bad parameter of the type string, documented so.
        (object::ACCOUNT, cause::NO_RIGHT) | (object::STRING, cause::BAD_PARAMETER) => {
            Error::credentials(message)
        }
        (object::OPERATION, cause::DONT_EXIST | cause::NOT_FOUND) => {
            Error::new(ErrorReason::OrderNotFound, message)
        }
        (object::HOSTING_PRODUCT, cause::DONT_EXIST | cause::NOT_FOUND) => {
            Error::new(ErrorReason::ServiceNotFound, message)
        }
        (_, cause::NOT_ENOUGH_MONEY) => Error::new(ErrorReason::InsufficientCredit, message),
        (_, cause::QUOTA_REACHED) => Error::rate_limit(message),
        (
            _,
            cause::TYPE
            | cause::SYNTAX
            | cause::VALUE..=cause::IDENTICAL
            | cause::NAME
            | cause::BAD_PARAMETER,
        ) => Error::field(field(object), message),
        _ => Error::rejected(message),
    };
    error.with_upstream_code(code)
}

/// The field of a request that an object is about.
fn field(object: i64) -> String {
    match object {
        object::HOSTING_PRODUCT => "product".to_owned(),
        object::PRICER_DURATION => "term".to_owned(),
        object::PRICER_QUANTITY | object::QUANTITY => "quantity".to_owned(),
        object::CURRENCY => "currency_code".to_owned(),
        object::GRID => "configuration.grid".to_owned(),
        other => format!("upstream_object_{other}"),
    }
}

fn gone(code: i64, text: &str) -> Error {
    let message = format!("the upstream does not have the method: {}", short(text));
    Error::new(ErrorReason::UpstreamApiGone, message).with_upstream_code(code)
}

fn short(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    if short.is_empty() {
        short.push_str("no reason is given");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::{ErrorReason, Verdict, of_read, of_write, proof};

    /// Every object and cause that the upstream's documents list.
    const TABLE: &str = include_str!("../tests/data/fault-codes.csv");

    fn numbers(qualification: i64, kind: &str) -> Vec<i64> {
        let rows = TABLE.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let found = rows.filter(|row| row[0] == qualification.to_string() && row[1] == kind);
        found.map(|row| row[2].parse().unwrap()).collect()
    }

    /// The reason that the mapping gives to a cause, whatever the object; `None` where it depends.
    fn reason(cause: i64) -> Option<ErrorReason> {
        match cause {
            10 | 20 | 30 | 31 | 32 | 33 | 34 | 36 => Some(ErrorReason::FieldViolation),
            35 => Some(ErrorReason::UpstreamRateLimit),
            63 => Some(ErrorReason::InsufficientCredit),
            37 | 40 | 42 | 50 => None,
            _ => Some(ErrorReason::UpstreamRejected),
        }
    }

    #[test]
    fn every_fault_of_the_caller_is_a_proof_and_has_its_reason() {
        let (objects, causes) = (numbers(5, "object"), numbers(5, "cause"));
        assert_eq!((objects.len(), causes.len()), (164, 60));
        for object in &objects {
            for cause in &causes {
                let code = 500_000 + object * 100 + cause;
                let read = of_read(code, "text");
                let Verdict::Refused { proof, error } = of_write(code, "text") else {
                    panic!("{code} is no refusal");
                };
                // A read blames no field: the caller has sent none of them.
                let of_read = match error.reason {
                    ErrorReason::FieldViolation => ErrorReason::UpstreamRejected,
                    reason => reason,
                };
                assert_eq!((read.reason, read.violations.len()), (of_read, 0), "{code}");
                assert_eq!(read.metadata, error.metadata, "{code}");
                assert_eq!(error.metadata["upstream_code"], code.to_string());
                if let Some(expected) = reason(*cause) {
                    assert_eq!(error.reason, expected, "{code}");
                }
                let expected = if *cause == 35 { proof::QUOTA } else { proof::FAULT };
                assert_eq!(proof, expected, "{code}");
            }
        }
    }

    #[test]
    fn no_fault_of_the_server_is_a_proof() {
        let (objects, causes) = (numbers(1, "object"), numbers(1, "cause"));
        assert_eq!((objects.len(), causes.len()), (8, 6));
        for object in &objects {
            for cause in &causes {
                let code = 100_000 + object * 100 + cause;
                assert!(matches!(of_write(code, ""), Verdict::Unknown(_)), "{code}");
                let error = of_read(code, "");
                assert_eq!(error.reason, ErrorReason::UpstreamUnavailable, "{code}");
                assert_eq!(error.metadata["upstream_code"], code.to_string());
            }
        }
    }

    #[test]
    fn codes_whose_reason_depends_on_the_object() {
        fn check(code: i64, expected: ErrorReason) {
            let Verdict::Refused { error, .. } = of_write(code, "text") else {
                panic!("{code} is no refusal");
            };
            assert_eq!(error.reason, expected, "{code}");
        }
        check(510_150, ErrorReason::UpstreamCredentials);
        check(501_237, ErrorReason::UpstreamCredentials);
        check(516_150, ErrorReason::UpstreamRejected);
        check(535_150, ErrorReason::UpstreamRejected);
        check(535_140, ErrorReason::ServiceNotFound);
        check(535_142, ErrorReason::ServiceNotFound);
        check(510_240, ErrorReason::OrderNotFound);
        check(510_242, ErrorReason::OrderNotFound);
        check(530_040, ErrorReason::UpstreamRejected);
        check(505_237, ErrorReason::FieldViolation);
        check(521_163, ErrorReason::InsufficientCredit);
        check(510_135, ErrorReason::UpstreamRateLimit);
        check(510_290, ErrorReason::UpstreamRejected);
        check(1, ErrorReason::UpstreamApiGone);
    }

    #[test]
    fn fields_are_named_as_the_request_names_them() {
        fn check(code: i64, expected: &str) {
            let Verdict::Refused { error, .. } = of_write(code, "text") else {
                panic!("{code} is no refusal");
            };
            assert_eq!(error.violations[0].field, expected);
        }
        check(571_530, "quantity");
        check(570_530, "term");
        check(535_130, "product");
        check(570_130, "currency_code");
        check(501_533, "upstream_object_15");
    }

    #[test]
    fn codes_outside_the_scheme_prove_nothing() {
        for code in [0, 5, 50, 500, 5_000, 50_000, -510_150, 5_101_500, 210_150, 999_999] {
            assert!(matches!(of_write(code, "text"), Verdict::Unknown(_)), "{code}");
            assert_eq!(of_read(code, "text").reason, ErrorReason::UpstreamUnavailable, "{code}");
        }
    }

    #[test]
    fn texts_are_cut() {
        let error = of_read(510_150, &"x\n".repeat(5_000));
        assert_eq!(error.message.len(), "the upstream refused: ".len() + super::MAX_TEXT);
    }
}
