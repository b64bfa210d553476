//! What is kept between the steps of a write: handles and evidence, as JSON behind a version. A later
//! version of the plugin has to read what an earlier one wrote, for an operation can outlive both.

use std::collections::BTreeMap;

use purveyor_sdk::serde::de::DeserializeOwned;
use purveyor_sdk::serde::{Deserialize, Serialize};
use purveyor_sdk::serde_json;
use purveyor_sdk::v1::{ErrorReason, Status};
use purveyor_sdk::{Error, Result, UPSTREAM_CODE};

/// The version of everything that is written here.
const VERSION: u32 = 1;

/// How far an order has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct OrderProgress {
    /// The products that the account had before the order; what it delivers is none of them.
    pub(crate) known: Vec<i64>,
    /// The operation of each item that was placed, in the items' order.
    pub(crate) placed: Vec<i64>,
    /// Why the item after those was refused. The rest is not placed then.
    pub(crate) refused: Option<Refused>,
    /// How often it was looked at since.
    pub(crate) looks: u32,
    /// The highest operation that was listed before the order.
    #[serde(default)]
    pub(crate) highest: Option<i64>,
    /// The purchases of the account that were not done before the order.
    #[serde(default)]
    pub(crate) open: Vec<i64>,
    /// The products that came of its operations, by operation, as far as they were told.
    #[serde(default)]
    pub(crate) services: BTreeMap<i64, i64>,
    /// Since when, in seconds since 1970, all is delivered and it is not told what came of which
    /// operation.
    #[serde(default)]
    pub(crate) untold_since: Option<i64>,
}

/// How far a cancellation has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct CancelProgress {
    /// The operations that the upstream let go of.
    pub(crate) cancelled: Vec<i64>,
    /// How often it was looked at since.
    pub(crate) looks: u32,
}

/// A write that is one upstream operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Sent {
    /// The operation.
    pub(crate) operation: i64,
    /// How often it was looked at since.
    pub(crate) looks: u32,
}

/// A refusal that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Refused {
    reason: String,
    message: String,
    upstream_code: Option<String>,
}

/// What was there before a spend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Before {
    /// The time, in the upstream's spelling, after which the spend's operation is listed; none: the
    /// upstream listed no operation of the kind.
    pub(crate) since: Option<String>,
    /// The highest operation of all that were listed, and a few that a whole listing shows.
    pub(crate) operations: Vec<i64>,
    /// The account's products.
    pub(crate) products: Vec<Snapshot>,
    /// Whether the product methods do nothing for the account any more.
    pub(crate) gone: bool,
    /// The operation that is to be cancelled; for cancellations alone.
    pub(crate) target: Option<i64>,
    /// The purchases that were not done.
    #[serde(default)]
    pub(crate) open: Vec<i64>,
    /// The gateway may lack that the spend was sent, and what was made since then is not in the rest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) lost: bool,
    /// How many operations and products had no identifier that could be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) nameless: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A product as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Snapshot {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) quantity: Option<i64>,
    /// Seconds since 1970; the upstream tells no fractions.
    pub(crate) end: Option<i64>,
}

impl OrderProgress {
    /// Whether an operation may have made a product that is not among the known ones.
    pub(crate) fn may_have_made(&self, operation: i64) -> bool {
        operation >= self.next_operation() || self.open.contains(&operation)
    }

    /// The lowest operation that may have.
    pub(crate) fn lowest(&self) -> i64 {
        self.open.iter().copied().chain([self.next_operation()]).min().unwrap_or_default()
    }

    fn next_operation(&self) -> i64 {
        let first = self.placed.first().copied().unwrap_or_default();
        self.highest.map_or(first, |highest| highest.saturating_add(1))
    }
}

impl Before {
    /// Numbers of operations only grow: what is above this one is new, however it is dated.
    pub(crate) fn highest(&self) -> i64 {
        self.operations.iter().copied().max().unwrap_or_default()
    }

    /// The product as it was.
    pub(crate) fn product(&self, id: i64) -> Option<&Snapshot> {
        self.products.iter().find(|product| product.id == id)
    }
}

impl Refused {
    pub(crate) fn new(error: &Error) -> Self {
        Self {
            reason: error.reason.as_str_name().to_owned(),
            message: error.message.clone(),
            upstream_code: error.metadata.get(UPSTREAM_CODE).cloned(),
        }
    }

    /// As an item shows it.
    pub(crate) fn status(&self) -> Status {
        let reason =
            ErrorReason::from_str_name(&self.reason).unwrap_or(ErrorReason::UpstreamRejected);
        let code = self.upstream_code.iter();
        let metadata = code.map(|code| (UPSTREAM_CODE.to_owned(), code.clone())).collect();
        Status { metadata, ..status(reason, &self.message) }
    }
}

/// An error as an item shows it.
pub(crate) fn status(reason: ErrorReason, message: &str) -> Status {
    // The numbers of gRPC's codes, for the reasons that an item can have.
    let code = match reason {
        ErrorReason::FieldViolation => 3,
        ErrorReason::ServiceNotFound | ErrorReason::OrderNotFound => 5,
        ErrorReason::UpstreamRateLimit => 8,
        _ => 9,
    };
    let word = reason.as_str_name().trim_start_matches("ERROR_REASON_");
    Status { code, message: message.to_owned(), reason: word.to_owned(), ..Status::default() }
}

/// The bytes of a checkpoint.
///
/// # Errors
///
/// PLUGIN_FAULT for what has no JSON.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(&(VERSION, value))
        .map_err(|error| Error::fault("a checkpoint cannot be written").with_source(error))
}

/// The checkpoint in these bytes.
///
/// # Errors
///
/// PLUGIN_FAULT for what is of another version, or none.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let read = serde_json::from_slice::<(u32, T)>(bytes);
    let (version, value) =
        read.map_err(|error| Error::fault("a checkpoint cannot be read").with_source(error))?;
    if version == VERSION {
        Ok(value)
    } else {
        Err(Error::fault(format!("a checkpoint is of the unknown version {version}")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Before, OrderProgress, Refused, Sent, Snapshot, decode, encode};
    use purveyor_sdk::Error;
    use purveyor_sdk::v1::ErrorReason;

    #[test]
    fn what_version_one_wrote_is_read() {
        let handle = br#"[1,{"known":[7],"placed":[101],"refused":null,"looks":2}]"#;
        let expected = OrderProgress {
            known: vec![7],
            placed: vec![101],
            looks: 2,
            ..OrderProgress::default()
        };
        assert_eq!(decode::<OrderProgress>(handle).unwrap(), expected);
        assert!(expected.may_have_made(101) && !expected.may_have_made(100));

        let evidence = br#"[1,{"since":"20110324T15:49:50","operations":[5],"products":[{"id":7,"name":"ips","quantity":4,"end":null}],"gone":false,"target":null}]"#;
        let products =
            vec![Snapshot { id: 7, name: "ips".to_owned(), quantity: Some(4), end: None }];
        let expected = Before {
            since: Some("20110324T15:49:50".to_owned()),
            operations: vec![5],
            products,
            ..Before::default()
        };
        assert_eq!(decode::<Before>(evidence).unwrap(), expected);
        assert_eq!(expected.highest(), 5);
    }

    #[test]
    fn what_is_written_is_read() {
        let handle = br#"[1,{"known":[7],"placed":[101],"refused":null,"looks":2,"highest":100,"open":[98],"services":{"101":8},"untold_since":5}]"#;
        let expected = OrderProgress {
            known: vec![7],
            placed: vec![101],
            refused: None,
            looks: 2,
            highest: Some(100),
            open: vec![98],
            services: [(101, 8)].into(),
            untold_since: Some(5),
        };
        assert_eq!(decode::<OrderProgress>(handle).unwrap(), expected);
        assert_eq!(encode(&expected).unwrap(), handle);
        let made = [97, 98, 99, 100, 101].map(|id| expected.may_have_made(id));
        assert_eq!((made, expected.lowest()), ([false, true, false, false, true], 98));

        let evidence = br#"[1,{"since":null,"operations":[5],"products":[],"gone":false,"target":null,"open":[4]}]"#;
        let expected = Before { operations: vec![5], open: vec![4], ..Before::default() };
        assert_eq!(decode::<Before>(evidence).unwrap(), expected);
        assert_eq!(encode(&expected).unwrap(), evidence);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        fn check(bytes: &[u8]) {
            let error = decode::<Sent>(bytes).unwrap_err();
            assert_eq!(error.reason, ErrorReason::PluginFault);
        }
        check(b"");
        check(br#"[2,{"operation":1,"looks":0}]"#);
        check(br#"[1,{"looks":0}]"#);
        check(br#"{"operation":1,"looks":0}"#);
    }

    #[test]
    fn a_refusal_keeps_its_reason_and_code() {
        let error = Error::new(ErrorReason::InsufficientCredit, "no").with_upstream_code(521_163);
        let kept: Refused = decode(&encode(&Refused::new(&error)).unwrap()).unwrap();
        let status = kept.status();
        assert_eq!((status.code, status.reason.as_str()), (9, "INSUFFICIENT_CREDIT"));
        assert_eq!(status.metadata["upstream_code"], "521163");
    }
}
