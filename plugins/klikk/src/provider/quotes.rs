//! What a write would do and cost. It refuses what the write would be refused for, as far as that can be
//! told without it.

use purveyor_sdk::v1::quote::Step;
use purveyor_sdk::v1::{CreateOrderRequest, Effect, Price, Quote};
use purveyor_sdk::{Cx, Error, Result, Write, WriteRequest};

use super::Klikk;
use super::declare::{AUTO_RENEWS, INVOICE_EXISTS, NEEDS_CREDIT, notice};

pub(super) async fn plan(klikk: &Klikk, cx: &Cx, write: Write) -> Result<Quote> {
    match &write.request {
        WriteRequest::CreateOrder(request) => klikk.quote_order(request, &write.request_id),
        WriteRequest::CancelOrder(request) => {
            klikk.cancellable(cx, request, write.upstream_id()).await?;
            let steps = vec![step("order_cancel", Effect::Setting)];
            Ok(Quote { steps, upstream_asked: true, ..Quote::default() })
        }
        _ => Err(Error::unsupported("a quote of this write")),
    }
}

impl Klikk {
    /// From the configuration alone: the upstream tells no prices.
    fn quote_order(&self, request: &CreateOrderRequest, request_id: &str) -> Result<Quote> {
        let lines = self.lines(request, request_id, self.item_tokens)?;
        let sold = lines.iter().filter_map(|line| self.catalogue.get(&line.product));
        let prices: Option<Vec<&Price>> = sold.clone().map(|sold| sold.price.as_ref()).collect();
        let price = prices.map(|prices| sum(&prices)).transpose()?.flatten();
        let recurs = sold.clone().all(|sold| sold.period.is_some());
        let mut periods: Vec<_> = sold.map(|sold| sold.period).collect();
        periods.dedup();
        // A sum over different terms would be the price of none.
        let recurring_price = price.clone().filter(|_| recurs && periods.len() == 1);
        Ok(Quote {
            price,
            recurring_price,
            steps: vec![step("order_create", Effect::Spend)],
            notices: [NEEDS_CREDIT, INVOICE_EXISTS, AUTO_RENEWS].map(notice).into(),
            ..Quote::default()
        })
    }
}

/// The sum of prices that are alike in currency and tax; none where they are not.
fn sum(prices: &[&Price]) -> Result<Option<Price>> {
    let Some((first, rest)) = prices.split_first() else { return Ok(None) };
    let mut total = (*first).clone();
    for price in rest {
        let (Some(sum), Some(amount)) = (&total.amount, &price.amount) else { return Ok(None) };
        if total.tax != price.tax || sum.currency_code != amount.currency_code {
            return Ok(None);
        }
        let sum = sum.checked_add(amount).map_err(|error| {
            Error::field("order.items", "the price is out of range").with_source(error)
        })?;
        total.amount = Some(sum);
    }
    Ok(Some(total))
}

fn step(call: &str, effect: Effect) -> Step {
    Step { call: call.to_owned(), effect: effect.into() }
}
