//! The most that a write may charge: what the caller allows against the last price known before the
//! spend. Nothing passes that is not known to pass.

use std::cmp::Ordering;
use std::sync::Arc;

use prost::Message;
use purveyor_sdk::money::{PRICE_DIGITS, PRICE_NOT_UNDERSTOOD, PRICE_PATH};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{
    CreateOrderRequest, CreateRenewalRequest, ErrorReason, Money, Notice, PayOrderRequest, Price,
    Quote, UpdateServiceRequest,
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
        quoted_within(&quote, &limit)
    }
}

/// Whether a quote is known to be within the limit. Where its price is no amount, the error tells its
/// place as far as the quote does.
///
/// # Errors
///
/// As [`within`].
pub fn quoted_within(quote: &Quote, limit: &Money) -> Result<()> {
    let wrong = |notice: &&Notice| notice.reason == PRICE_NOT_UNDERSTOOD;
    within(quote.price.as_ref(), limit).map_err(|error| match quote.notices.iter().find(wrong) {
        Some(notice) if error.metadata.contains_key(PRICE_DIGITS) => {
            error.with_metadata(PRICE_PATH, &notice.source)
        }
        _ => error,
    })
}

/// Whether a price is known to be within the limit. One that is rounded is compared by its ceiling.
///
/// # Errors
///
/// PRICE_UNKNOWN, CURRENCY_MISMATCH, PRICE_LIMIT.
pub fn within(price: Option<&Price>, limit: &Money) -> Result<()> {
    let unknown = |message: &str| Error::new(ErrorReason::PriceUnknown, message);
    let price = price.ok_or_else(|| unknown("the price is not known before the spend"))?;
    let amount = price.ceiling.as_deref().or(price.amount.as_ref());
    let amount = amount.ok_or_else(|| match price.display_text.as_str() {
        "" => unknown("the price has no amount"),
        digits => unknown(&format!("the price is no amount that can be compared: {digits:?}"))
            .with_metadata(PRICE_DIGITS, digits),
    })?;
    if amount.units < 0 || amount.nanos < 0 {
        return Err(unknown("the price is negative, which no purchase is")
            .with_metadata(PRICE_DIGITS, amount.to_decimal().unwrap_or_default()));
    }
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

#[cfg(test)]
mod tests {
    use purveyor_sdk::money::ToldPrice;
    use purveyor_sdk::v1::price::Tax;
    use purveyor_sdk::v1::{ErrorReason, Money, Quote};

    use super::quoted_within;

    #[test]
    fn a_price_beyond_nine_decimals_is_compared_by_its_ceiling() {
        fn check(digits: &str, limit: &str, expected: Result<(), ErrorReason>) {
            let told = ToldPrice::new("rows[0].price", digits, "EUR");
            let notices = Vec::from_iter(told.notice());
            let quote =
                Quote { price: Some(told.price(Tax::Included)), notices, ..Quote::default() };
            let found = quoted_within(&quote, &Money::parse("EUR", limit).unwrap());
            let place = found.as_ref().err().and_then(|error| error.metadata.get("path").cloned());
            assert_eq!(place.is_some(), expected == Err(ErrorReason::PriceUnknown), "{digits}");
            assert_eq!(found.map_err(|error| error.reason), expected, "{digits} {limit}");
        }
        check("10", "10", Ok(()));
        check("1e1", "10", Ok(()));
        check("10.0000000000", "10", Ok(()));
        // Shown as 10, and more than that.
        check("10.0000000001", "10", Err(ErrorReason::PriceLimit));
        check("10.0000000001", "10.000000001", Ok(()));
        check("9.9999999999", "10", Ok(()));
        check("9.9999999999", "9.999999999", Err(ErrorReason::PriceLimit));
        let credit = ToldPrice::new("rows[0].price", "-1", "EUR").price(Tax::Included);
        let credit = Quote { price: Some(credit), ..Quote::default() };
        let refused = quoted_within(&credit, &Money::parse("EUR", "10").unwrap()).unwrap_err();
        assert_eq!(refused.reason, ErrorReason::PriceUnknown);
        for none in ["n/a", "1e400", "NaN", "1,234.50"] {
            check(none, "1000000", Err(ErrorReason::PriceUnknown));
        }
    }
}
