//! Services: servers, each known by the order item that it came of.

use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::v1::service::{Action, Endpoint, State};
use purveyor_sdk::v1::{
    ListServicesRequest, ListServicesResponse, RenewalPolicy, Service, UpstreamRef,
};
use purveyor_sdk::{Cx, Error, Result, etag, page, rows};

use super::Klikk;
use crate::model::{Life, Server, id_of};
use crate::token;

pub(super) async fn list(
    klikk: &Klikk,
    cx: &Cx,
    request: &ListServicesRequest,
) -> Result<ListServicesResponse> {
    let item = match request.order_item.as_str() {
        "" => Some(None),
        text => id_of(text).map(Some),
    };
    // What is no identifier is no item, and nobody needs to be asked.
    let Some(item) = item else { return Ok(ListServicesResponse::default()) };
    let (servers, now) = (klikk.client.servers(cx, item).await?.shown(cx), cx.now());
    let shown = servers.iter().map(|server| klikk.service(server, &now));
    let shown = shown.filter(|row| row.as_ref().map_or(true, |row| wanted(row, request)));
    let shown = shown.collect::<Result<Vec<_>>>()?;
    let (services, next_page_token) = page::of(shown, request.page_size, &request.page_token)?;
    Ok(ListServicesResponse { services, next_page_token, ..ListServicesResponse::default() })
}

pub(super) async fn get(klikk: &Klikk, cx: &Cx, name: &str) -> Result<Service> {
    let item = id_of(cx.upstream_id()).ok_or_else(|| Error::service_not_found(name))?;
    let servers = klikk.client.servers(cx, Some(item)).await?;
    let missing = || match servers.nameless.first() {
        // It may be the one.
        Some(error) => error.again(),
        None => Error::service_not_found(name),
    };
    let server = servers.rows.first().ok_or_else(missing)?;
    klikk.service(server, &cx.now())
}

impl Klikk {
    fn service(&self, server: &Server, now: &Timestamp) -> Result<Service> {
        let (id, told) = (server.item.to_string(), server.state.clone().unwrap_or_default());
        let display_name = server.reference.as_deref().map(token::split);
        let sold = server.product.as_ref().and_then(|product| self.catalogue.get(product));
        let mut gaps = server.gaps.clone();
        let product = server.product.as_deref().map(|product| self.name.product(product));
        let product = product.map(|name| gaps.keep("name", name)).unwrap_or_default();
        let order = server.order.as_deref().and_then(id_of).map(|order| self.name.order(order));
        Ok(etag::seal(Service {
            name: self.name.service(server.item)?,
            state: state(server, now).into(),
            upstream: Some(UpstreamRef {
                ids: vec![id.clone()],
                state: told,
                message: server.message.clone(),
                ..UpstreamRef::default()
            }),
            product,
            service_type: "server".to_owned(),
            order: order.transpose()?.unwrap_or_default(),
            order_item: id,
            display_name: display_name.map(|(name, _)| name.to_owned()).unwrap_or_default(),
            quantity: 1,
            term: sold.and_then(|sold| sold.term()),
            renewal_policy: server.auto_renew.map(|auto_renew| RenewalPolicy {
                auto_renew: Some(auto_renew),
                cancel_at_expiry: Some(!auto_renew),
                term: sold.and_then(|sold| sold.term()),
                ..RenewalPolicy::default()
            }),
            create_time: server.created,
            expire_time: server.period_end,
            actions: server.auto_renew.map(cancelling).into_iter().collect(),
            endpoints: endpoints(server),
            attributes: Some(server.attributes.clone()),
            notices: gaps.notices(),
            ..Service::default()
        }))
    }
}

fn state(server: &Server, now: &Timestamp) -> State {
    if server.gaps.has("period_end") || server.gaps.has("auto_renew") {
        return State::Unspecified;
    }
    let over = |end: &Timestamp| (end.seconds, end.nanos) <= (now.seconds, now.nanos);
    match server.life {
        Life::Ended => State::Terminated,
        Life::Installing => State::Pending,
        Life::Unknown => State::Unspecified,
        // What renews is not over when its period is: the next one begins.
        Life::Running
            if server.auto_renew == Some(false) && server.period_end.as_ref().is_some_and(over) =>
        {
            State::Expired
        }
        Life::Running => State::Active,
    }
}

/// What can be done with a server is to cancel the order item that it came of.
fn cancelling(auto_renew: bool) -> Action {
    let reasons = if auto_renew { Vec::new() } else { vec!["it is cancelled already".to_owned()] };
    Action { method: "Orders.CancelOrder".to_owned(), allowed: auto_renew, reasons }
}

fn endpoints(server: &Server) -> Vec<Endpoint> {
    let addresses = server.addresses.clone();
    let endpoint = Endpoint { addresses, ..Endpoint::default() };
    (!server.addresses.is_empty()).then_some(endpoint).into_iter().collect()
}

/// The filters of a listing that the upstream's data can answer. Which order a service came from is
/// the gateway's to know.
fn wanted(service: &Service, request: &ListServicesRequest) -> bool {
    let expires_in_time = |limit: &Timestamp| {
        let end = service.expire_time.as_ref();
        end.is_some_and(|end| (end.seconds, end.nanos) < (limit.seconds, limit.nanos))
    };
    // What it does not tell leaves it out of no filter.
    if rows::is_incomplete(&service.notices) {
        return true;
    }
    (request.states.is_empty() || request.states.contains(&service.state))
        && (request.product.is_empty() || request.product == service.product)
        && request.customer.is_empty()
        && request.expire_before.as_ref().is_none_or(expires_in_time)
}
