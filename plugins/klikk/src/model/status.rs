//! The status codes of orders and items. The document shows one, 200, and has a heading without a text
//! for the others.

use std::collections::BTreeMap;

use purveyor_sdk::schemars::JsonSchema;
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::v1::order::State;
use purveyor_sdk::{schemars, serde};

/// What a status code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "serde", rename_all = "snake_case")]
#[schemars(crate = "schemars")]
pub enum Word {
    /// The upstream works on it.
    Processing,
    /// It is delivered.
    Completed,
    /// Somebody has to pay first.
    AwaitingPayment,
    /// Nobody has paid in time.
    Expired,
    /// It has ended after a cancellation.
    Cancelled,
    /// It will not be delivered.
    Failed,
}

/// Documented is the first; the others are assumptions, which the configuration can correct.
const KNOWN: [(&str, Word); 6] = [
    ("200", Word::Processing),
    ("201", Word::Completed),
    ("402", Word::AwaitingPayment),
    ("408", Word::Expired),
    ("410", Word::Cancelled),
    ("500", Word::Failed),
];

/// The codes that are understood.
#[derive(Debug, Clone)]
pub(crate) struct Statuses(BTreeMap<String, Word>);

impl Statuses {
    /// What is known or assumed, corrected by the configuration.
    pub(crate) fn new(configured: &BTreeMap<String, Word>) -> Self {
        let known = KNOWN.into_iter().map(|(code, word)| (code.to_owned(), word));
        let configured = configured.iter().map(|(code, word)| (code.clone(), *word));
        Self(known.chain(configured).collect())
    }

    /// The state that a code stands for; unspecified for one that nobody knows.
    pub(crate) fn state(&self, code: Option<&str>) -> State {
        match code.and_then(|code| self.0.get(code)) {
            None => State::Unspecified,
            Some(Word::Processing) => State::Provisioning,
            Some(Word::Completed) => State::Completed,
            Some(Word::AwaitingPayment) => State::AwaitingPayment,
            Some(Word::Expired) => State::Expired,
            Some(Word::Cancelled) => State::Cancelled,
            Some(Word::Failed) => State::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{State, Statuses, Word};

    #[test]
    fn codes_are_known_assumed_or_configured() {
        let configured = BTreeMap::from([
            ("100".to_owned(), Word::Completed),
            ("201".to_owned(), Word::Processing),
        ]);
        let statuses = Statuses::new(&configured);
        let check = |code: Option<&str>, expected: State| {
            assert_eq!(statuses.state(code), expected, "{code:?}");
        };
        check(Some("200"), State::Provisioning);
        check(Some("201"), State::Provisioning);
        check(Some("100"), State::Completed);
        check(Some("402"), State::AwaitingPayment);
        check(Some("408"), State::Expired);
        check(Some("410"), State::Cancelled);
        check(Some("500"), State::Failed);
        check(Some("777"), State::Unspecified);
        check(Some(""), State::Unspecified);
        check(None, State::Unspecified);
    }
}
