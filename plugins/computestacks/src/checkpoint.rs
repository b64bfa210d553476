//! What is kept between the steps of a write, and the evidence for a lost answer: bytes of a
//! version of their own. What a version once wrote is read for ever.

use purveyor_sdk::serde::de::DeserializeOwned;
use purveyor_sdk::serde::{Deserialize, Serialize};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result, UPSTREAM_CODE, serde_json};

use crate::model::Identity;

const VERSION: u32 = 1;

/// Where a write is after its first step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "snake_case")]
pub(crate) enum Handle {
    /// The product is there as wanted; its price rules follow.
    Rules { product: i64 },
    /// The upstream accepted the product and showed it otherwise than asked: it is awaited.
    Row { product: i64 },
    /// This part of the price rules was accepted: it is awaited before anything else is sent.
    Part { product: i64, task: Task },
    /// Every rule was accepted: they are awaited.
    Verify { product: i64 },
    /// The deletion of this very product was accepted: it is awaited.
    Gone { product: i64, identity: Identity },
    /// A step was refused, by the upstream or, `unsent`, by what stood in its way. The product is there,
    /// and the write ends with this.
    Broken {
        product: i64,
        error: Refused,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unsent: bool,
    },
}

/// An error that a later poll shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Refused {
    reason: String,
    message: String,
    upstream_code: Option<String>,
}

/// The evidence before a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "snake_case")]
pub(crate) enum Before {
    /// Nothing is known, and a setting follows.
    Setting,
    /// The product that a setting is for, as it was.
    Target { identity: Identity, digest: u64 },
    /// The products that are there. `alike` have the label that is asked for; `all` is everything, which
    /// earlier versions did not keep.
    Products {
        alike: Vec<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        all: Option<Vec<(i64, Identity)>>,
        /// The gateway may lack that the product was made, and what was made since then is not in the rest.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
        /// Products had no identifier that could be read.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        nameless: bool,
    },
    /// What the step will do for the product's price rules, and all that the product lacks, in
    /// words. `there` is what stands beside what is made: the products of the plan, newest first, or the
    /// rules of the phase; earlier versions did not keep it.
    Rules {
        product: i64,
        task: Task,
        lacks: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        there: Option<Vec<i64>>,
    },
    /// The step cannot be done.
    Blocked { product: i64, error: Refused },
}

/// One thing that a product lacks to be sold as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "snake_case")]
pub(crate) enum Task {
    /// Nothing.
    Nothing,
    /// A place in the billing plan.
    Resource,
    /// The rule of an offer, by its index in the request, for these regions.
    Rule { resource: i64, phase: i64, offer: usize, regions: Vec<i64>, last: bool },
}

impl Refused {
    pub(crate) fn new(error: &Error) -> Self {
        Self {
            reason: error.reason.as_str_name().to_owned(),
            message: error.message.clone(),
            upstream_code: error.metadata.get(UPSTREAM_CODE).cloned(),
        }
    }

    pub(crate) fn error(&self) -> Error {
        let reason =
            ErrorReason::from_str_name(&self.reason).unwrap_or(ErrorReason::UpstreamRejected);
        let error = Error::new(reason, &self.message);
        match &self.upstream_code {
            Some(code) => error.with_upstream_code(code),
            None => error,
        }
    }
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
    let read = serde_json::from_slice::<(u32, serde_json::Value)>(bytes);
    let unreadable = |error| Error::fault("a checkpoint cannot be read").with_source(error);
    let (version, value) = read.map_err(unreadable)?;
    if version != VERSION {
        return Err(Error::fault(format!("a checkpoint is of the unknown version {version}")));
    }
    serde_json::from_value(value).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::{Before, Handle, Identity, Refused, Task, decode, encode};
    use purveyor_sdk::Error;
    use purveyor_sdk::serde::Serialize;
    use purveyor_sdk::serde::de::DeserializeOwned;
    use purveyor_sdk::v1::ErrorReason;

    #[test]
    fn what_version_one_wrote_is_read() {
        fn check<T>(expected: T, bytes: &str)
        where
            T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
        {
            assert_eq!(String::from_utf8(encode(&expected).unwrap()).unwrap(), bytes);
            assert_eq!(decode::<T>(bytes.as_bytes()).unwrap(), expected);
        }
        check(Handle::Rules { product: 7 }, r#"[1,{"rules":{"product":7}}]"#);
        check(Before::Setting, r#"[1,"setting"]"#);
        check(
            Before::Products { alike: vec![3], all: None, lost: false, nameless: false },
            r#"[1,{"products":{"alike":[3]}}]"#,
        );
        check(
            Before::Rules {
                product: 7,
                task: Task::Resource,
                lacks: vec!["a".to_owned()],
                there: None,
            },
            r#"[1,{"rules":{"product":7,"task":"resource","lacks":["a"]}}]"#,
        );
        let task = Task::Rule { resource: 1, phase: 2, offer: 0, regions: vec![4], last: true };
        check(
            Before::Rules { product: 7, task, lacks: vec![], there: None },
            r#"[1,{"rules":{"product":7,"task":{"rule":{"resource":1,"phase":2,"offer":0,"regions":[4],"last":true}},"lacks":[]}}]"#,
        );
    }

    #[test]
    fn checkpoint_with_fields_of_other_versions_is_read() {
        fn check<T: DeserializeOwned + PartialEq + std::fmt::Debug>(expected: T, bytes: &str) {
            assert_eq!(decode::<T>(bytes.as_bytes()).unwrap(), expected);
        }
        // Version one counted how often rules were looked for.
        let counted = r#"[1,{"verify":{"product":7,"looks":2}}]"#;
        check(Handle::Verify { product: 7 }, counted);
        let error =
            Refused { reason: String::new(), message: "no".to_owned(), upstream_code: None };
        check(
            Handle::Broken { product: 7, error, unsent: false },
            r#"[1,{"broken":{"product":7,"error":{"reason":"","message":"no","upstream_code":null}}}]"#,
        );
        let all = Some(vec![(3, Identity::Package(4)), (5, Identity::Created(6))]);
        check(
            Before::Products { alike: vec![3], all, lost: false, nameless: false },
            r#"[1,{"products":{"alike":[3],"all":[[3,{"package":4}],[5,{"created":6}]]}}]"#,
        );
        check(
            Before::Target { identity: Identity::Values(8), digest: 9 },
            r#"[1,{"target":{"identity":{"values":8},"digest":9}}]"#,
        );
        check(
            Handle::Gone { product: 7, identity: Identity::Package(4) },
            r#"[1,{"gone":{"product":7,"identity":{"package":4}}}]"#,
        );
        check(
            Handle::Part { product: 7, task: Task::Resource },
            r#"[1,{"part":{"product":7,"task":"resource"}}]"#,
        );
        check(Handle::Row { product: 7 }, r#"[1,{"row":{"product":7}}]"#);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        for bytes in ["", "{}", r#"[2,"setting"]"#, r#"[1,"other"]"#, r#"[1]"#] {
            let error = decode::<Before>(bytes.as_bytes()).unwrap_err();
            assert_eq!(error.reason, ErrorReason::PluginFault, "{bytes}");
        }
    }

    #[test]
    fn an_error_outlives_its_step() {
        let error = Error::credentials("no").with_upstream_code(401);
        let kept: Refused = decode(&encode(&Refused::new(&error)).unwrap()).unwrap();
        let error = kept.error();
        assert_eq!(
            (error.reason, error.message.as_str()),
            (ErrorReason::UpstreamCredentials, "no")
        );
        assert_eq!(error.metadata["upstream_code"], "401");
    }
}
