//! The calls about services: seeing, changing, suspending and renewing them.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Account;
use super::answer::Refusal;
use super::order::Order;
use super::routes::Visit;
use super::service::{PERIODS, Renew, Service, Stage, Strategy, described, strategies};
use super::state::World;
use crate::ledger::Kind;

/// What `POST /service/{serviceId}/renew` is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RenewRequest {
    #[serde(default)]
    pub(super) dry_run: bool,
    pub(super) duration: String,
    pub(super) services: Vec<i64>,
}

/// What `PUT …/serviceInfos` is told; members that cannot be changed are ignored.
#[derive(Deserialize)]
struct InfosRequest {
    renew: Option<RenewInfos>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenewInfos {
    automatic: bool,
    delete_at_expiration: bool,
    period: Option<i32>,
}

/// GET /vps: the names.
pub(super) fn vps(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let is_vps = |it: &&Service| it.route.as_deref() == Some("/vps/{serviceName}");
    let names: Vec<&str> = own(visit).filter(is_vps).map(|it| it.name.as_str()).collect();
    Ok(json!(names))
}

/// GET /service: the numbers.
pub(super) fn list(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    Ok(json!(own(visit).map(|service| service.id).collect::<Vec<_>>()))
}

/// GET /service/{serviceId}.
pub(super) fn get(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    Ok(visit.service()?.told(visit.moment.now))
}

/// GET …/serviceInfos.
pub(super) fn infos(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let nichandle = visit.account()?.nichandle.clone();
    let mut infos = visit.routed()?.infos(&nichandle, visit.moment.now);
    if !visit.world.mode.infos_end.is_empty() {
        infos["expiration"] = json!(visit.world.mode.infos_end);
    }
    Ok(infos)
}

/// PUT …/serviceInfos.
pub(super) fn put_infos(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let asked: InfosRequest = visit.body()?;
    let id = visit.routed()?.id;
    if visit.world.mode.inactive {
        return Err(Refusal::bad_request("This subscription is not active yet"));
    }
    let Some(asked) = asked.renew else { return Ok(Value::Null) };
    let period = asked.period.filter(|months| PERIODS.iter().any(|(_, known)| known == months));
    if asked.period.is_some() && period.is_none() {
        return Err(Refusal::bad_request("renew.period is not possible"));
    }
    if let Some(service) = visit.world.services.get_mut(&id) {
        service.renew = Renew {
            automatic: asked.automatic,
            delete_at_expiration: asked.delete_at_expiration,
            period: period.unwrap_or(service.renew.period),
            ..service.renew
        };
    }
    if asked.delete_at_expiration {
        visit.world.ending.insert(id);
    } else {
        visit.world.ending.remove(&id);
    }
    Ok(Value::Null)
}

/// POST /service/{serviceId}/suspend: it is still charged.
pub(super) fn suspend(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    change(visit, "ok", ("suspending", "suspended"))
}

/// POST /service/{serviceId}/reopen.
pub(super) fn reopen(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    change(visit, "suspended", ("opening", "ok"))
}

/// POST /service/{serviceId}/terminate: ends a suspended service.
pub(super) fn terminate(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    change(visit, "suspended", ("deleting", "deleted"))
}

/// Assumption: a service that does not rest in the state that a change begins at is busy or wrong,
/// and both are a conflict; one that is already there is left as it is.
fn change(
    visit: &mut Visit<'_>,
    from: &str,
    (during, after): (&'static str, &'static str),
) -> Result<Value, Refusal> {
    let (now, ms) = (visit.moment.now, visit.world.mode.change_ms);
    let id = visit.service()?.id;
    let Some(service) = visit.world.services.get_mut(&id) else { return Ok(Value::Null) };
    let word = service.resource.word(now);
    if word == during || word == after {
        return Ok(Value::Null);
    }
    if word != from {
        return Err(Refusal::conflict(format!("This service is {word}, it has to be {from}")));
    }
    let pause = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    let at = now.checked_add(pause).unwrap_or(now);
    service.resource = Stage { during, after, at };
    Ok(Value::Null)
}

/// GET /service/{serviceId}/renew.
pub(super) fn renewals(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let include_options = match visit.field("includeOptions") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::bad_request("includeOptions is not a boolean")),
    };
    let id = visit.service()?.id;
    let found = strategies(&visit.world.services, id, include_options);
    let terse = visit.world.mode.terse_prices;
    let currency = visit.account()?.currency.as_str();
    let currency = (!terse).then_some(currency);
    Ok(described(&found, &visit.world.services, currency))
}

/// POST /service/{serviceId}/renew: an order that costs nothing until it is paid.
pub(super) fn renew(visit: &mut Visit<'_>) -> Result<Value, Refusal> {
    let asked: RenewRequest = visit.body()?;
    let id = visit.service()?.id;
    let moment = visit.moment;
    let order = visit.world.drawn(visit.caller.account, id, &asked, moment.now)?;
    let currency = visit.account()?.currency.clone();
    if asked.dry_run {
        return Ok(order.told_dry(&currency, &visit.world.mode));
    }
    visit.world.record(moment, Kind::OrderUnpaid, &order, Some(&visit.fingerprint))?;
    let told = order.told(&currency);
    visit.world.take(order);
    Ok(told)
}

impl World {
    /// The order of a renewal, which is not kept yet.
    pub(super) fn drawn(
        &self,
        account: usize,
        service: i64,
        asked: &RenewRequest,
        made: Timestamp,
    ) -> Result<Order, Refusal> {
        let strategy = chosen(strategies(&self.services, service, true), asked)?;
        let months = PERIODS.iter().find(|(period, _)| *period == strategy.period);
        let price = |id: &i64| self.services.get(id)?.prices.get(strategy.period).copied();
        let id = self.upcoming_order();
        Ok(Order {
            account,
            id,
            amounts: strategy.services.iter().filter_map(price).collect(),
            services: strategy.services,
            duration: strategy.period,
            months: months.map_or(1, |(_, months)| *months),
            made,
            password: format!("aBcD{id}"),
            paid: None,
            held: None,
            cancelled: Vec::new(),
            delivered: None,
            done: false,
        })
    }
}

/// The strategy that a request means: the same services, in whatever order.
fn chosen(strategies: Vec<Strategy>, asked: &RenewRequest) -> Result<Strategy, Refusal> {
    let sorted = |ids: &[i64]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids
    };
    let wanted = sorted(&asked.services);
    let mut found = strategies.into_iter().filter(|it| it.period == asked.duration);
    found
        .find(|strategy| sorted(&strategy.services) == wanted)
        .ok_or_else(|| Refusal::bad_request("These services cannot be renewed so"))
}

fn own<'a>(visit: &'a Visit<'_>) -> impl Iterator<Item = &'a Service> {
    let account = visit.caller.account;
    visit.world.services.values().filter(move |service| service.account == account)
}

impl Visit<'_> {
    pub(super) fn account(&self) -> Result<&Account, Refusal> {
        let account = self.world.accounts.get(self.caller.account);
        account.ok_or_else(|| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Refusal::service(status, "Server::InternalServerError", "The account is gone")
        })
    }

    /// The caller's service of the number in the path.
    fn service(&self) -> Result<&Service, Refusal> {
        let id = self.number(0)?;
        let found = self.world.services.get(&id);
        found
            .filter(|service| service.account == self.caller.account)
            .ok_or_else(|| Refusal::not_found("This service does not exist"))
    }

    /// The caller's service whose own calls are at this path.
    fn routed(&self) -> Result<&Service, Refusal> {
        let name = self.word(0);
        let wanted = self.route_pattern();
        let found = own(self)
            .find(|service| service.name == name && service.route.as_deref() == Some(wanted));
        found.ok_or_else(|| Refusal::not_found("This service does not exist"))
    }
}
