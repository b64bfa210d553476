//! The account's configuration table. Nothing here is a secret.

use std::collections::BTreeMap;

use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::schemars::JsonSchema;
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::{Error, Result};

/// The configuration of a RackNap account.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde", deny_unknown_fields, default)]
#[schemars(crate = "purveyor_sdk::schemars")]
pub struct RackNapConfig {
    /// How parameters are sent. The document does not say.
    pub encoding: Encoding,
    /// The upstream's number of each currency, by its ISO 4217 code: `INR = 1`. REQUIRED.
    pub currencies: BTreeMap<String, u32>,
    /// The currency of the amounts that are written, and of prices where a caller names none. Unset, it
    /// is the only one of `currencies`.
    pub currency: Option<String>,
    /// The plans that ListProducts shows: the upstream has no list.
    pub plans: Vec<u32>,
    /// Whether amounts contain tax. The upstream does not say; unset, prices say so too, and a price
    /// limit, which is with tax, is never passed.
    pub prices_include_tax: Option<bool>,
}

/// How parameters are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "purveyor_sdk::schemars")]
pub enum Encoding {
    /// A JSON object.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// What the configuration comes to.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) encoding: Encoding,
    pub(crate) plans: Vec<u32>,
    pub(crate) tax: Tax,
    currencies: BTreeMap<String, u32>,
    currency: String,
}

impl RackNapConfig {
    /// Refuses what could not be carried out.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `configuration`, every one at once.
    pub(crate) fn settings(self) -> Result<Settings> {
        let mut wrong = Vec::new();
        let mut violation = |field: &str, description: &str| {
            let (field, description) = (format!("configuration.{field}"), description.to_owned());
            wrong.push(FieldViolation { field, description });
        };
        let code = |code: &String| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
        if self.currencies.is_empty() {
            violation(
                "currencies",
                "has to map at least one ISO 4217 code to the upstream's number",
            );
        }
        for unknown in self.currencies.keys().filter(|name| !code(name)) {
            violation(&format!("currencies.{unknown}"), "is no ISO 4217 code");
        }
        let only = || self.currencies.keys().next().filter(|_| self.currencies.len() == 1);
        let currency = self.currency.as_ref().or_else(only).cloned().unwrap_or_default();
        if !self.currencies.is_empty() && !self.currencies.contains_key(&currency) {
            violation("currency", "has to be one of the currencies");
        }
        if self.plans.contains(&0) {
            violation("plans", "has a plan 0, which is none");
        }
        if !wrong.is_empty() {
            return Err(Error::fields(wrong));
        }
        let tax = match self.prices_include_tax {
            None => Tax::Unspecified,
            Some(false) => Tax::Excluded,
            Some(true) => Tax::Included,
        };
        let Self { encoding, plans, currencies, .. } = self;
        Ok(Settings { encoding, plans, tax, currencies, currency })
    }
}

impl Settings {
    /// The currency of amounts that are written.
    pub(crate) fn currency(&self) -> &str {
        &self.currency
    }

    /// The code that is asked for, or else the account's own, with the upstream's number.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `currency_code` for one without a number.
    pub(crate) fn currency_of(&self, asked: &str) -> Result<(String, u32)> {
        let code = if asked.is_empty() { &self.currency } else { asked };
        let number = self.currencies.get(code).copied();
        let unmapped = || Error::field("currency_code", "is not one of the configured currencies");
        number.map(|number| (code.to_owned(), number)).ok_or_else(unmapped)
    }
}

#[cfg(test)]
mod tests {
    use super::RackNapConfig;
    use purveyor_sdk::serde_json::{Value, from_value, json};

    #[test]
    fn tables() {
        fn check(table: Value, expected: Result<&str, &[&str]>) {
            let config: RackNapConfig = from_value(table.clone()).unwrap();
            let settings = config.settings().map_err(|error| {
                error.violations.into_iter().map(|one| one.field).collect::<Vec<_>>()
            });
            let found = settings.as_ref().map(|settings| settings.currency());
            let expected =
                expected.map_err(|fields| fields.iter().map(|it| (*it).to_owned()).collect());
            assert_eq!(found.map_err(Clone::clone), expected, "{table}");
        }
        check(json!({ "currencies": { "INR": 1 } }), Ok("INR"));
        check(json!({ "currencies": { "INR": 1, "USD": 2 }, "currency": "USD" }), Ok("USD"));
        check(json!({ "currencies": { "INR": 1, "USD": 2 } }), Err(&["configuration.currency"]));
        check(
            json!({ "currencies": { "INR": 1 }, "currency": "EUR", "plans": [0] }),
            Err(&["configuration.currency", "configuration.plans"]),
        );
        check(json!({}), Err(&["configuration.currencies"]));
        check(json!({ "currencies": { "rupee": 1 } }), Err(&["configuration.currencies.rupee"]));
    }

    #[test]
    fn an_unmapped_currency_is_refused() {
        let config: RackNapConfig = from_value(json!({ "currencies": { "INR": 1 } })).unwrap();
        let settings = config.settings().unwrap();
        assert_eq!(settings.currency_of("").unwrap(), ("INR".to_owned(), 1));
        let error = settings.currency_of("EUR").unwrap_err();
        assert_eq!(error.violations[0].field, "currency_code");
    }

    #[test]
    fn a_misspelled_key_is_refused() {
        let table = json!({ "currencies": { "INR": 1 }, "plan": [172] });
        assert!(from_value::<RackNapConfig>(table).is_err());
    }
}
