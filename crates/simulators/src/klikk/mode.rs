//! The switches of the simulated upstream: what its document leaves open. It must hold settings only,
//! no state.

use serde::{Deserialize, Serialize};

/// Every switch. A command changes those it names and leaves the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mode {
    /// Milliseconds from a paid order to its servers. With 0 the next look finds them.
    pub delivery_ms: u64,
    /// Milliseconds for which a new order is missing from order_list.
    pub listing_lag_ms: u64,
    /// Milliseconds for which order_status does not know a new order.
    pub status_lag_ms: u64,
    /// What is answered to an order that the credit does not cover. Its invoice exists either way.
    pub short_credit: ShortCredit,
    /// Milliseconds after which an order that nobody has paid lapses.
    pub payment_ms: u64,
    /// order_list tells the items of each order.
    pub list_items: bool,
    /// Items and servers tell whether they renew and when their period ends.
    pub tell_renewal: bool,
    /// Servers that have ended are still listed, as such.
    pub keep_ended: bool,
}

/// What is answered to an order that the credit does not cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortCredit {
    /// 402 with the order's id, the invoice and what is due.
    #[default]
    NamesOrder,
    /// 402 that names neither order nor invoice.
    NamesNothing,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            delivery_ms: 0,
            listing_lag_ms: 0,
            status_lag_ms: 0,
            short_credit: ShortCredit::default(),
            payment_ms: 14 * 24 * 3_600_000,
            list_items: true,
            tell_renewal: true,
            keep_ended: false,
        }
    }
}
