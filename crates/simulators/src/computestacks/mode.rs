//! The switches of the simulated upstream: what differs between its versions and what its source
//! leaves open. It must hold settings only, no state.

use serde::{Deserialize, Serialize};

/// Every switch. A command changes those it names and leaves the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mode {
    /// What `GET /api/version` calls the controller.
    pub version: String,
    /// API versions that are answered.
    pub supported_versions: Vec<u32>,
    /// API versions that are answered with the header `API-Deprecated`.
    pub deprecated_versions: Vec<u32>,
    /// Products show `created_at` and `updated_at`, as the documents have it.
    pub documented_times: bool,
    /// `memory` is text, as the documents have it, and `cpu` a number.
    pub documented_types: bool,
    /// A package without `storage` or `bandwidth` is refused, as the source has it.
    pub complete_packages: bool,
    /// Failed attempts until a credential is locked; 0: never.
    pub lock_after: u32,
    /// Seconds a token lives.
    pub token_seconds: u32,
    /// Requests in five minutes until 429; 0: no limit. The source says 2500.
    pub rate_limit: u32,
    /// Milliseconds for which a new product is missing from the list.
    pub listing_lag_ms: u64,
    /// A new product gets the identifier of one that was deleted, where there is one.
    pub reuse_ids: bool,
    /// Milliseconds after which the identifier of a deleted product may come back.
    pub reuse_ids_after_ms: u64,
    /// Milliseconds after which a change shows in what is read; its own answer shows it at once.
    pub effect_lag_ms: u64,
    /// Characters of a label that are kept; 0: all.
    pub label_max: usize,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            version: "9.3.1".to_owned(),
            supported_versions: vec![51, 52, 53, 54, 60, 61, 62, 65, 70, 71, 80],
            deprecated_versions: vec![51, 52, 53, 54, 60, 61, 62, 65, 70, 71],
            documented_times: false,
            documented_types: false,
            complete_packages: true,
            lock_after: 0,
            token_seconds: 7200,
            rate_limit: 0,
            listing_lag_ms: 0,
            reuse_ids: false,
            reuse_ids_after_ms: 0,
            effect_lag_ms: 0,
            label_max: 0,
        }
    }
}
