//! What is kept between the steps of a write: handles and evidence, as JSON behind a version. A later
//! version of the plugin has to read what an earlier one wrote, for an operation can outlive both.

use purveyor_sdk::serde::de::DeserializeOwned;
use purveyor_sdk::serde::{Deserialize, Serialize};
use purveyor_sdk::serde_json;
use purveyor_sdk::{Error, Result};

/// The version of everything that is written here.
const VERSION: u32 = 1;

/// A write that follows an order of the upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Followed {
    /// The order.
    pub(crate) order: i64,
    /// How often it was looked at since it was paid.
    pub(crate) looks: u32,
    /// How often it was delivered already when it was looked at.
    pub(crate) delivered: u32,
}

/// A change of a service that is waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Changed {
    /// How often it was looked at.
    pub(crate) looks: u32,
}

/// What was there before a renewal's order was made for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Before {
    /// The step that the evidence is of.
    pub(crate) step: i32,
    /// How often the step was begun before; then an order of its own may be there already.
    pub(crate) begun: u32,
    /// The time, by the upstream's clock, after which the step's order is listed.
    pub(crate) since: String,
    /// The orders that were listed after that time.
    pub(crate) orders: Vec<i64>,
}

impl Followed {
    pub(crate) fn new(order: i64) -> Self {
        Self { order, looks: 0, delivered: 0 }
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
    use super::{Before, Changed, Followed, decode, encode};
    use purveyor_sdk::v1::ErrorReason;

    #[test]
    fn what_version_one_wrote_is_read() {
        let handle = br#"[1,{"order":123456789,"looks":2,"delivered":1}]"#;
        let expected = Followed { order: 123_456_789, looks: 2, delivered: 1 };
        assert_eq!(decode::<Followed>(handle).unwrap(), expected);
        assert_eq!(encode(&expected).unwrap(), handle);
        let evidence = br#"[1,{"step":1,"begun":1,"since":"2026-05-15T13:48:06Z","orders":[7]}]"#;
        let since = "2026-05-15T13:48:06Z".to_owned();
        let expected = Before { step: 1, begun: 1, since, orders: vec![7] };
        assert_eq!(decode::<Before>(evidence).unwrap(), expected);
        assert_eq!(encode(&expected).unwrap(), evidence);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        for bytes in [&b""[..], br#"[2,{"looks":0}]"#, br#"[1,{}]"#, br#"{"looks":0}"#] {
            let error = decode::<Changed>(bytes).unwrap_err();
            assert_eq!(error.reason, ErrorReason::PluginFault);
        }
    }
}
