//! The account's configuration table. Every field has a default; nothing here is a secret.

use std::collections::BTreeMap;

use purveyor_sdk::schemars::JsonSchema;
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::{Error, Result};

/// The configuration of a Gandi account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde", deny_unknown_fields, default)]
#[schemars(crate = "purveyor_sdk::schemars")]
pub struct GandiConfig {
    /// How the product methods are spelled in requests. The documents know both; deleting has the
    /// long spelling only and is always sent so.
    pub spelling: Spelling,
    /// The currency that catalogue prices are asked for in, ISO 4217.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
    /// The price grid of the account, A to E.
    #[schemars(regex(pattern = r"^[A-E]$"))]
    pub grid: String,
    /// Whether the account's catalogue prices contain tax. The upstream does not say; unset, prices
    /// say so too, and a price limit, which is with tax, is never passed.
    pub prices_include_tax: Option<bool>,
    /// The catalogue's `description` of a product, where it is not the product's own name.
    pub catalog_descriptions: BTreeMap<String, String>,
}

/// The spelling of the product methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "purveyor_sdk::schemars")]
pub enum Spelling {
    /// `hosting.product.create`.
    #[default]
    Hosting,
    /// `product.create`.
    Short,
}

impl Default for GandiConfig {
    fn default() -> Self {
        Self {
            spelling: Spelling::default(),
            currency: "EUR".to_owned(),
            grid: "A".to_owned(),
            prices_include_tax: None,
            catalog_descriptions: BTreeMap::new(),
        }
    }
}

impl GandiConfig {
    /// Refuses what the schema's patterns refuse, for hosts that check no schema.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `configuration.currency` or `configuration.grid`.
    pub(crate) fn check(self) -> Result<Self> {
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            return Err(Error::field("configuration.currency", "is no ISO 4217 code"));
        }
        if !matches!(self.grid.as_str(), "A" | "B" | "C" | "D" | "E") {
            return Err(Error::field("configuration.grid", "is not one of A to E"));
        }
        Ok(self)
    }

    pub(crate) fn tax(&self) -> Tax {
        match self.prices_include_tax {
            None => Tax::Unspecified,
            Some(false) => Tax::Excluded,
            Some(true) => Tax::Included,
        }
    }

    /// What the catalogue calls a product.
    pub(crate) fn description<'a>(&'a self, product: &'a str) -> &'a str {
        self.catalog_descriptions.get(product).map_or(product, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::GandiConfig;

    #[test]
    fn currencies_and_grids() {
        fn check(currency: &str, grid: &str, expected: Option<&str>) {
            let config = GandiConfig {
                currency: currency.to_owned(),
                grid: grid.to_owned(),
                ..GandiConfig::default()
            };
            let error = config.check().err();
            let field = error.map(|error| error.violations[0].field.clone());
            assert_eq!(field.as_deref(), expected, "{currency} {grid}");
        }
        check("EUR", "A", None);
        check("GBP", "E", None);
        check("eur", "A", Some("configuration.currency"));
        check("EURO", "A", Some("configuration.currency"));
        check("EUR", "F", Some("configuration.grid"));
        check("EUR", "", Some("configuration.grid"));
    }
}
