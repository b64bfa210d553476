//! What is kept between the steps of a write: handles and evidence, as JSON behind a version. A later
//! version of the plugin has to read what an earlier one wrote, for an operation can outlive both.

use purveyor_sdk::serde::de::DeserializeOwned;
use purveyor_sdk::serde::{Deserialize, Serialize};
use purveyor_sdk::serde_json;
use purveyor_sdk::{Error, Result};

/// The version of everything that is written here.
const VERSION: u32 = 1;

/// An order that is paid, and what it is to do. Handle of what follows it, and evidence of its payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Followed {
    /// The order.
    pub(crate) order: i64,
    /// How often it was looked at since it was paid.
    pub(crate) looks: u32,
    /// The services that it renews, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ends: Vec<Ending>,
    /// The months of the further term, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) months: Option<u32>,
    /// Other orders that had renewed the same services before: the ends of before have their terms in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<i64>,
}

/// A service before its further term is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Ending {
    /// The service.
    pub(crate) service: i64,
    /// When it ended, in seconds since 1970; absent where the upstream tells no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<i64>,
}

/// What an upstream never changes of a service: whether a number still is the same service's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Identity {
    /// When it was made, in the upstream's words.
    #[serde(default)]
    pub(crate) created: Option<String>,
    /// Its name for machines.
    #[serde(default)]
    pub(crate) name: Option<String>,
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
    /// The gateway may lack that the renewal was ordered and paid since then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) lost: bool,
}

impl Followed {
    pub(crate) fn new(order: i64) -> Self {
        Self { order, looks: 0, ends: Vec::new(), months: None, earlier: Vec::new() }
    }

    /// After one more look.
    pub(crate) fn again(self) -> Self {
        Self { looks: self.looks.saturating_add(1), ..self }
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
    use super::{Before, Changed, Ending, Followed, decode, encode};
    use purveyor_sdk::v1::ErrorReason;

    #[test]
    fn what_version_one_wrote_is_read() {
        let handle = br#"[1,{"order":123456789,"looks":2,"delivered":1}]"#;
        let mut expected = Followed { looks: 2, ..Followed::new(123_456_789) };
        assert_eq!(decode::<Followed>(handle).unwrap(), expected);
        let handle =
            br#"[1,{"order":123456789,"looks":2,"ends":[{"service":7,"end":1}],"months":3}]"#;
        expected.ends = vec![Ending { service: 7, end: Some(1) }];
        expected.months = Some(3);
        assert_eq!(decode::<Followed>(handle).unwrap(), expected);
        assert_eq!(encode(&expected).unwrap(), handle);
        let evidence = br#"[1,{"step":1,"begun":1,"since":"2026-05-15T13:48:06Z","orders":[7]}]"#;
        let since = "2026-05-15T13:48:06Z".to_owned();
        let expected = Before { step: 1, begun: 1, since, orders: vec![7], lost: false };
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
