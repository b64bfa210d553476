//! The upstream's errors: six digits made of whose fault it is, an object and a cause. It must
//! hold only codes the upstream's documents list, and no rule for when they apply.

use std::fmt;

/// An error answered as an XML-RPC fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GandiFault {
    pub(super) code: i32,
    pub(super) text: String,
    /// The cause's name, for the answers of dry runs.
    pub(super) cause: &'static str,
}

/// What an error is about, with the number the upstream gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Integer = 10,
    Boolean = 11,
    String = 12,
    Date = 13,
    List = 14,
    Struct = 15,
    Method = 16,
    Float = 18,
    Account = 101,
    Operation = 102,
    Prepaid = 211,
    HostingProduct = 351,
    Currency = 701,
    PricerDuration = 705,
    Quantity = 715,
    Grid = 723,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Type = 10,
    Value = 30,
    Expected = 32,
    Unexpected = 33,
    QuotaReached = 35,
    BadParameter = 37,
    DontExist = 40,
    NotFound = 42,
    NothingToUpdate = 44,
    NoRight = 50,
    State = 60,
    NotEnoughMoney = 63,
    InvalidStep = 90,
}

impl GandiFault {
    /// The caller's mistake: `5`, object, cause.
    pub(super) fn caller(object: Object, cause: Cause, detail: impl fmt::Display) -> Self {
        let code = 500_000 + (object as i32) * 100 + cause as i32;
        Self::compose(code, object.name(), cause.name(), detail)
    }

    /// The upstream's own failure: application, unknown cause.
    pub(super) fn internal(detail: impl fmt::Display) -> Self {
        Self::compose(150_000, "OBJECT_APPLICATION", "CAUSE_UNKNOWN", detail)
    }

    /// The one code outside the scheme.
    pub(super) fn unknown_method(name: &str) -> Self {
        let text = format!("Method \"{name}\" is not supported");
        Self { code: 1, text, cause: "CAUSE_UNKNOWN" }
    }

    fn compose(code: i32, object: &str, cause: &'static str, detail: impl fmt::Display) -> Self {
        Self { code, text: format!("Error on object : {object} ({cause}) [{detail}]"), cause }
    }
}

impl Object {
    fn name(self) -> &'static str {
        match self {
            Self::Integer => "OBJECT_INTEGER",
            Self::Boolean => "OBJECT_BOOLEAN",
            Self::String => "OBJECT_STRING",
            Self::Date => "OBJECT_DATE",
            Self::List => "OBJECT_LIST",
            Self::Struct => "OBJECT_STRUCT",
            Self::Method => "OBJECT_METHOD",
            Self::Float => "OBJECT_FLOAT",
            Self::Account => "OBJECT_ACCOUNT",
            Self::Operation => "OBJECT_OPERATION",
            Self::Prepaid => "OBJECT_PREPAID",
            Self::HostingProduct => "OBJECT_HOSTING_PRODUCT",
            Self::Currency => "OBJECT_CURRENCY",
            Self::PricerDuration => "OBJECT_PRICER_DURATION",
            Self::Quantity => "OBJECT_QUANTITY",
            Self::Grid => "OBJECT_GRID",
        }
    }
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Self::Type => "CAUSE_TYPE",
            Self::Value => "CAUSE_VALUE",
            Self::Expected => "CAUSE_EXPECTED",
            Self::Unexpected => "CAUSE_UNEXPECTED",
            Self::QuotaReached => "CAUSE_QUOTA_REACHED",
            Self::BadParameter => "CAUSE_BADPARAMETER",
            Self::DontExist => "CAUSE_DONTEXIST",
            Self::NotFound => "CAUSE_NOTFOUND",
            Self::NothingToUpdate => "CAUSE_NOTHING_TO_UPDATE",
            Self::NoRight => "CAUSE_NORIGHT",
            Self::State => "CAUSE_STATE",
            Self::NotEnoughMoney => "CAUSE_NOT_ENOUGH_MONEY",
            Self::InvalidStep => "CAUSE_INVALID_STEP",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, GandiFault, Object};

    #[test]
    fn codes_and_texts_are_composed_as_documented() {
        let check = |object, cause, code: i32, text: &str| {
            let fault = GandiFault::caller(object, cause, "why");
            assert_eq!((fault.code, fault.text.as_str()), (code, text));
        };
        check(
            Object::Account,
            Cause::NoRight,
            510_150,
            "Error on object : OBJECT_ACCOUNT (CAUSE_NORIGHT) [why]",
        );
        check(
            Object::String,
            Cause::BadParameter,
            501_237,
            "Error on object : OBJECT_STRING (CAUSE_BADPARAMETER) [why]",
        );
        check(
            Object::Prepaid,
            Cause::NotEnoughMoney,
            521_163,
            "Error on object : OBJECT_PREPAID (CAUSE_NOT_ENOUGH_MONEY) [why]",
        );
        assert_eq!(GandiFault::unknown_method("x").text, "Method \"x\" is not supported");
    }
}
