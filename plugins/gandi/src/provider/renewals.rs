//! Renewals: one service, one more term, one upstream operation and one spend, which charges at once.
//! The expiry that the caller expects is compared right before the spend.

use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::renewal::State;
use purveyor_sdk::v1::required_action::Kind as Need;
use purveyor_sdk::v1::{
    CreateRenewalRequest, ErrorReason, GetRenewalRequest, ListRenewalOptionsRequest,
    ListRenewalOptionsResponse, ListRenewalsRequest, ListRenewalsResponse, Payment, Renewal,
    RenewalOption, RequiredAction, ServiceRef,
};
use purveyor_sdk::{Cx, Error, Result, Step, etag, page, rows};

use super::declare::spending_notices;
use super::order_view::failure;
use super::prices;
use super::progress::first_look;
use super::services::{check_allowed, owned_whole};
use super::{Gandi, upstream_id};
use crate::checkpoint::{Sent, encode};
use crate::client::Spent;
use crate::error;
use crate::model::{Account, Action, Duration, Kind, Operation, Owned, Stage, term_of};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extension {
    pub(super) service: i64,
    pub(super) name: String,
    pub(super) duration: Duration,
    pub(super) expected_end: Option<Timestamp>,
}

pub(super) async fn create(
    gandi: &Gandi,
    cx: &Cx,
    request: &CreateRenewalRequest,
) -> Result<Step<Renewal>> {
    let extension = gandi.extension(request)?;
    check_payment(request.payment.as_ref())?;
    let account = gandi.client.account(cx).await?;
    let service = check_renewable(&account, &extension)?;
    let price = match &request.max_price {
        Some(_) => gandi.renewal_price(cx, service, extension.duration).await?,
        None => None,
    };
    let price = price.map(|told| gandi.price(&told));
    match gandi.client.renew(cx, extension.service, extension.duration, price).await? {
        Spent::Accepted(operation) => gandi.renewal_pending(&extension, &operation),
        Spent::Refused { proof, error } => Ok(Step::rejected(proof, error)),
        Spent::Unknown(message) => Ok(Step::Unknown(message)),
    }
}

pub(super) async fn options(
    gandi: &Gandi,
    cx: &Cx,
    request: &ListRenewalOptionsRequest,
) -> Result<ListRenewalOptionsResponse> {
    let id = gandi.service_id(&request.parent, "parent")?;
    let account = gandi.client.account(cx).await?;
    let service = owned_whole(&account, id, &request.parent)?;
    check_allowed(service.errors_for_renewing.as_deref(), "renewed")?;
    let catalog = gandi.catalog(cx, Action::Renew, &gandi.config.currency).await?;
    let option = |duration: Duration| {
        let told = service.quantity;
        let told = told.and_then(|it| gandi.amount(&catalog, &service.name, duration, it));
        let notices = prices::notices(told.as_ref());
        Ok(RenewalOption {
            term: Some(duration.term()),
            services: vec![gandi.service_ref(service)?],
            price: told.map(|told| gandi.price(&told)),
            notices: spending_notices().into_iter().chain(notices).collect(),
            ..RenewalOption::default()
        })
    };
    let rows = Duration::ALL.into_iter().map(option).collect::<Result<Vec<_>>>()?;
    let (renewal_options, next_page_token) =
        page::of(rows, request.page_size, &request.page_token)?;
    Ok(ListRenewalOptionsResponse { renewal_options, next_page_token })
}

pub(super) async fn get(gandi: &Gandi, cx: &Cx, request: &GetRenewalRequest) -> Result<Renewal> {
    let not_found = || Error::renewal_not_found(&request.name);
    let id = upstream_id(cx.upstream_id()).ok_or_else(not_found)?;
    let operation = error::missing(gandi.client.operation(cx, id).await, not_found)?;
    if operation.is(Kind::Renew) { gandi.renewal(&operation) } else { Err(not_found()) }
}

pub(super) async fn list(
    gandi: &Gandi,
    cx: &Cx,
    request: &ListRenewalsRequest,
) -> Result<ListRenewalsResponse> {
    let wanted = |renewal: &Renewal| {
        let of_service = |service: &str| {
            renewal.service == service || renewal.services.iter().any(|it| it.service == service)
        };
        // An operation that does not tell its service cannot be left out for it.
        let state = rows::is_incomplete(&renewal.notices)
            || request.states.is_empty()
            || request.states.contains(&renewal.state);
        state
            && (request.service.is_empty()
                || renewal.service.is_empty()
                || of_service(&request.service))
    };
    let (listed, next_page_token) = gandi
        .listed(cx, Kind::Renew, &request.page_token, request.page_size, request.create_after)
        .await?;
    let renewals = listed.iter().map(|operation| gandi.renewal(operation));
    let renewals =
        renewals.filter(|row| row.as_ref().map_or(true, wanted)).collect::<Result<_>>()?;
    Ok(ListRenewalsResponse { renewals, next_page_token, ..ListRenewalsResponse::default() })
}

/// Refuses a renewal that nobody is to pay, and a means that the upstream cannot be told.
///
/// # Errors
///
/// PAYMENT_REQUIRED, FIELD_VIOLATION.
pub(super) fn check_payment(payment: Option<&Payment>) -> Result<()> {
    match payment.and_then(|payment| payment.choice.as_ref()) {
        Some(Choice::DefaultMethod(true)) => Ok(()),
        Some(Choice::DefaultMethod(false)) => {
            Err(Error::field("payment.default_method", "must be true when it is set"))
        }
        Some(Choice::Method(_)) => {
            Err(Error::field("payment.method", "the upstream pays from the prepaid account only"))
        }
        None => {
            let message = "the upstream charges at once, and the request names no payment";
            Err(Error::new(ErrorReason::PaymentRequired, message))
        }
    }
}

/// Whether the service is as the caller expects it, and can be renewed.
///
/// # Errors
///
/// SERVICE_NOT_FOUND, UPSTREAM_API_GONE, EXPIRE_TIME_CHANGED, STATE_CONFLICT, FIELD_VIOLATION.
pub(super) fn check_renewable<'a>(
    account: &'a Account,
    extension: &Extension,
) -> Result<&'a Owned> {
    let service = owned_whole(account, extension.service, &extension.name)?;
    if service.end.is_some() && extension.expected_end.is_none() {
        let field = "renewal.services[0].expected_expire_time";
        return Err(Error::field(field, "is missing, and the upstream tells an expiry"));
    }
    if service.end != extension.expected_end {
        let message = "the service's expiry is not the expected one";
        return Err(Error::new(ErrorReason::ExpireTimeChanged, message));
    }
    check_allowed(service.errors_for_renewing.as_deref(), "renewed")?;
    Ok(service)
}

impl Gandi {
    /// What a request asks for.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION, SERVICE_NOT_FOUND.
    pub(super) fn extension(&self, request: &CreateRenewalRequest) -> Result<Extension> {
        let renewal = request.renewal.as_ref();
        let renewal = renewal.ok_or_else(|| Error::field("renewal", "is missing"))?;
        let guard = match renewal.services.as_slice() {
            [] => None,
            [one] => Some(one),
            _ => return Err(Error::field("renewal.services", "the upstream renews one at a time")),
        };
        let name = match (renewal.service.as_str(), guard) {
            ("", Some(guard)) => &guard.service,
            (service, Some(guard)) if guard.service != service => {
                return Err(Error::field("renewal.services[0].service", "is not renewal.service"));
            }
            _ => &renewal.service,
        };
        Ok(Extension {
            service: self.service_id(name, "renewal.service")?,
            name: name.clone(),
            duration: Duration::of(renewal.term.as_ref(), "renewal.term")?,
            expected_end: guard.and_then(|guard| guard.expected_expire_time),
        })
    }

    /// How a renewal goes on when the upstream has taken it.
    pub(super) fn renewal_pending(
        &self,
        extension: &Extension,
        operation: &Operation,
    ) -> Result<Step<Renewal>> {
        let handle = encode(&Sent { operation: operation.id, looks: 0 })?;
        let view = Some(self.own_renewal(extension, operation, None)?);
        Ok(Step::Pending { handle, after: first_look(operation.eta), view })
    }

    /// A renewal of ours: the request knows what the upstream's operation does not tell. `now` is the
    /// service as it is after the renewal; without it the upstream's word alone does not complete it.
    pub(super) fn own_renewal(
        &self,
        extension: &Extension,
        operation: &Operation,
        now: Option<&Owned>,
    ) -> Result<Renewal> {
        let service = self.name.service(extension.service)?;
        let new_end = now.and_then(|owned| owned.end);
        let reference = ServiceRef {
            service: service.clone(),
            service_type: "hosting".to_owned(),
            expected_expire_time: new_end.or(extension.expected_end),
            new_expire_time: new_end,
            display_name: now.map(|owned| owned.name.clone()).unwrap_or_default(),
        };
        let renewal = self.renewal(operation)?;
        let state = match (now, renewal.state()) {
            (Some(_), _) => State::Completed,
            (None, State::Completed) => State::Processing,
            (None, state) => state,
        };
        Ok(etag::seal(Renewal {
            state: state.into(),
            service,
            services: vec![reference],
            term: Some(extension.duration.term()),
            ..renewal
        }))
    }

    /// A renewal as its operation tells of it.
    pub(super) fn renewal(&self, operation: &Operation) -> Result<Renewal> {
        let service = operation.product_id.map(|id| self.name.service(id)).transpose()?;
        let reference = service.clone().map(|service| ServiceRef {
            service,
            service_type: "hosting".to_owned(),
            ..ServiceRef::default()
        });
        let support = operation.stage() == Stage::Support;
        Ok(etag::seal(Renewal {
            name: self.name.renewal(operation.id)?,
            state: state(operation.stage()).into(),
            upstream: Some(operation.upstream()),
            service: service.unwrap_or_default(),
            services: reference.into_iter().collect(),
            term: operation.duration.as_deref().map(term_of),
            required_action: support.then(|| RequiredAction {
                kind: Need::ContactUpstream.into(),
                message: failure(operation).to_owned(),
                ..RequiredAction::default()
            }),
            create_time: operation.created,
            attributes: Some(operation.as_attribute()),
            notices: operation.gaps.notices(),
            ..Renewal::default()
        }))
    }

    fn service_ref(&self, owned: &Owned) -> Result<ServiceRef> {
        Ok(ServiceRef {
            service: self.name.service(owned.id)?,
            service_type: "hosting".to_owned(),
            expected_expire_time: owned.end,
            display_name: owned.name.clone(),
            ..ServiceRef::default()
        })
    }
}

fn state(stage: Stage) -> State {
    match stage {
        Stage::Open => State::Processing,
        Stage::Done => State::Completed,
        Stage::Error => State::Failed,
        Stage::Support => State::ActionRequired,
        Stage::Cancelled => State::Cancelled,
        Stage::Unknown => State::Unspecified,
    }
}
