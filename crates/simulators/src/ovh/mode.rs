//! The switches of the simulated upstream: what its documents leave open, and how long things take.
//! It must hold settings only, no state.

use serde::{Deserialize, Serialize};

/// Every switch. A command changes those it names and leaves the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mode {
    /// Milliseconds a paid order is `checking`. With 0 the next look finds it further on; so for
    /// the others.
    pub checking_ms: u64,
    /// Milliseconds a paid order is `delivering`.
    pub delivering_ms: u64,
    /// Milliseconds from an order's delivery until the ends of its services have moved.
    pub effect_lag_ms: u64,
    /// Milliseconds for which the status of a paid order is that of before; its payment shows at once.
    pub status_lag_ms: u64,
    /// The day that serviceInfos tells as every service's end, unless it is empty: it is not up to date.
    pub infos_end: String,
    /// What every order's status says instead, unless it is empty: a word that nobody knows, say.
    pub status_word: String,
    /// A paid order stays at `documentsRequested` after `checking`.
    pub documents: bool,
    /// What becomes of an order that nobody has paid in time.
    pub lapsed: Lapsed,
    /// Milliseconds for which a new order is missing from `/me/order`.
    pub listing_lag_ms: u64,
    /// Milliseconds for which a new order has no details.
    pub details_lag_ms: u64,
    /// The domain of an order's detail is `*` instead of the service's name.
    pub star_domains: bool,
    /// Prices of strategies have a value and nothing else, as in the guide; else a currency and a
    /// text as well.
    pub terse_prices: bool,
    /// A dry run numbers the order that it does not make; else the number is null.
    pub dry_run_numbers: bool,
    /// As in the United States: orders have neither `/extension` nor `/payment`.
    pub united_states: bool,
    /// Milliseconds a suspension, a reopening or a termination takes.
    pub change_ms: u64,
    /// Changing serviceInfos answers that the subscription is not active yet.
    pub inactive: bool,
    /// 60 requests in 60 seconds per consumer key.
    pub rate_limit: bool,
}

/// What becomes of an order that nobody has paid in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lapsed {
    /// It still says `notPaid`, and cannot be paid any more.
    #[default]
    NotPaid,
    /// It says `cancelled`.
    Cancelled,
    /// It is gone.
    Gone,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            checking_ms: 0,
            delivering_ms: 0,
            effect_lag_ms: 0,
            status_lag_ms: 0,
            infos_end: String::new(),
            status_word: String::new(),
            documents: false,
            lapsed: Lapsed::default(),
            listing_lag_ms: 0,
            details_lag_ms: 0,
            star_domains: false,
            terse_prices: true,
            dry_run_numbers: false,
            united_states: false,
            change_ms: 0,
            inactive: false,
            rate_limit: false,
        }
    }
}
