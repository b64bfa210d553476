//! What survives between two calls of the plugin: handles and evidence, as versioned bytes. What an
//! older version wrote is read for ever, so a change of these types is a new version.

use purveyor_sdk::serde::de::DeserializeOwned;
use purveyor_sdk::serde::{Deserialize, Serialize};
use purveyor_sdk::{Error, Result, serde, serde_json};

/// The version that is written.
const VERSION: u32 = 1;

/// An order that the upstream has and that is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "serde")]
pub(crate) struct Placed {
    pub(crate) order: u64,
    /// How often it was looked at since.
    pub(crate) looks: u32,
}

/// What was known before an order was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "serde")]
pub(crate) struct Before {
    /// Whether the items are sent with their marks. The configuration may say otherwise by the time
    /// that somebody looks.
    pub(crate) tokens: bool,
    /// The orders that were listed; only without marks.
    pub(crate) present: Vec<u64>,
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
    use purveyor_sdk::v1::ErrorReason;

    use super::{Before, Placed, decode, encode};

    #[test]
    fn what_version_one_wrote_is_read() {
        let handle = br#"[1,{"order":73,"looks":2}]"#;
        let expected = Placed { order: 73, looks: 2 };
        assert_eq!(decode::<Placed>(handle).unwrap(), expected);
        assert_eq!(encode(&expected).unwrap(), handle);
        let evidence = br#"[1,{"tokens":false,"present":[71,72]}]"#;
        let expected = Before { tokens: false, present: vec![71, 72] };
        assert_eq!(decode::<Before>(evidence).unwrap(), expected);
        assert_eq!(encode(&expected).unwrap(), evidence);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        for bytes in [&b""[..], br#"[2,{"order":73,"looks":2}]"#, br#"[1,{"order":73}]"#] {
            let error = decode::<Placed>(bytes).unwrap_err();
            assert_eq!(error.reason, ErrorReason::PluginFault);
        }
    }
}
