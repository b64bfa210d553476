//! The whole state of the simulated upstream: accounts, plans and services, and the two ways in which a
//! service changes. Every change passes through here, and the ledger has it before the state does.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::account::AccountSeed;
use super::catalog::{self, PlanSeed};
use super::mode::Mode;
use super::refusal::{Cause, Refusal};
use crate::ledger::{Kind, Ledger, Sale};
use crate::money::Cents;

/// The number of the document's example.
const FIRST_SERVICE: i64 = 1334;

/// Everything the upstream knows.
#[derive(Debug)]
pub(super) struct World {
    pub(super) mode: Mode,
    pub(super) accounts: Vec<AccountSeed>,
    pub(super) plans: BTreeMap<i64, PlanSeed>,
    pub(super) services: BTreeMap<i64, Service>,
    next_service: i64,
}

/// The moment of a call and where its changes are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) now: Timestamp,
    pub(super) ledger: &'a Ledger,
}

/// A service, with everything it was created with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its number.
    pub serviceid: i64,
    /// Whose it is.
    pub account: String,
    /// What it does.
    pub state: ServiceState,
    /// The record that was written.
    #[serde(flatten)]
    pub record: Record,
}

/// What `create` writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The customer.
    pub customer_id: i64,
    /// The partner; 0 is the main venture.
    pub pid: i64,
    /// The plan.
    pub planid: i64,
    /// How many licences.
    pub quantity: i64,
    /// The subscription, where one was told.
    pub slserverid: Option<String>,
    /// The server.
    pub serverid: i64,
    /// When the service began.
    pub regdate: Date,
    /// When the next payment is due.
    pub nextduedate: Date,
    /// The service's cycle.
    pub billingcycle: String,
    /// The plan's cycle.
    pub plan_billing_cycle: String,
    /// The recurring amount.
    pub amount: Cents,
    /// The purchase amount.
    pub recuring_amount: Cents,
    /// The plan's first price.
    pub first_plan_price: Cents,
    /// The plan's further price.
    pub recuring_plan_price: Cents,
    /// The first payment.
    pub firstpayment: Cents,
}

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Works.
    Active,
    /// Works, and its payment is overdue. Assumption: nothing else comes of that by itself.
    Overdue,
    /// Suspended.
    Suspended,
    /// Gone for good.
    Terminated,
}

/// What a caller does to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Suspend,
    Unsuspend,
    Terminate,
}

impl Change {
    fn to(self) -> (ServiceState, Kind) {
        match self {
            Self::Suspend => (ServiceState::Suspended, Kind::ServiceSuspend),
            Self::Unsuspend => (ServiceState::Active, Kind::ServiceUnsuspend),
            Self::Terminate => (ServiceState::Terminated, Kind::ServiceTerminate),
        }
    }
}

impl World {
    /// A world without services. Numbers go on after those a ledger names already, so that a restart
    /// does not give two services the same one.
    pub(super) fn new(mode: Mode, ledger: &Ledger) -> Self {
        let entries = ledger.entries();
        let ids = entries.iter().filter_map(|entry| entry.sale.product_id.as_ref()?.parse().ok());
        let next_service = ids.max().map_or(FIRST_SERVICE, |last: i64| last + 1);
        let plans = catalog::plans().into_iter().map(|plan| (plan.planid, plan)).collect();
        Self {
            mode,
            accounts: Vec::new(),
            plans,
            services: BTreeMap::new(),
            next_service: next_service.max(FIRST_SERVICE),
        }
    }

    /// Adds an account, or changes the one with the same token; its services stay.
    pub(super) fn put_account(&mut self, seed: AccountSeed) -> Result<(), String> {
        seed.check()?;
        match self.accounts.iter_mut().find(|account| account.token == seed.token) {
            Some(account) => *account = seed,
            None => self.accounts.push(seed),
        }
        Ok(())
    }

    /// Writes the record of a new service.
    pub(super) fn create(
        &mut self,
        moment: Moment<'_>,
        account: &AccountSeed,
        record: Record,
        fingerprint: String,
    ) -> Result<Service, Refusal> {
        let reused = self.reusable();
        let serviceid = reused.unwrap_or(self.next_service);
        let service = Service {
            serviceid,
            account: account.name.clone(),
            state: ServiceState::Active,
            record,
        };
        let amount = service.record.firstpayment;
        let sale = self.line(Kind::ServiceCreate, &service, amount, account, fingerprint);
        record_line(moment, sale)?;
        if reused.is_none() {
            self.next_service += 1;
        }
        self.services.insert(serviceid, service.clone());
        Ok(service)
    }

    /// The number of a terminated service, where numbers come back.
    fn reusable(&self) -> Option<i64> {
        let mut services = self.services.values().filter(|_| self.mode.reuse_ids);
        let terminated = services.find(|service| service.state == ServiceState::Terminated);
        terminated.map(|service| service.serviceid)
    }

    /// Changes the state of a service of the account; `false`: it was in that state before.
    ///
    /// Assumptions: a terminated service can neither be suspended nor resumed; what changes nothing is
    /// written nowhere.
    pub(super) fn change(
        &mut self,
        moment: Moment<'_>,
        account: &AccountSeed,
        (serviceid, change): (i64, Change),
        fingerprint: String,
    ) -> Result<bool, Refusal> {
        let unknown = || Refusal::new(Cause::ServiceUnknown, "Service does not exist.");
        let service = self.services.get(&serviceid);
        let service =
            service.filter(|service| service.account == account.name).ok_or_else(unknown)?;
        let (state, kind) = change.to();
        if service.state == state {
            return Ok(false);
        }
        if service.state == ServiceState::Terminated {
            let message = "Service has been terminated already.";
            return Err(Refusal::new(Cause::ServiceTerminated, message));
        }
        record_line(moment, self.line(kind, service, Cents::ZERO, account, fingerprint))?;
        if let Some(service) = self.services.get_mut(&serviceid) {
            service.state = state;
        }
        Ok(true)
    }

    /// The services as they are now: one that works is overdue from its next due date on.
    pub(super) fn services(&self, now: Timestamp) -> Vec<Service> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let shown = self.services.values().cloned().map(|mut service| {
            if service.state == ServiceState::Active && service.record.nextduedate <= today {
                service.state = ServiceState::Overdue;
            }
            service
        });
        shown.collect()
    }

    fn line(
        &self,
        kind: Kind,
        service: &Service,
        amount: Cents,
        account: &AccountSeed,
        fingerprint: String,
    ) -> Sale {
        let plan = self.plans.get(&service.record.planid);
        Sale {
            account: account.name.clone(),
            kind,
            operation_id: service.serviceid.to_string(),
            product_id: Some(service.serviceid.to_string()),
            product_name: plan.map(|plan| plan.name.clone()).unwrap_or_default(),
            quantity: service.record.quantity,
            duration: Some(service.record.billingcycle.clone()),
            amount,
            currency: account.currency.clone(),
            // Without the fingerprint of a request a person did it.
            person: fingerprint.is_empty(),
            fingerprint,
        }
    }
}

fn record_line(moment: Moment<'_>, sale: Sale) -> Result<(), Refusal> {
    let written = moment.ledger.append(moment.now, vec![sale]);
    written.map_err(|error| Refusal::new(Cause::Internal, format!("ledger: {error}")))
}
