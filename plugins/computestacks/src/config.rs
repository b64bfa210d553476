//! The account's configuration table. Every field has a default; nothing here is a secret.

use std::collections::{BTreeMap, BTreeSet};

use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::schemars::JsonSchema;
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::{Error, Result};

/// The configuration of a ComputeStacks controller.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde", deny_unknown_fields, default)]
#[schemars(crate = "purveyor_sdk::schemars")]
pub struct ComputeStacksConfig {
    /// How the plugin proves who it is.
    pub authentication: Authentication,
    /// The version of the API that is asked for.
    #[schemars(range(min = 1))]
    pub api_version: u32,
    /// The identifier of the billing plan that new products are put into. Unset, products are made
    /// without price rules, and their offers are not known.
    #[schemars(range(min = 1))]
    pub billing_plan: Option<i64>,
    /// The regions that offers hold in: the name that an offer says, and the identifier that the
    /// upstream knows it by.
    pub regions: BTreeMap<String, i64>,
}

/// How the plugin proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "purveyor_sdk::schemars")]
pub enum Authentication {
    /// HTTP Basic with the credential `api-credential`.
    #[default]
    Basic,
    /// Tokens by the password grant, with the credentials `username` and `password`.
    Oauth,
}

impl Default for ComputeStacksConfig {
    fn default() -> Self {
        Self {
            authentication: Authentication::default(),
            api_version: 80,
            billing_plan: None,
            regions: BTreeMap::new(),
        }
    }
}

impl ComputeStacksConfig {
    /// Refuses what does not hold together.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION with every mistake.
    pub(crate) fn check(self) -> Result<Self> {
        let mut wrong = Vec::new();
        let mut add = |field: &str, description: &str| {
            let field = format!("configuration.{field}");
            wrong.push(FieldViolation { field, description: description.to_owned() });
        };
        if self.api_version == 0 {
            add("api_version", "is no version");
        }
        if self.billing_plan.is_some_and(|plan| plan < 1) {
            add("billing_plan", "is no identifier");
        }
        let ids: BTreeSet<i64> = self.regions.values().copied().collect();
        if self.regions.iter().any(|(name, id)| name.is_empty() || *id < 1) {
            add("regions", "has a name that is empty, or an identifier that is none");
        } else if ids.len() < self.regions.len() {
            add("regions", "has two names for one region");
        }
        if wrong.is_empty() { Ok(self) } else { Err(Error::fields(wrong)) }
    }
}

#[cfg(test)]
mod tests {
    use super::ComputeStacksConfig;

    #[test]
    fn what_does_not_hold_together_is_named() {
        fn check(change: impl FnOnce(&mut ComputeStacksConfig), expected: &[&str]) {
            let mut config = ComputeStacksConfig::default();
            change(&mut config);
            let violations = config.check().err().map(|error| error.violations);
            let fields: Vec<_> = violations.into_iter().flatten().map(|it| it.field).collect();
            assert_eq!(fields, expected);
        }
        let regions = |pairs: &[(&str, i64)]| {
            pairs.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect()
        };
        check(|_| {}, &[]);
        check(|config| config.regions = regions(&[("fra", 1), ("nyc", 2)]), &[]);
        check(
            |config| config.regions = regions(&[("fra", 1), ("nyc", 1)]),
            &["configuration.regions"],
        );
        check(|config| config.regions = regions(&[("", 1)]), &["configuration.regions"]);
        check(
            |config| {
                config.api_version = 0;
                config.billing_plan = Some(0);
                config.regions = regions(&[("fra", 0)]);
            },
            &["configuration.api_version", "configuration.billing_plan", "configuration.regions"],
        );
    }
}
