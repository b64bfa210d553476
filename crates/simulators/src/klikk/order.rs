//! Orders, their items, and the servers that come of them, as the upstream tells of each. It must not
//! change anything by itself.
//!
//! Assumptions: beside the documented 200, an order or item is 201 when delivered, 402 while its invoice
//! is unpaid, 408 when that has lapsed, 410 when it has ended after a cancellation; times are RFC 3339;
//! an item becomes one server.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::mode::Mode;
use crate::money::Cents;

/// The currency of everything.
pub(super) const CURRENCY: &str = "NOK";

/// A status with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) message: String,
}

impl Status {
    pub(super) fn new(code: u16, message: &str) -> Self {
        Self { code, message: message.to_owned() }
    }

    fn processing() -> Self {
        Self::new(200, "Order is being processed")
    }
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: u64,
    /// Position of the account.
    pub(super) account: usize,
    pub(super) items: Vec<Item>,
    pub(super) created: Timestamp,
    /// The moment of creation that is told; a person can date an order ahead.
    pub(super) dated: Timestamp,
    /// Nobody sees it.
    pub(super) hidden: Option<Hidden>,
    /// A person ordered it, through the upstream's own pages.
    pub(super) person: bool,
    pub(super) payment: Payment,
    /// Set by command; time does not move the order then.
    pub(super) held: Option<Status>,
    pub(super) fingerprint: String,
}

/// How long an order has vanished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hidden {
    /// Reads that still miss it; none: for good.
    pub(super) reads: Option<u64>,
    /// Its servers have vanished with it.
    pub(super) servers: bool,
}

/// How far an order's payment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payment {
    Paid {
        at: Timestamp,
    },
    Due {
        invoice: String,
        until: Timestamp,
    },
    /// Nobody paid in time, or the order was cancelled before.
    Lapsed(Status),
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) product: String,
    /// The name that the request gave.
    pub(super) reference: String,
    /// A month's price.
    pub(super) amount: Cents,
    /// When it was cancelled.
    pub(super) cancelled: Option<Timestamp>,
    pub(super) term: Option<Term>,
    /// Set by command.
    pub(super) held: Option<Status>,
}

/// The life of a delivered item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) begun: Timestamp,
    /// Terms that were charged.
    pub(super) terms: i32,
    pub(super) end: Timestamp,
    pub(super) ended: bool,
}

impl Order {
    pub(super) fn total(&self) -> Cents {
        self.items.iter().fold(Cents::ZERO, |sum, item| sum + item.amount)
    }

    pub(super) fn status(&self) -> Status {
        if let Some(held) = &self.held {
            return held.clone();
        }
        match &self.payment {
            Payment::Due { .. } => Status::new(402, "Waiting for payment of the invoice"),
            Payment::Lapsed(status) => status.clone(),
            Payment::Paid { .. } => {
                let ended = |item: &Item| item.term.as_ref().is_some_and(|term| term.ended);
                if self.items.iter().all(ended) {
                    Status::new(410, "Order is cancelled")
                } else if self.items.iter().all(|item| item.term.is_some()) {
                    Status::new(201, "Order is delivered")
                } else {
                    Status::processing()
                }
            }
        }
    }

    /// Assumption: an item of an order that is not paid is in the order's status.
    fn item_status(&self, item: &Item) -> Status {
        let own = || match &item.term {
            None => Status::processing(),
            Some(Term { ended: true, .. }) => Status::new(410, "Cancelled"),
            Some(_) if item.cancelled.is_some() => {
                Status::new(201, "Will be cancelled after end period")
            }
            Some(_) => Status::new(201, "Delivered"),
        };
        let paid = matches!(self.payment, Payment::Paid { .. });
        item.held.clone().unwrap_or_else(|| if paid { own() } else { self.status() })
    }

    /// The answer of order_status.
    pub(super) fn value(&self, mode: &Mode, now: Timestamp, with_items: bool) -> Value {
        let Status { code, message } = self.status();
        let mut value = json!({
            "order_id": self.id,
            "status": code,
            "message": message,
            "created": spell(self.dated),
        });
        if let Payment::Due { invoice, until } = &self.payment {
            value["invoice"] = json!(invoice);
            value["amount_due"] = json!(self.total());
            value["currency"] = json!(CURRENCY);
            value["due"] = json!(spell(*until));
        }
        if with_items {
            let items = self.items.iter().map(|item| self.item_value(item, mode, now));
            value["order_items"] = items.collect();
        }
        value
    }

    fn item_value(&self, item: &Item, mode: &Mode, now: Timestamp) -> Value {
        let Status { code, message } = self.item_status(item);
        let mut value = json!({
            "id": item.id,
            "status": code,
            "name": item.product,
            "reference": item.reference,
            "message": message,
        });
        if mode.tell_renewal {
            value["auto_renew"] = json!(item.renews(mode, now));
        }
        value
    }

    /// The servers of the order, for server_list. Assumption: there is one from the delivery to the end.
    pub(super) fn servers(&self, mode: &Mode, now: Timestamp) -> Vec<Value> {
        if self.hidden.as_ref().is_some_and(|hidden| hidden.servers) {
            return Vec::new();
        }
        let delivered = self.items.iter().filter_map(|item| Some((item, item.term.as_ref()?)));
        let shown = |term: &Term| mode.lag_installs || mode.shows(term.begun, now);
        let listed = delivered.filter(|(_, term)| mode.keep_ended || !term.ended);
        let listed = listed.filter(|(_, term)| shown(term));
        listed.map(|(item, term)| self.server(item, term, mode, now)).collect()
    }

    fn server(&self, item: &Item, term: &Term, mode: &Mode, now: Timestamp) -> Value {
        let mut value = Map::new();
        let mut put = |name: &str, member: Value| value.insert(name.to_owned(), member);
        put("order_item_id", json!(item.id));
        put("order_id", json!(self.id));
        put("name", json!(item.product));
        put("reference", json!(item.reference));
        let own = match term {
            Term { ended: true, .. } => "ended",
            Term { begun, .. } if !mode.shows(*begun, now) => "installing",
            _ => "running",
        };
        put("state", json!(mode.server_state.as_deref().unwrap_or(own)));
        // A documentation network, so that nobody's host is meant.
        put("ip", json!([format!("192.0.2.{}", item.id % 254 + 1)]));
        put("created", json!(spell(term.begun)));
        if mode.tell_renewal {
            put("period_end", json!(spell(term.end)));
            put("auto_renew", json!(item.renews(mode, now)));
        }
        Value::Object(value)
    }
}

impl Item {
    /// Whether it renews, as reads show it.
    fn renews(&self, mode: &Mode, now: Timestamp) -> bool {
        self.cancelled.is_none_or(|then| !mode.shows(then, now))
    }
}

/// A moment to the second.
pub(super) fn spell(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
