//! What things cost: catalogue prices times quantities. Where the catalogue has no price, there is
//! none: nothing is guessed.

use purveyor_sdk::v1::{Money, Price};
use purveyor_sdk::{Cx, Error, Result};

use super::Gandi;
use crate::model::{Action, Catalog, Duration, Owned, PRODUCTS, term_of};

impl Gandi {
    /// The catalogue's prices of one action, for all products.
    pub(super) async fn catalog(&self, cx: &Cx, action: Action, currency: &str) -> Result<Catalog> {
        let descriptions = PRODUCTS.map(|product| self.config.description(product));
        let grid = self.config.grid.as_str();
        self.client.catalog(cx, action, &descriptions, (currency, grid)).await
    }

    /// What so many of a product cost for one duration.
    pub(super) fn amount(
        &self,
        catalog: &Catalog,
        product: &str,
        duration: Duration,
        quantity: i64,
    ) -> Result<Option<Money>> {
        let unit = catalog.price(self.config.description(product), duration)?;
        unit.map(|unit| unit.checked_mul(quantity).map_err(out_of_range)).transpose()
    }

    /// What so many of a service cost, for a whole term, beyond those that it has: how the upstream
    /// charges a term that has begun is not documented. A smaller quantity has no price that is known.
    pub(super) async fn change_price(
        &self,
        cx: &Cx,
        service: &Owned,
        quantity: i32,
    ) -> Result<Option<Money>> {
        let catalog = self.catalog(cx, Action::Update, &self.config.currency).await?;
        let period = service.duration.as_deref().map(|word| term_of(word).period);
        let duration =
            Duration::ALL.into_iter().find(|duration| Some(duration.term().period) == period);
        let added = service.quantity.map(|now| i64::from(quantity) - now);
        match (duration, added) {
            (Some(duration), Some(added @ 1..)) => {
                self.amount(&catalog, &service.name, duration, added)
            }
            _ => Ok(None),
        }
    }

    /// What another term of a service costs.
    pub(super) async fn renewal_price(
        &self,
        cx: &Cx,
        service: &Owned,
        duration: Duration,
    ) -> Result<Option<Money>> {
        let Some(quantity) = service.quantity else { return Ok(None) };
        let catalog = self.catalog(cx, Action::Renew, &self.config.currency).await?;
        self.amount(&catalog, &service.name, duration, quantity)
    }

    /// An amount as a price of the catalogue.
    pub(super) fn price(&self, amount: Money) -> Price {
        Price::of(amount, self.config.tax())
    }

    /// The prepaid account as a price; none where the upstream tells none.
    pub(super) async fn balance(&self, cx: &Cx) -> Result<Option<Price>> {
        let Some(balance) = self.client.balance(cx).await? else { return Ok(None) };
        let amount = Money::parse(balance.currency, &balance.amount).map_err(|error| {
            Error::unavailable("the upstream's balance cannot be understood").with_source(error)
        })?;
        Ok(Some(Price { amount: Some(amount), ..Price::default() }))
    }
}

/// The sum; none where one of them is not known.
pub(super) fn sum(amounts: impl IntoIterator<Item = Option<Money>>) -> Result<Option<Money>> {
    let mut total: Option<Money> = None;
    for amount in amounts {
        let Some(amount) = amount else { return Ok(None) };
        total = Some(match total {
            None => amount,
            Some(total) => total.checked_add(&amount).map_err(out_of_range)?,
        });
    }
    Ok(total)
}

fn out_of_range(error: purveyor_sdk::money::MoneyError) -> Error {
    Error::unavailable("the price is out of range").with_source(error)
}
