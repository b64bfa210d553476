//! The switches of the simulated upstream: what its documents leave open, and which of its ages
//! it is in. It must hold settings only, no state.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::xmlrpc::NullStyle;

/// Every switch. A command changes those it names and leaves the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mode {
    /// The later, emptied API: `hosting.product.*` answers `<nil/>` and does nothing.
    pub emptied: bool,
    /// Every account is billed by credits, whatever its own switch says.
    pub rating: bool,
    /// How null is written.
    pub null_style: NullStyle,
    /// What happens to a purchase that the prepaid balance does not cover.
    pub short_credit: ShortCredit,
    /// Operations tell which product they are about (`product_id`, `infos.id`).
    pub operations_name_product: bool,
    /// Operations tell nothing of what they are about, as recorded in 2011.
    pub operations_silent: bool,
    /// operation.cancel answers true, and the operation goes on.
    pub cancels_in_vain: bool,
    /// What catalog.list says about prices.
    pub catalog: CatalogStyle,
    /// 30 requests in 2 seconds per API key.
    pub rate_limit: bool,
    /// Milliseconds for which a new operation is missing from operation.list and operation.count.
    pub listing_lag_ms: u64,
    /// Milliseconds after an operation's DONE until its effect shows in hosting.account.info.
    pub effect_lag_ms: u64,
    /// Milliseconds an operation stays in BILL. With 0 the next look finds it further on; so
    /// for the other two.
    pub bill_ms: u64,
    /// Milliseconds an operation stays in WAIT.
    pub wait_ms: u64,
    /// Milliseconds an operation stays in RUN.
    pub run_ms: u64,
    /// What version.info answers.
    pub api_version: String,
    /// The zone of every date, by its IANA name.
    pub time_zone: String,
}

/// What happens to a purchase that the balance does not cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortCredit {
    /// The call fails with fault 521163.
    #[default]
    Fault,
    /// An operation is made that stays in BILL, and is sold once the balance covers it.
    StuckBill,
}

/// What catalog.list says about prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogStyle {
    /// Every product with its prices.
    #[default]
    Priced,
    /// Every product, `unit_price` empty.
    Unpriced,
    /// No entry at all.
    Absent,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            emptied: false,
            rating: false,
            null_style: NullStyle::default(),
            short_credit: ShortCredit::default(),
            operations_name_product: false,
            operations_silent: false,
            cancels_in_vain: false,
            catalog: CatalogStyle::default(),
            rate_limit: false,
            listing_lag_ms: 0,
            effect_lag_ms: 0,
            bill_ms: 0,
            wait_ms: 0,
            run_ms: 0,
            // The version in which the simulated methods were new.
            api_version: "3.1.2".to_owned(),
            time_zone: "UTC".to_owned(),
        }
    }
}

impl Mode {
    /// The zone by its name.
    pub(super) fn zone(&self) -> Result<TimeZone, String> {
        TimeZone::get(&self.time_zone).map_err(|error| error.to_string())
    }
}
