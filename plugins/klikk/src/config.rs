//! The account's configuration table. Every field has a default; nothing here is a secret.

use std::collections::BTreeMap;

use purveyor_sdk::schemars::JsonSchema;
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::serde_json::Value;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{Money, Price};
use purveyor_sdk::{Error, Period, Result, schemars, serde};

use crate::model::{ServerWord, Word};
use crate::options::VPS_SCHEMA;

/// The upstream's name of the one product of its document.
pub(crate) const VPS: &str = "VPS";

/// The configuration of a Klikk account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields, default)]
#[schemars(crate = "schemars")]
pub struct KlikkConfig {
    /// Which credential is sent: `token` the credential `account-token`, `basic` the credential `login`.
    pub authentication: Authentication,
    /// Whether each item's name is sent with a mark of our own, `[xxxxxxxx]`, by which an order is
    /// found whose answer was lost. Without it a person has to find it.
    pub item_tokens: bool,
    /// The catalogue, by the upstream's names of the products: the upstream tells none.
    pub products: BTreeMap<String, ConfiguredProduct>,
    /// What status codes of orders and items mean, beside those that are known or assumed.
    pub statuses: BTreeMap<String, Word>,
    /// What the states of servers mean, beside those that are assumed.
    pub server_states: BTreeMap<String, ServerWord>,
}

/// How the account is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(crate = "serde", rename_all = "lowercase")]
#[schemars(crate = "schemars")]
pub enum Authentication {
    /// `X-Account-Token`.
    #[default]
    Token,
    /// HTTP Basic, which the upstream refuses to users with a second factor.
    Basic,
}

/// One product of the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields, default)]
#[schemars(crate = "schemars")]
pub struct ConfiguredProduct {
    /// For people; unset: the product's name.
    pub display_name: String,
    /// JSON Schema 2020-12 of the product's options; `VPS` has one of its own.
    pub options_schema: Option<Value>,
    /// The term for which an item is sold and renewed, ISO 8601: `P1M`.
    pub term: Option<String>,
    /// What one item is expected to cost for one term, whatever its options; shown as the catalogue's.
    /// It is no promise of the upstream, so no price limit relies on it.
    pub price: Option<ConfiguredPrice>,
}

/// A price of the catalogue.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct ConfiguredPrice {
    /// A decimal number, as text.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
    /// Whether the amount contains tax.
    pub includes_tax: bool,
}

/// A product as it is sold.
#[derive(Debug, Clone)]
pub(crate) struct Sold {
    pub(crate) display_name: String,
    pub(crate) options_schema: String,
    pub(crate) period: Option<Period>,
    pub(crate) price: Option<Price>,
    /// The schema is the plugin's own, so that it knows every option there is.
    pub(crate) own_schema: bool,
}

impl Default for KlikkConfig {
    fn default() -> Self {
        Self {
            authentication: Authentication::default(),
            item_tokens: true,
            products: BTreeMap::from([(VPS.to_owned(), ConfiguredProduct::default())]),
            statuses: BTreeMap::new(),
            server_states: BTreeMap::new(),
        }
    }
}

impl KlikkConfig {
    /// The catalogue, by the upstream's names.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of the configuration's field.
    pub(crate) fn catalogue(&self) -> Result<BTreeMap<String, Sold>> {
        let products = self.products.iter();
        products.map(|(name, product)| Ok((name.clone(), product.sold(name)?))).collect()
    }
}

impl ConfiguredProduct {
    fn sold(&self, name: &str) -> Result<Sold> {
        let path = format!("configuration.products.{name}");
        if name.is_empty() {
            return Err(Error::field("configuration.products", "a product has no name"));
        }
        let period = self.term.as_ref().map(|term| {
            let period = term.parse::<Period>();
            period.map_err(|error| Error::field(format!("{path}.term"), error.to_string()))
        });
        let own_schema = self.options_schema.is_none() && name == VPS;
        let options_schema = match &self.options_schema {
            Some(schema @ Value::Object(_)) => schema.to_string(),
            Some(_) => {
                return Err(Error::field(format!("{path}.options_schema"), "is no JSON object"));
            }
            None if own_schema => VPS_SCHEMA.to_owned(),
            None => String::new(),
        };
        let display_name = if self.display_name.is_empty() { name } else { &self.display_name };
        Ok(Sold {
            display_name: display_name.to_owned(),
            options_schema,
            period: period.transpose()?,
            price: self.price.as_ref().map(|price| price.read(&path)).transpose()?,
            own_schema,
        })
    }
}

impl ConfiguredPrice {
    fn read(&self, path: &str) -> Result<Price> {
        let letters = self.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        if self.currency.len() != 3 || !letters {
            return Err(Error::field(format!("{path}.price.currency"), "is no ISO 4217 code"));
        }
        let amount = Money::parse(self.currency.as_str(), &self.amount);
        let amount = amount
            .map_err(|error| Error::field(format!("{path}.price.amount"), error.to_string()))?;
        let tax = if self.includes_tax { Tax::Included } else { Tax::Excluded };
        Ok(Price::of(amount, tax))
    }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::serde_json::{Value, from_value, json};

    use super::KlikkConfig;

    #[test]
    fn catalogues() {
        fn check(product: Value, expected: Option<&str>) {
            let config = json!({ "products": { "VPS": product } });
            let config: KlikkConfig = from_value(config).unwrap();
            let field = config.catalogue().err().map(|error| error.violations[0].field.clone());
            assert_eq!(field.as_deref(), expected, "{product}");
        }
        let price = |amount: &str, currency: &str| {
            let includes_tax = true;
            json!({ "price": {
                "amount": amount, "currency": currency, "includes_tax": includes_tax,
            } })
        };
        check(json!({}), None);
        check(json!({ "term": "P1M", "display_name": "Server" }), None);
        check(price("99.00", "NOK"), None);
        check(json!({ "term": "1m" }), Some("configuration.products.VPS.term"));
        check(price("99,00", "NOK"), Some("configuration.products.VPS.price.amount"));
        check(price("99.00", "kr"), Some("configuration.products.VPS.price.currency"));
        let schema = json!({ "options_schema": "string" });
        check(schema, Some("configuration.products.VPS.options_schema"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for config in [
            json!({ "authentication": "digest" }),
            json!({ "tokens": true }),
            json!({ "products": { "VPS": { "prices": 1 } } }),
            json!({ "statuses": { "100": "done" } }),
        ] {
            assert!(from_value::<KlikkConfig>(config.clone()).is_err(), "{config}");
        }
        let statuses = json!({ "statuses": { "100": "awaiting_payment" } });
        assert_eq!(from_value::<KlikkConfig>(statuses).unwrap().statuses.len(), 1);
    }
}
