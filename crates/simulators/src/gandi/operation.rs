//! An operation: what was ordered and how far it is. It must not move money or change products;
//! it says when that is due.

use std::collections::BTreeMap;

use dxr::Value;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::account::Account;
use super::calendar::{spell, spell_maybe};
use super::mode::Mode;
use super::product::Term;
use super::xmlrpc::{string, structure};
use crate::ledger::{Kind, Sale};
use crate::money::Cents;

/// One operation.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) id: i32,
    /// Position of the account it belongs to.
    pub(super) account: usize,
    pub(super) order: Order,
    pub(super) step: Step,
    /// Whether it was charged. Until then it cannot leave BILL.
    pub(super) paid: bool,
    /// A command put it where it is, and time does not move it.
    pub(super) held: bool,
    pub(super) last_error: Option<String>,
    /// A word that is shown in the place of its step's.
    pub(super) word: Option<String>,
    /// A date that is shown in the place of the one on which it was made.
    pub(super) dated: Option<Timestamp>,
    pub(super) created: Timestamp,
    /// When BILL began to run out: when it was made, or when it was charged later.
    pub(super) billed: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) updated: Timestamp,
}

/// What an operation is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) action: Action,
    pub(super) product_id: i32,
    pub(super) product_name: String,
    pub(super) quantity: i32,
    /// Present where the call names one: add and renew.
    pub(super) term: Option<Term>,
    pub(super) amount: Cents,
    pub(super) fingerprint: String,
    /// A person ordered it at the upstream.
    pub(super) person: bool,
}

/// What is done to a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Add,
    Renew,
    Update,
    Delete,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Bill,
    Wait,
    Run,
    Done,
    Error,
    Support,
    Cancel,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Renew => "renew",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Add => Kind::ProductAdd,
            Self::Renew => Kind::ProductRenew,
            Self::Update => Kind::ProductUpdate,
            Self::Delete => Kind::ProductDelete,
        }
    }
}

impl Step {
    const ALL: [Self; 7] =
        [Self::Bill, Self::Wait, Self::Run, Self::Done, Self::Error, Self::Support, Self::Cancel];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bill => "BILL",
            Self::Wait => "WAIT",
            Self::Run => "RUN",
            Self::Done => "DONE",
            Self::Error => "ERROR",
            Self::Support => "SUPPORT",
            Self::Cancel => "CANCEL",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Error | Self::Cancel)
    }
}

impl Order {
    /// The ledger's line for this order, or for money given back for it.
    pub(super) fn sale(&self, id: i32, account: &Account, refund: Option<Cents>) -> Sale {
        Sale {
            account: account.handle.clone(),
            kind: if refund.is_some() { Kind::Refund } else { self.action.kind() },
            operation_id: id.to_string(),
            product_id: Some(self.product_id.to_string()),
            product_name: self.product_name.clone(),
            quantity: i64::from(self.quantity),
            duration: self.term.map(|term| term.input().to_owned()),
            amount: refund.unwrap_or(self.amount),
            currency: account.currency.clone(),
            fingerprint: self.fingerprint.clone(),
            person: self.person,
        }
    }
}

impl Operation {
    /// One that was just made, and charged.
    pub(super) fn new(id: i32, account: usize, order: Order, created: Timestamp) -> Self {
        Self {
            id,
            account,
            order,
            step: Step::Bill,
            paid: true,
            held: false,
            last_error: None,
            word: None,
            dated: None,
            created,
            billed: created,
            started: None,
            updated: created,
        }
    }

    /// The step that time alone has brought it to, and since when.
    pub(super) fn due(&self, now: Timestamp, mode: &Mode) -> (Step, Timestamp) {
        if self.held || !self.paid || self.step.is_final() {
            return (self.step, self.updated);
        }
        let mut reached = (Step::Bill, self.billed);
        let stages =
            [(mode.bill_ms, Step::Wait), (mode.wait_ms, Step::Run), (mode.run_ms, Step::Done)];
        for (milliseconds, next) in stages {
            let at = later(reached.1, milliseconds);
            if at > now {
                break;
            }
            reached = (next, at);
        }
        reached
    }

    pub(super) fn move_to(&mut self, step: Step, at: Timestamp) {
        if matches!(step, Step::Run | Step::Done) {
            self.started = self.started.or(Some(at));
        }
        self.step = step;
        self.updated = at;
    }

    /// Whether it shows in listings yet.
    pub(super) fn is_listed(&self, now: Timestamp, mode: &Mode) -> bool {
        later(self.created, mode.listing_lag_ms) <= now
    }

    /// The members by which lists can be filtered and sorted.
    pub(super) const MEMBERS: [&str; 11] = [
        "id",
        "step",
        "type",
        "source",
        "vm_id",
        "disk_id",
        "iface_id",
        "ip_id",
        "date_created",
        "date_start",
        "date_updated",
    ];

    /// One of [`Self::MEMBERS`]; null for those that only other kinds of operations have.
    pub(super) fn member(&self, name: &str, account: &Account, zone: &TimeZone) -> Value {
        match name {
            "id" => Value::Integer(self.id),
            "step" => string(self.word.as_deref().unwrap_or(self.step.name())),
            "type" => string(format!("hosting_account_product_{}", self.order.action.name())),
            "source" => string(account.handle.as_str()),
            "date_created" => spell(self.dated.unwrap_or(self.created), zone),
            "date_start" => spell_maybe(self.started, zone),
            "date_updated" => spell(self.updated, zone),
            _ => Value::Nil,
        }
    }

    /// The operation as the upstream tells of it.
    ///
    /// Assumptions: product operations carry the members recorded for domain operations;
    /// `infos.label` is the product's name; without the switch nothing tells which product it is. In
    /// recorded answers of 2011 there are neither `infos` nor `params`.
    pub(super) fn value(
        &self,
        account: &Account,
        now: Timestamp,
        mode: &Mode,
        zone: &TimeZone,
    ) -> Value {
        let named = mode.operations_name_product;
        let product_id = if named { Value::Integer(self.order.product_id) } else { Value::Nil };
        let planned = later(later(later(self.created, mode.bill_ms), mode.wait_ms), mode.run_ms);
        let eta = planned.duration_since(now).as_secs();
        let mut members = BTreeMap::from([
            ("last_error", self.last_error.clone().map_or(Value::Nil, Value::String)),
            ("errortype", Value::Nil),
            // Negative once the planned time has passed, as in recorded answers.
            ("eta", Value::Integer(eta.clamp(i32::MIN.into(), i32::MAX.into()) as i32)),
            ("session_id", Value::Integer(self.id)),
            ("cert_id", Value::Nil),
        ]);
        if !mode.operations_silent {
            members.insert("infos", self.infos(product_id.clone()));
            members.insert("params", self.params(account, named));
        }
        for name in Self::MEMBERS {
            members.insert(name, self.member(name, account, zone));
        }
        if named {
            members.insert("product_id", product_id);
        }
        Value::Struct(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }

    fn infos(&self, id: Value) -> Value {
        structure([
            ("extras", Value::Struct(BTreeMap::new())),
            ("id", id),
            ("label", string(self.order.product_name.as_str())),
            ("product_action", string(self.order.action.name())),
            ("product_name", string(self.order.product_name.as_str())),
            ("product_type", string("hosting")),
            ("quantity", Value::Integer(self.order.quantity)),
        ])
    }

    fn params(&self, account: &Account, named: bool) -> Value {
        let mut members = BTreeMap::from([
            ("product_name", string(self.order.product_name.as_str())),
            ("quantity", Value::Integer(self.order.quantity)),
            ("remote_addr", string("127.0.0.1")),
            ("tracker_id", string(format!("{:08x}", self.id))),
            ("auth_id", Value::Integer(account.id)),
            ("param_type", string("hosting")),
            ("inner_step", string("")),
        ]);
        if let Some(term) = self.order.term {
            members.insert("duration", string(term.input()));
        }
        if named {
            members.insert("product_id", Value::Integer(self.order.product_id));
        }
        Value::Struct(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }
}

pub(super) fn later(time: Timestamp, milliseconds: u64) -> Timestamp {
    let pause = SignedDuration::from_millis(i64::try_from(milliseconds).unwrap_or(i64::MAX));
    time.checked_add(pause).unwrap_or(Timestamp::MAX)
}
