//! What happens at the upstream without any request: a person renews, pays, cancels and renames, and the
//! upstream itself renews, reprices and gives a number to another service. Each command is a method of the
//! handle and a command of the control API.

use bytes::Bytes;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Ovh;
use super::order::Paid;
use super::service::{PERIODS, Service};
use super::service_calls::RenewRequest;
use super::state::World;
use crate::control::{Refusal, read};
use crate::ledger::Kind;
use crate::money::Cents;
use crate::simulator::Simulator;

/// Something that nobody asked the API for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Happening {
    /// A person orders a further term.
    Renew {
        /// The services, the one first that is renewed.
        services: Vec<i64>,
        /// The period, `P3M`.
        duration: String,
        /// Whether the person pays the order at once.
        #[serde(default)]
        pays: bool,
        /// How far ahead the order is dated, in seconds.
        #[serde(default)]
        ahead_s: i64,
    },
    /// A person pays an order.
    Pay {
        /// The order.
        order: i64,
    },
    /// A person cancels an order that was not delivered; a payment comes back.
    Cancel {
        /// The order.
        order: i64,
    },
    /// One line of an order that was not delivered is cancelled.
    CancelLine {
        /// The order.
        order: i64,
        /// The line's service.
        service: i64,
    },
    /// A person gives a service another name for people.
    Rename {
        /// The service.
        service: i64,
        /// The name.
        name: String,
    },
    /// The upstream renews a service by itself, for its own period; there is no order of it.
    AutoRenew {
        /// The service.
        service: i64,
    },
    /// The upstream wants another amount for an order, without tax.
    Reprice {
        /// The order.
        order: i64,
        /// The amount.
        amount: Cents,
    },
    /// The number of a service becomes another one's, made now and called otherwise.
    Replace {
        /// The number.
        service: i64,
    },
}

impl Simulator<Ovh> {
    /// Something happens at the upstream; the number of the order that it is about, or 0.
    ///
    /// # Errors
    /// It cannot happen now: there is no such thing, or it is beyond that.
    pub fn happens(&self, happening: Happening) -> Result<i64, String> {
        self.provider().happens(happening).map_err(|refusal| refusal.reason)
    }
}

impl Ovh {
    pub(super) fn pull_person(
        &self,
        command: &str,
        body: &Bytes,
    ) -> Option<Result<Value, Refusal>> {
        if command != "POST /happenings" {
            return None;
        }
        let happening = read(body).and_then(|happening| self.happens(happening));
        Some(happening.map(|order| json!({ "order": order })))
    }

    fn happens(&self, happening: Happening) -> Result<i64, Refusal> {
        let moment = self.moment();
        let mut world = self.world();
        world.settle(moment.now);
        let order = match happening {
            Happening::Renew { services, duration, pays, ahead_s } => {
                let order = self.ordered(&mut world, services, duration, ahead_s)?;
                if pays {
                    self.paid(&mut world, order)?;
                }
                order
            }
            Happening::Pay { order } => {
                self.paid(&mut world, order)?;
                order
            }
            Happening::Cancel { order } => {
                let cancelled = open(&mut world, order)?.clone();
                if cancelled.paid.is_some() {
                    world.record(moment, Kind::Refund, &cancelled, None).map_err(unwritten)?;
                }
                open(&mut world, order)?.held = Some("cancelled");
                order
            }
            Happening::CancelLine { order, service } => {
                open(&mut world, order)?.cancelled.push(service);
                order
            }
            Happening::Rename { service, name } => {
                serviced(&mut world, service)?.display_name = Some(name);
                0
            }
            Happening::AutoRenew { service } => self.renewed(&mut world, service)?,
            Happening::Reprice { order, amount } => {
                let amounts = &mut open(&mut world, order)?.amounts;
                amounts.iter_mut().for_each(|amount| *amount = Cents::ZERO);
                amounts.iter_mut().take(1).for_each(|first| *first = amount);
                order
            }
            Happening::Replace { service } => {
                let replaced = serviced(&mut world, service)?;
                replaced.created = moment.now;
                replaced.name = format!("another-{}", replaced.name);
                0
            }
        };
        world.settle(moment.now);
        Ok(order)
    }

    fn ordered(
        &self,
        world: &mut World,
        services: Vec<i64>,
        duration: String,
        ahead_s: i64,
    ) -> Result<i64, Refusal> {
        let moment = self.moment();
        let first = *services.first().ok_or_else(|| conflict("no service is named"))?;
        let account = serviced(world, first)?.account;
        let asked = RenewRequest { dry_run: false, duration, services };
        let made = moment.now.checked_add(SignedDuration::from_secs(ahead_s));
        let made = made.unwrap_or(Timestamp::MAX);
        let drawn = world.drawn(account, first, &asked, made);
        let order = drawn.map_err(|refusal| conflict(&refusal.body.to_string()))?;
        let id = order.id;
        world.record(moment, Kind::OrderUnpaid, &order, None).map_err(unwritten)?;
        world.take(order);
        Ok(id)
    }

    fn paid(&self, world: &mut World, id: i64) -> Result<(), Refusal> {
        let moment = self.moment();
        let order = open(world, id)?.clone();
        let stage = order.stage(moment.now, &world.mode);
        if order.paid.is_some() || stage != "notPaid" || order.has_lapsed(moment.now) {
            return Err(conflict(&format!("order {id} does not wait for payment")));
        }
        let paid = Paid { at: moment.now, kind: "bankAccount".to_owned(), id: None };
        world.pay(moment, &order, paid, None).map_err(unwritten)
    }

    fn renewed(&self, world: &mut World, id: i64) -> Result<i64, Refusal> {
        let moment = self.moment();
        let asked = {
            let service = serviced(world, id)?;
            let period = PERIODS.iter().find(|(_, months)| *months == service.renew.period);
            let (period, _) = period.ok_or_else(|| conflict("the service has no period"))?;
            RenewRequest { dry_run: false, duration: (*period).to_owned(), services: vec![id] }
        };
        let account = serviced(world, id)?.account;
        let drawn = world.drawn(account, id, &asked, moment.now);
        let order = drawn.map_err(|refusal| conflict(&refusal.body.to_string()))?;
        // No order of it is kept, and the ledger's line names none either.
        let line = super::order::Order { id: 0, ..order };
        world.record(moment, Kind::AutoRenewal, &line, Some("")).map_err(unwritten)?;
        serviced(world, id)?.extend(line.months);
        Ok(0)
    }
}

/// An order whose services have not got their term.
fn open(world: &mut World, id: i64) -> Result<&mut super::order::Order, Refusal> {
    let missing = || Refusal::new(StatusCode::NOT_FOUND, format!("no order {id}"));
    let order = world.orders.get_mut(&id).ok_or_else(missing)?;
    if order.done { Err(conflict(&format!("order {id} is done"))) } else { Ok(order) }
}

fn serviced(world: &mut World, id: i64) -> Result<&mut Service, Refusal> {
    let missing = || Refusal::new(StatusCode::NOT_FOUND, format!("no service {id}"));
    world.services.get_mut(&id).ok_or_else(missing)
}

fn conflict(reason: &str) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, reason)
}

fn unwritten(error: crate::ledger::LedgerError) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
