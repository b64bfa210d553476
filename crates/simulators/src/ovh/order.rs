//! Orders: what they cost, how far they have come, and how the upstream tells of them. Amounts are
//! reckoned in cents; the tax is a fifth, as in the guide's example.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::answer::{Refusal, moment, number};
use super::mode::{Lapsed, Mode};
use crate::money::Cents;

/// How long an unpaid order lives, as in the guide's example.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The share of the tax.
const TAX: (i64, i64) = (20, 100);

/// The words of an order's status.
pub(super) const WORDS: [&str; 8] = [
    "cancelled",
    "cancelling",
    "checking",
    "delivered",
    "delivering",
    "documentsRequested",
    "notPaid",
    "unknown",
];

/// One order of a renewal.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) account: usize,
    pub(super) id: i64,
    pub(super) services: Vec<i64>,
    /// Without tax, in the order of the services.
    pub(super) amounts: Vec<Cents>,
    pub(super) duration: &'static str,
    pub(super) months: i32,
    pub(super) made: Timestamp,
    pub(super) password: String,
    pub(super) paid: Option<Paid>,
    /// A status that was commanded; time no longer moves the order.
    pub(super) held: Option<&'static str>,
    /// Its services that get no further term.
    pub(super) cancelled: Vec<i64>,
    /// When it was delivered; its services' ends move a while later.
    pub(super) delivered: Option<Timestamp>,
    /// The services have got their term.
    pub(super) done: bool,
}

/// A payment that was taken.
#[derive(Clone, Debug)]
pub(super) struct Paid {
    pub(super) at: Timestamp,
    pub(super) kind: String,
    pub(super) id: Option<i64>,
}

/// A service of an order, as far as the order tells of it.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) service_type: &'a str,
    pub(super) plan: &'a str,
    pub(super) amount: Cents,
}

impl Order {
    pub(super) fn without_tax(&self) -> Cents {
        self.amounts.iter().fold(Cents::ZERO, |sum, amount| sum + *amount)
    }

    pub(super) fn tax(&self) -> Cents {
        self.without_tax().share(TAX.0, TAX.1)
    }

    pub(super) fn with_tax(&self) -> Cents {
        self.without_tax() + self.tax()
    }

    pub(super) fn expires(&self) -> Timestamp {
        self.made.checked_add(LIFE).unwrap_or(Timestamp::MAX)
    }

    /// Whether nobody has paid it in time.
    pub(super) fn has_lapsed(&self, now: Timestamp) -> bool {
        self.paid.is_none() && now >= self.expires()
    }

    /// Whether the upstream knows it no more.
    pub(super) fn is_gone(&self, now: Timestamp, mode: &Mode) -> bool {
        mode.lapsed == Lapsed::Gone && self.has_lapsed(now)
    }

    /// What it says of how far it has come.
    pub(super) fn status<'a>(&'a self, now: Timestamp, mode: &'a Mode) -> &'a str {
        if !mode.status_word.is_empty() {
            return &mode.status_word;
        }
        let paid = self.paid.as_ref().filter(|_| self.held.is_none());
        match paid.map(|paid| now.duration_since(paid.at) - milliseconds(mode.status_lag_ms)) {
            Some(passed) if passed.is_negative() => "notPaid",
            Some(_) => {
                let seen = now.checked_sub(milliseconds(mode.status_lag_ms));
                self.stage(seen.unwrap_or(now), mode)
            }
            None => self.stage(now, mode),
        }
    }

    /// How far it has really come.
    pub(super) fn stage(&self, now: Timestamp, mode: &Mode) -> &'static str {
        if let Some(held) = self.held {
            return held;
        }
        let Some(paid) = &self.paid else {
            let cancelled = mode.lapsed == Lapsed::Cancelled && self.has_lapsed(now);
            return if cancelled { "cancelled" } else { "notPaid" };
        };
        let passed = u64::try_from(now.duration_since(paid.at).as_millis()).unwrap_or_default();
        let delivered = self.delivered.is_some_and(|at| now >= at);
        if delivered || (!mode.documents && passed >= mode.checking_ms + mode.delivering_ms) {
            "delivered"
        } else if passed < mode.checking_ms {
            "checking"
        } else if mode.documents {
            "documentsRequested"
        } else {
            "delivering"
        }
    }

    /// Notes its delivery, and tells whether the ends of its services are to move now.
    pub(super) fn moves_ends(&mut self, now: Timestamp, mode: &Mode) -> bool {
        let Some(paid) = &self.paid else { return false };
        if self.done || self.stage(now, mode) != "delivered" {
            return false;
        }
        let by_itself = paid.at.checked_add(milliseconds(mode.checking_ms + mode.delivering_ms));
        let by_itself = by_itself.ok().filter(|at| self.held.is_none() && *at <= now);
        let delivered = *self.delivered.get_or_insert(by_itself.unwrap_or(now));
        self.done = now.duration_since(delivered) >= milliseconds(mode.effect_lag_ms);
        self.done
    }

    /// As `/me/order/{orderId}` and the renewal tell it.
    pub(super) fn told(&self, currency: &str) -> Value {
        let price = |amount| price(amount, currency);
        let page = "https://www.ovh.com/cgi-bin/order/displayOrder.cgi";
        let url = format!("{page}?orderId={}&orderPassword={}", self.id, self.password);
        json!({
            "orderId": self.id,
            "date": moment(self.made),
            "expirationDate": moment(self.expires()),
            "retractionDate": null,
            "password": self.password,
            "url": url,
            "pdfUrl": url,
            "priceWithTax": price(self.with_tax()),
            "priceWithoutTax": price(self.without_tax()),
            "tax": price(self.tax()),
        })
    }

    /// What a dry run tells: the prices of an order that is not made.
    ///
    /// Assumption: its number, password and addresses are null.
    pub(super) fn told_dry(&self, currency: &str, mode: &Mode) -> Value {
        let mut told = self.told(currency);
        for member in ["password", "url", "pdfUrl", "orderId"] {
            told[member] = Value::Null;
        }
        if mode.dry_run_numbers {
            told["orderId"] = json!(self.id);
        }
        told
    }

    /// The number of the detail at a position.
    pub(super) fn detail_id(&self, at: usize) -> i64 {
        self.id * 10 + i64::try_from(at).unwrap_or_default()
    }

    /// The position of a detail.
    pub(super) fn detail(&self, id: i64) -> Result<usize, Refusal> {
        let found = (0..self.services.len()).find(|at| self.detail_id(*at) == id);
        found.ok_or_else(|| Refusal::not_found("This order detail does not exist"))
    }

    /// One detail.
    pub(super) fn detail_told(
        &self,
        at: usize,
        line: &Line<'_>,
        currency: &str,
        mode: &Mode,
    ) -> Value {
        let domain = if mode.star_domains { "*" } else { line.name };
        json!({
            "orderDetailId": self.detail_id(at),
            "domain": domain,
            "description": format!("{} - renewal {}", line.service_type, self.duration),
            "quantity": "1",
            "unitPrice": price(line.amount, currency),
            "totalPrice": price(line.amount, currency),
            "cancelled": self.held == Some("cancelled") || self.lacks(at),
        })
    }

    /// Whether the line at a position was cancelled.
    fn lacks(&self, at: usize) -> bool {
        self.services.get(at).is_some_and(|id| self.cancelled.contains(id))
    }

    /// What a detail is for.
    pub(super) fn extension(&self, line: &Line<'_>) -> Value {
        json!({
            "order": {
                "action": "renew",
                "plan": {
                    "code": line.plan,
                    "duration": self.duration,
                    "pricingMode": "default",
                    "product": { "name": line.service_type },
                    "quantity": 1,
                },
                "configurations": [],
            }
        })
    }
}

/// A time of the switches.
pub(super) fn milliseconds(ms: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// An amount with its currency and its text.
pub(super) fn price(amount: Cents, currency: &str) -> Value {
    json!({ "value": number(amount), "text": format!("{amount} €"), "currencyCode": currency })
}
