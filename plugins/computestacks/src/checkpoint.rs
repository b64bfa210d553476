//! What is kept between the steps of a write, and the evidence for a lost answer: bytes of a
//! version of their own. What a version once wrote is read for ever.

use purveyor_sdk::serde::de::DeserializeOwned;
use purveyor_sdk::serde::{Deserialize, Serialize};
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result, UPSTREAM_CODE, serde_json};

const VERSION: u32 = 1;

/// Where a write is after its first step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "snake_case")]
pub(crate) enum Handle {
    /// The product is there as wanted; its price rules follow.
    Rules { product: i64 },
    /// Every rule was accepted; whether they are there is looked at, so many times by now.
    Verify { product: i64, looks: u32 },
    /// A step was refused. The product is there, and the write ends with this.
    Broken { product: i64, error: Refused },
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
    /// Nothing has to be known: a setting follows.
    Setting,
    /// The products that are there and could be taken for the one that is made.
    Products { alike: Vec<i64> },
    /// What the step will do for the product's price rules, and all that the product lacks, in
    /// words.
    Rules { product: i64, task: Task, lacks: Vec<String> },
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
    use super::{Before, Handle, Refused, Task, decode, encode};
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
        check(Handle::Verify { product: 7, looks: 2 }, r#"[1,{"verify":{"product":7,"looks":2}}]"#);
        check(Before::Setting, r#"[1,"setting"]"#);
        check(Before::Products { alike: vec![3] }, r#"[1,{"products":{"alike":[3]}}]"#);
        check(
            Before::Rules { product: 7, task: Task::Resource, lacks: vec!["a".to_owned()] },
            r#"[1,{"rules":{"product":7,"task":"resource","lacks":["a"]}}]"#,
        );
        let task = Task::Rule { resource: 1, phase: 2, offer: 0, regions: vec![4], last: true };
        check(
            Before::Rules { product: 7, task, lacks: vec![] },
            r#"[1,{"rules":{"product":7,"task":{"rule":{"resource":1,"phase":2,"offer":0,"regions":[4],"last":true}},"lacks":[]}}]"#,
        );
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
