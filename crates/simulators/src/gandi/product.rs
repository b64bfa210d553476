//! A hosting product of an account: what it is, until when it runs and what may be done with it.
//! It must not move money.

use dxr::Value;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::calendar::{add_months, spell, spell_maybe};
use super::fault_code::{Cause, GandiFault, Object};
use super::params;
use super::xmlrpc::{string, structure};

/// Days after its end in which a product can still be renewed: the value recorded in 2011.
const REDEMPTION_DAYS: i32 = 7;

/// The same as a duration.
const REDEMPTION: SignedDuration = SignedDuration::from_hours(24 * REDEMPTION_DAYS as i64);

/// One product of an account.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) id: i32,
    /// Usually one of [`Offer`]'s names; older accounts hold others.
    pub(super) name: String,
    pub(super) quantity: i32,
    pub(super) term: Term,
    pub(super) created: Timestamp,
    /// Absent for products that cost nothing and never end.
    pub(super) end: Option<Timestamp>,
}

/// What can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Offer {
    Shares,
    Cores,
    Disk,
    Memory,
    Ips,
}

/// For how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Term {
    Month,
    Year,
}

impl Offer {
    pub(super) const ALL: [Self; 5] =
        [Self::Shares, Self::Cores, Self::Disk, Self::Memory, Self::Ips];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shares => "shares",
            Self::Cores => "cores",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Ips => "ips",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|offer| offer.name() == name)
    }

    /// Assumption: a wrong product name is a wrong value of the hosting product.
    pub(super) fn read(value: &Value) -> Result<Self, GandiFault> {
        let name = params::text(value)?;
        Self::of_name(name).ok_or_else(|| {
            let detail = format!("unknown product_name {name:?}");
            GandiFault::caller(Object::HostingProduct, Cause::Value, detail)
        })
    }
}

impl Term {
    pub(super) fn months(self) -> i32 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }

    /// As a caller writes it.
    pub(super) fn input(self) -> &'static str {
        match self {
            Self::Month => "1m",
            Self::Year => "12m",
        }
    }

    /// As a product shows it: recorded answers say `1y` where callers have to say `12m`.
    fn shown(self) -> &'static str {
        match self {
            Self::Month => "1m",
            Self::Year => "1y",
        }
    }

    pub(super) fn read(value: &Value) -> Result<Self, GandiFault> {
        match value {
            Value::String(text) if text == "1m" => Ok(Self::Month),
            Value::String(text) if text == "12m" => Ok(Self::Year),
            Value::String(_) => {
                let detail = "duration must be 1m or 12m";
                Err(GandiFault::caller(Object::PricerDuration, Cause::Value, detail))
            }
            _ => {
                let detail = "duration must be a string";
                Err(GandiFault::caller(Object::PricerDuration, Cause::Type, detail))
            }
        }
    }
}

/// Reads a quantity: a positive int.
pub(super) fn read_quantity(value: &Value) -> Result<i32, GandiFault> {
    match value {
        Value::Integer(quantity) if *quantity > 0 => Ok(*quantity),
        Value::Integer(_) => {
            Err(GandiFault::caller(Object::Quantity, Cause::Value, "quantity must be positive"))
        }
        _ => Err(GandiFault::caller(Object::Quantity, Cause::Type, "quantity must be an int")),
    }
}

/// What somebody wants to do with a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Update,
    Remove,
    Release,
    Renew,
}

impl Product {
    /// Why a wish cannot be granted; empty when it can. `in_use` says that the account's servers
    /// need part of what this product grants.
    pub(super) fn obstacles(&self, wish: Wish, in_use: bool) -> Vec<&'static str> {
        let mut obstacles = Vec::new();
        if wish == Wish::Release {
            obstacles.push("db_can_not_release");
        }
        if wish == Wish::Remove && in_use {
            obstacles.push("not_available_resource");
        }
        if matches!(wish, Wish::Update | Wish::Renew) {
            if Offer::of_name(&self.name).is_none() {
                obstacles.push("product_name_does_not_match");
            }
            if self.end.is_none() {
                obstacles.push("no_action_on_free_product");
            }
        }
        obstacles
    }

    /// Whether the product is still there: it stays for the days of redemption after its end.
    pub(super) fn is_there(&self, now: Timestamp) -> bool {
        self.end.is_none_or(|end| now.duration_since(end) < REDEMPTION)
    }

    /// The part of the last term that lies ahead, as seconds of seconds.
    pub(super) fn remaining(&self, now: Timestamp, zone: &TimeZone) -> (i64, i64) {
        let Some(end) = self.end else { return (0, 0) };
        let start = add_months(end, -self.term.months(), zone);
        let ahead = end.duration_since(now).as_secs().max(0);
        (ahead, end.duration_since(start).as_secs())
    }

    /// One more term. A product that never ends stays so.
    pub(super) fn extend(&mut self, term: Term, zone: &TimeZone) {
        self.end = self.end.map(|end| add_months(end, term.months(), zone));
        self.term = term;
    }

    pub(super) fn value(&self, now: Timestamp, zone: &TimeZone, in_use: bool) -> Value {
        let errors =
            |wish| Value::Array(self.obstacles(wish, in_use).into_iter().map(string).collect());
        let ended = self.end.is_some_and(|end| end <= now);
        structure([
            ("id", Value::Integer(self.id)),
            ("product_name", string(self.name.as_str())),
            ("quantity", Value::Integer(self.quantity)),
            ("duration", string(self.term.shown())),
            ("date_created", spell(self.created, zone)),
            ("date_end", spell_maybe(self.end, zone)),
            ("autorenew", Value::Nil),
            ("is_in_redemption", if ended { Value::Boolean(true) } else { Value::Nil }),
            ("redemption", Value::Integer(REDEMPTION_DAYS)),
            ("can_release", Value::Boolean(true)),
            ("errors_for_updating", errors(Wish::Update)),
            ("errors_for_removing", errors(Wish::Remove)),
            ("errors_for_releasing", errors(Wish::Release)),
            ("errors_for_autorenewing", errors(Wish::Renew)),
            ("errors_for_renewing", errors(Wish::Renew)),
        ])
    }
}
