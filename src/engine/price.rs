//! The most that a write may charge: what the caller allows against the last price known before the
//! spend. Nothing passes that is not known to pass.

use std::cmp::Ordering;
use std::sync::Arc;

use prost::Message;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{
    CreateOrderRequest, CreateRenewalRequest, ErrorReason, Money, PayOrderRequest, Price,
    UpdateServiceRequest,
};
use purveyor_sdk::{Error, Result};

use super::Engine;
use super::step::write;
use crate::plugin::Provider;
use crate::store::operation::Operation;

impl Engine {
    /// Compares the plugin's quote with the request's `max_price`, if it has one.
    pub(super) async fn check_price(
        &self,
        provider: &Arc<Provider>,
        operation: &Operation,
    ) -> Result<()> {
        let Some(limit) = limit(operation)? else { return Ok(()) };
        if !provider.method(operation.op).is_some_and(|method| method.price_known) {
            let message = "the provider does not tell the price before it charges";
            return Err(Error::new(ErrorReason::PriceUnknown, message));
        }
        let quote = self.quote(provider, write(operation)).await?;
        within(quote.price.as_ref(), &limit)
    }
}

/// Whether a price is known to be within the limit.
///
/// # Errors
///
/// PRICE_UNKNOWN, CURRENCY_MISMATCH, PRICE_LIMIT.
pub fn within(price: Option<&Price>, limit: &Money) -> Result<()> {
    let unknown = |message: &str| Error::new(ErrorReason::PriceUnknown, message);
    let price = price.ok_or_else(|| unknown("the price is not known before the spend"))?;
    let amount = price.amount.as_ref().ok_or_else(|| unknown("the price has no amount"))?;
    if amount.currency_code.is_empty() {
        return Err(unknown("the upstream does not say in which currency it charges"));
    }
    if amount.currency_code != limit.currency_code {
        let message = format!(
            "the price is in {} and max_price in {}",
            amount.currency_code, limit.currency_code
        );
        return Err(Error::new(ErrorReason::CurrencyMismatch, message));
    }
    let order = amount.compare(limit).map_err(|error| unknown(&error.to_string()))?;
    if order == Ordering::Greater {
        let message = format!("it costs {amount}, which is above {limit}");
        return Err(Error::new(ErrorReason::PriceLimit, message));
    }
    if price.tax() != Tax::Included {
        return Err(unknown("the price is not known with tax"));
    }
    Ok(())
}

/// The most that the operation may charge, if its request says so.
///
/// # Errors
///
/// INTERNAL when the stored request cannot be decoded.
pub fn limit(operation: &Operation) -> Result<Option<Money>> {
    let request = operation.request.as_slice();
    let decoded = match operation.op {
        Op::CreateOrder => CreateOrderRequest::decode(request).map(|it| it.max_price),
        Op::CreateRenewal => CreateRenewalRequest::decode(request).map(|it| it.max_price),
        Op::PayOrder => PayOrderRequest::decode(request).map(|it| it.max_price),
        Op::UpdateService => UpdateServiceRequest::decode(request).map(|it| it.max_price),
        _ => Ok(None),
    };
    decoded.map_err(|error| {
        Error::new(ErrorReason::Internal, "a stored request cannot be decoded").with_source(error)
    })
}
