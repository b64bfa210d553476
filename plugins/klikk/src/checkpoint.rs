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
    /// How it was sent; none in what an earlier plugin wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Before>,
    /// Our mark was read in it: its names may change from then on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ours: bool,
}

impl Placed {
    /// What is followed from now on.
    pub(crate) fn new(order: u64, before: Option<Before>) -> Self {
        Self { order, looks: 0, before, ours: false }
    }
}

/// What was known before an order was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "serde")]
pub(crate) struct Before {
    /// Whether the items are sent with their marks. The configuration may say otherwise by the time
    /// that somebody looks.
    pub(crate) tokens: bool,
    /// The orders that were listed, as an earlier plugin wrote them; only without marks.
    pub(crate) present: Vec<u64>,
    /// The highest order that was listed, 0 where none was; none: no list was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) highest: Option<u64>,
    /// The newest orders that were listed, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) known: Vec<u64>,
    /// The gateway may lack that the order was sent, and what was made since then is not in the rest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) lost: bool,
}

impl Before {
    /// Whether an order stood in the list. Identifiers only grow.
    pub(crate) fn stood(&self, order: u64) -> bool {
        self.present.contains(&order) || self.highest.is_some_and(|highest| order <= highest)
    }

    /// The same without what only a search needs.
    pub(crate) fn brief(&self) -> Self {
        let highest = self.highest.or_else(|| self.present.iter().copied().max());
        Self { tokens: self.tokens, highest, ..Self::default() }
    }
}

/// A cancellation that the upstream accepted and that is read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "serde")]
pub(crate) struct Cancelling {
    /// The item, where one is cancelled and not the whole order.
    pub(crate) item: Option<u64>,
    pub(crate) target: Identity,
    /// How often it was looked at since.
    pub(crate) looks: u32,
}

/// What the upstream never changes of an order. Names are not part of it: a person may change them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "serde")]
pub(crate) struct Identity {
    pub(crate) order: u64,
    /// Seconds since 1970, where the upstream tells the moment.
    pub(crate) created: Option<i64>,
    /// Identifiers, lowest first.
    pub(crate) items: Vec<u64>,
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

    use super::{
        Before, Cancelling, DeserializeOwned, Identity, Placed, Serialize, decode, encode,
    };

    /// What was once written is read, and a value is written as it was read.
    fn check<T>(bytes: &str, expected: &T)
    where
        T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug,
    {
        assert_eq!(decode::<T>(bytes.as_bytes()).unwrap(), *expected, "{bytes}");
        assert_eq!(encode(expected).unwrap(), bytes.as_bytes());
    }

    fn placed(order: u64, looks: u32, before: Option<Before>) -> Placed {
        Placed { looks, ..Placed::new(order, before) }
    }

    #[test]
    fn what_version_one_wrote_is_read() {
        check(r#"[1,{"order":73,"looks":2}]"#, &placed(73, 2, None));
        let before = Before { present: vec![71, 72], ..Before::default() };
        check(r#"[1,{"tokens":false,"present":[71,72]}]"#, &before);
        assert!(before.stood(72) && !before.stood(70));
        assert_eq!(before.brief().highest, Some(72));
    }

    #[test]
    fn members_that_were_added_are_read() {
        let before =
            Before { tokens: true, highest: Some(72), known: vec![72, 70], ..Before::default() };
        check(r#"[1,{"tokens":true,"present":[],"highest":72,"known":[72,70]}]"#, &before);
        assert!(before.stood(71) && !before.stood(73));
        check(
            r#"[1,{"order":73,"looks":2,"before":{"tokens":true,"present":[],"highest":72}}]"#,
            &placed(73, 2, Some(before.brief())),
        );
        let ours = Placed { ours: true, ..Placed::new(73, None) };
        check(r#"[1,{"order":73,"looks":0,"ours":true}]"#, &ours);
        let target = Identity { order: 73, created: Some(7), items: vec![1293] };
        check(
            r#"[1,{"item":null,"target":{"order":73,"created":7,"items":[1293]},"looks":0}]"#,
            &Cancelling { item: None, target, looks: 0 },
        );
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        for bytes in [&b""[..], br#"[2,{"order":73,"looks":2}]"#, br#"[1,{"order":73}]"#] {
            let error = decode::<Placed>(bytes).unwrap_err();
            assert_eq!(error.reason, ErrorReason::PluginFault);
        }
    }
}
