//! The ways to renew: periods, the services that go together, and what they cost.

use std::collections::{BTreeMap, BTreeSet};

use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::serde_json::{self, Map, Value, value::RawValue};
use purveyor_sdk::v1::Term;
use purveyor_sdk::{Answer, Period, Result};

use super::Amount;

/// One way to renew, with its period in the upstream's spelling.
#[derive(Debug, Clone)]
pub(crate) struct Strategy {
    pub(crate) period: String,
    pub(crate) services: Vec<i64>,
    pub(crate) details: Vec<Renewable>,
    pub(crate) price: Option<Amount>,
    /// Where it stands in the answer.
    pub(crate) at: String,
    /// Every member, as it came.
    pub(crate) members: Map<String, Value>,
}

/// A service of a strategy.
#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
pub(crate) struct Renewable {
    pub(crate) service_id: i64,
    #[serde(default)]
    pub(crate) service_name: Option<String>,
    #[serde(default)]
    pub(crate) service_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
struct Description {
    renew_period: String,
    strategies: Vec<Told>,
}

#[derive(Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
struct Told {
    services: Vec<i64>,
    price: Option<Amount>,
    #[serde(default)]
    services_details: Vec<Renewable>,
}

#[derive(Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
struct Raw {
    strategies: Vec<BTreeMap<String, Box<RawValue>>>,
}

impl Strategy {
    /// The strategies of an answer, in its order.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE for an answer that cannot be understood.
    pub(crate) fn read(answer: &Answer) -> Result<Vec<Self>> {
        let typed: Vec<Description> = answer.json()?;
        // Once more as it came: amounts keep their digits in the typed form alone.
        let raw: Vec<Raw> = serde_json::from_slice(&answer.body)
            .map_err(|error| answer.not_understood().with_source(error))?;
        let mut all = Vec::new();
        for (index, (description, raw)) in typed.into_iter().zip(raw).enumerate() {
            let rows = description.strategies.into_iter().zip(raw.strategies).enumerate();
            for (row, (told, members)) in rows {
                // What no machine number holds is text.
                let value = |raw: &RawValue| {
                    let raw = raw.get();
                    serde_json::from_str(raw).unwrap_or_else(|_| Value::String(raw.to_owned()))
                };
                let members =
                    members.iter().map(|(name, raw)| (name.clone(), value(raw))).collect();
                all.push(Self {
                    at: format!("renew[{index}].strategies[{row}]"),
                    period: description.renew_period.clone(),
                    services: told.services,
                    details: told.services_details,
                    price: told.price,
                    members,
                });
            }
        }
        Ok(all)
    }

    /// Whether it is of this period, in whatever spelling.
    pub(crate) fn is_of(&self, period: Period) -> bool {
        self.period.parse() == Ok(period)
    }

    /// Whether it renews exactly these services, in whatever order.
    pub(crate) fn renews(&self, services: &[i64]) -> bool {
        let ours: BTreeSet<_> = self.services.iter().collect();
        ours == services.iter().collect() && self.services.len() == services.len()
    }
}

/// A term in the upstream's spelling.
pub(crate) fn term_of(word: &str) -> Term {
    match word.parse::<Period>() {
        Ok(period) => Term::recurring(period, word),
        Err(_) => Term::unknown(word),
    }
}
