//! The switches of the simulated upstream: what its document leaves open. It must hold settings only,
//! no state.

use std::time::Duration;

use jiff::Timestamp;
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
    /// Milliseconds for which reads do not show what has taken effect: the server of a delivered item,
    /// and that a cancelled item is not renewed.
    pub effect_lag_ms: u64,
    /// A server that does not show yet is listed as `installing` meanwhile.
    pub lag_installs: bool,
    /// The state that servers tell instead of their own.
    pub server_state: Option<String>,
    /// The status in which every new order is held: it is never delivered.
    pub order_status: Option<u16>,
    /// Characters to which the names of new items are cut.
    pub name_limit: Option<usize>,
    /// The order that order_create answers instead of the one that it made.
    pub answered_order: Option<u64>,
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

impl Mode {
    /// Whether what took effect `then` shows now.
    pub(super) fn shows(&self, then: Timestamp, now: Timestamp) -> bool {
        let lag = Duration::from_millis(self.effect_lag_ms);
        then.checked_add(lag).unwrap_or(Timestamp::MAX) <= now
    }
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
            effect_lag_ms: 0,
            lag_installs: false,
            server_state: None,
            order_status: None,
            name_limit: None,
            answered_order: None,
        }
    }
}
