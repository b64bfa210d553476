//! Services: the account's products, and what can be done with each of them now.

use std::cmp::Ordering;

use purveyor_sdk::names::ServiceName;
use purveyor_sdk::prost_types::{Struct, Timestamp};
use purveyor_sdk::rows;
use purveyor_sdk::v1::service::{Action, State};
use purveyor_sdk::v1::{
    ListServicesRequest, ListServicesResponse, RenewalPolicy, Service, UpstreamRef,
};
use purveyor_sdk::{Cx, Error, Level, Result, etag, page};

use super::order_view::quantity;
use super::{Gandi, upstream_id};
use crate::model::{Account, Operation, Owned, term_of};

pub(super) async fn list(
    gandi: &Gandi,
    cx: &Cx,
    request: &ListServicesRequest,
) -> Result<ListServicesResponse> {
    let (account, now) = (gandi.client.account(cx).await?, cx.now());
    for error in &account.nameless {
        cx.log(Level::WARN, &format!("a product of the account cannot be shown: {error}"));
    }
    let rows = account.products()?.iter().map(|owned| gandi.service(owned, &now, None));
    let rows = rows.filter(|row| row.as_ref().map_or(true, |row| wanted(row, request)));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let (services, next_page_token) = page::of(rows, request.page_size, &request.page_token)?;
    Ok(ListServicesResponse { services, next_page_token, ..ListServicesResponse::default() })
}

pub(super) async fn get(gandi: &Gandi, cx: &Cx, name: &str) -> Result<Service> {
    let id = upstream_id(cx.upstream_id()).ok_or_else(|| Error::service_not_found(name))?;
    let account = gandi.client.account(cx).await?;
    gandi.service(owned(&account, id, name)?, &cx.now(), None)
}

/// The account's product of this identifier.
///
/// # Errors
///
/// SERVICE_NOT_FOUND, UPSTREAM_API_GONE; UPSTREAM_UNAVAILABLE where a product without an identifier may be
/// the one.
pub(super) fn owned<'a>(account: &'a Account, id: i64, name: &str) -> Result<&'a Owned> {
    product(account, id)?.ok_or_else(|| Error::service_not_found(name))
}

/// The same; `None` where the account does not have it.
///
/// # Errors
///
/// UPSTREAM_API_GONE; UPSTREAM_UNAVAILABLE where a product without an identifier may be the one.
pub(super) fn product(account: &Account, id: i64) -> Result<Option<&Owned>> {
    let found = account.products()?.iter().find(|owned| owned.id == id);
    match account.nameless.first() {
        Some(error) if found.is_none() => Err(error.again()),
        _ => Ok(found),
    }
}

/// The product that a write is about: nothing may be spent by what could not be read of it.
///
/// # Errors
///
/// As [`owned`], and UPSTREAM_UNAVAILABLE where it was not read whole.
pub(super) fn owned_whole<'a>(account: &'a Account, id: i64, name: &str) -> Result<&'a Owned> {
    let owned = owned(account, id, name)?;
    owned.check_whole().map(|()| owned)
}

/// STATE_CONFLICT with the upstream's reasons, where it gives any. Where it tells nothing, it has the
/// last word at the call.
pub(super) fn check_allowed(reasons: Option<&[String]>, what: &str) -> Result<()> {
    match reasons {
        None | Some([]) => Ok(()),
        Some(reasons) => {
            Err(Error::state(format!("the service cannot be {what}: {}", reasons.join(", "))))
        }
    }
}

impl Gandi {
    /// The identifier that a service's name holds.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `field` for what is no name; SERVICE_NOT_FOUND.
    pub(super) fn service_id(&self, name: &str, field: &str) -> Result<i64> {
        let parsed = name.parse::<ServiceName>().map_err(|error| error.field(field))?;
        let id = upstream_id(parsed.id()).filter(|_| *parsed.provider() == self.name);
        id.ok_or_else(|| Error::service_not_found(name))
    }

    /// A product of the account as a service, with the operation that changed it last, where that is
    /// what is shown.
    pub(super) fn service(
        &self,
        owned: &Owned,
        now: &Timestamp,
        changed_by: Option<&Operation>,
    ) -> Result<Service> {
        let id = owned.id.to_string();
        let mut gaps = owned.gaps.clone();
        let product = match owned.name.as_str() {
            "" => String::new(),
            name => gaps.keep("product_name", self.name.product(name)),
        };
        Ok(etag::seal(Service {
            name: self.name.service(owned.id)?,
            state: state(owned, now).into(),
            upstream: Some(UpstreamRef::of(id)),
            product,
            service_type: "hosting".to_owned(),
            display_name: owned.name.clone(),
            quantity: quantity(owned.quantity),
            term: owned.duration.as_deref().map(term_of),
            renewal_policy: owned
                .auto_renews
                .map(|told| RenewalPolicy { auto_renew: Some(told), ..RenewalPolicy::default() }),
            create_time: owned.created,
            expire_time: owned.end,
            actions: actions(owned),
            attributes: Some(with(owned.attributes.clone(), changed_by)),
            notices: gaps.notices(),
            ..Service::default()
        }))
    }

    /// A service that the account does not show any more.
    pub(super) fn gone_service(&self, id: i64, changed_by: &Operation) -> Result<Service> {
        Ok(etag::seal(Service {
            name: self.name.service(id)?,
            state: State::Terminated.into(),
            upstream: Some(UpstreamRef::of(id.to_string())),
            service_type: "hosting".to_owned(),
            attributes: Some(with(Struct::default(), Some(changed_by))),
            ..Service::default()
        }))
    }
}

fn with(mut attributes: Struct, changed_by: Option<&Operation>) -> Struct {
    attributes.fields.extend(changed_by.into_iter().flat_map(|it| it.as_attribute().fields));
    attributes
}

fn state(owned: &Owned, now: &Timestamp) -> State {
    let ended = owned.end.is_some_and(|end| order(&end, now).is_le());
    if owned.gaps.has("date_end") || owned.gaps.has("is_in_redemption") {
        State::Unspecified
    } else if owned.in_redemption {
        State::Redemption
    } else if ended {
        State::Expired
    } else {
        State::Active
    }
}

/// The methods that the upstream's lists are about.
fn actions(owned: &Owned) -> Vec<Action> {
    let lists = [
        ("Services.UpdateService", &owned.errors_for_updating),
        ("Services.TerminateService", &owned.errors_for_removing),
        ("Renewals.CreateRenewal", &owned.errors_for_renewing),
    ];
    let told = lists.into_iter().filter_map(|(method, reasons)| Some((method, reasons.clone()?)));
    told.map(|(method, reasons)| Action {
        method: method.to_owned(),
        allowed: reasons.is_empty(),
        reasons,
    })
    .collect()
}

/// The filters of a listing that the upstream's data can answer. Which order a service came from is
/// the gateway's to know. A row that could not be read whole may be any.
fn wanted(service: &Service, request: &ListServicesRequest) -> bool {
    if rows::is_incomplete(&service.notices) {
        return true;
    }
    let expires_in_time = |limit: &Timestamp| {
        service.expire_time.as_ref().is_some_and(|end| order(end, limit).is_lt())
    };
    (request.states.is_empty() || request.states.contains(&service.state))
        && (request.product.is_empty() || request.product == service.product)
        && request.customer.is_empty()
        && request.expire_before.as_ref().is_none_or(expires_in_time)
}

fn order(one: &Timestamp, other: &Timestamp) -> Ordering {
    (one.seconds, one.nanos).cmp(&(other.seconds, other.nanos))
}
