//! Changing the quantity of a service, and ending it: one upstream operation and one spend each. Both
//! are checked against the upstream's own lists right before they are sent.

use purveyor_sdk::v1::{Service, TerminateServiceRequest, UpdateServiceRequest};
use purveyor_sdk::{Cx, Error, Result, Step};

use super::progress::first_look;
use super::services::{check_allowed, owned_whole, product};
use super::{Gandi, upstream_id};
use crate::checkpoint::{Sent, encode};
use crate::client::Spent;
use crate::model::{Account, Operation};

/// The one path that an update mask may name.
const QUANTITY: &str = "quantity";

/// A service and the quantity that it shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) service: i64,
    pub(super) name: String,
    pub(super) quantity: i32,
}

pub(super) async fn update(
    gandi: &Gandi,
    cx: &Cx,
    request: &UpdateServiceRequest,
) -> Result<Step<Service>> {
    let change = change(request, cx.upstream_id())?;
    let account = gandi.client.account(cx).await?;
    let service = owned_whole(&account, change.service, &change.name)?;
    check_allowed(service.errors_for_updating.as_deref(), "changed")?;
    let price = match &request.max_price {
        Some(_) => gandi.change_price(cx, service, change.quantity).await?,
        None => None,
    };
    let price = price.map(|told| gandi.price(&told));
    let spent = gandi.client.update(cx, change.service, change.quantity, price).await?;
    gandi.changing(cx, &account, change.service, spent)
}

pub(super) async fn terminate(
    gandi: &Gandi,
    cx: &Cx,
    request: &TerminateServiceRequest,
) -> Result<Step<Service>> {
    let id = terminated(request, cx.upstream_id())?;
    let account = gandi.client.account(cx).await?;
    let service = owned_whole(&account, id, &request.name)?;
    check_allowed(service.errors_for_removing.as_deref(), "terminated")?;
    let spent = gandi.client.delete(cx, id).await?;
    gandi.changing(cx, &account, id, spent)
}

/// What an update asks for.
///
/// # Errors
///
/// FIELD_VIOLATION; SERVICE_NOT_FOUND for an identifier that the upstream cannot have.
pub(super) fn change(request: &UpdateServiceRequest, upstream: &str) -> Result<Change> {
    let service = request.service.as_ref();
    let service = service.ok_or_else(|| Error::field("service", "is missing"))?;
    let paths = request.update_mask.as_ref().map_or(&[][..], |mask| &mask.paths);
    if let Some(path) = paths.iter().find(|path| *path != QUANTITY) {
        return Err(Error::field("update_mask", format!("{path} cannot be changed")));
    }
    if service.quantity < 1 {
        return Err(Error::field("service.quantity", "must be at least 1"));
    }
    let id = upstream_id(upstream).ok_or_else(|| Error::service_not_found(&service.name))?;
    Ok(Change { service: id, name: service.name.clone(), quantity: service.quantity })
}

/// The service that is to be terminated.
///
/// # Errors
///
/// SERVICE_NOT_FOUND for an identifier that the upstream cannot have.
pub(super) fn terminated(request: &TerminateServiceRequest, upstream: &str) -> Result<i64> {
    upstream_id(upstream).ok_or_else(|| Error::service_not_found(&request.name))
}

impl Gandi {
    fn changing(
        &self,
        cx: &Cx,
        account: &Account,
        id: i64,
        spent: Spent<Operation>,
    ) -> Result<Step<Service>> {
        match spent {
            Spent::Accepted(operation) => self.change_pending(cx, account, id, &operation),
            Spent::Refused { proof, error } => Ok(Step::rejected(proof, error)),
            Spent::Unknown(message) => Ok(Step::Unknown(message)),
        }
    }

    /// How a change goes on when the upstream has taken it.
    pub(super) fn change_pending(
        &self,
        cx: &Cx,
        account: &Account,
        id: i64,
        operation: &Operation,
    ) -> Result<Step<Service>> {
        let view = match product(account, id)? {
            Some(owned) => self.service(owned, &cx.now(), Some(operation))?,
            None => self.gone_service(id, operation)?,
        };
        let handle = encode(&Sent { operation: operation.id, looks: 0 })?;
        Ok(Step::Pending { handle, after: first_look(operation.eta), view: Some(view) })
    }
}

#[cfg(test)]
mod tests {
    use super::{UpdateServiceRequest, change};
    use purveyor_sdk::prost_types::FieldMask;
    use purveyor_sdk::v1::{ErrorReason, Service};

    #[test]
    fn only_a_quantity_can_be_changed() {
        fn check(quantity: i32, paths: &[&str], id: &str, expected: Result<i32, ErrorReason>) {
            let paths = paths.iter().map(|path| (*path).to_owned()).collect();
            let request = UpdateServiceRequest {
                service: Some(Service { quantity, ..Service::default() }),
                update_mask: Some(FieldMask { paths }),
                ..UpdateServiceRequest::default()
            };
            let found = change(&request, id).map(|change| change.quantity);
            assert_eq!(found.map_err(|error| error.reason), expected);
        }
        check(3, &[], "7", Ok(3));
        check(3, &["quantity"], "7", Ok(3));
        check(3, &["display_name"], "7", Err(ErrorReason::FieldViolation));
        check(0, &["quantity"], "7", Err(ErrorReason::FieldViolation));
        check(3, &["quantity"], "seven", Err(ErrorReason::ServiceNotFound));
        let nothing = change(&UpdateServiceRequest::default(), "7");
        assert_eq!(nothing.unwrap_err().reason, ErrorReason::FieldViolation);
    }
}
