//! What things cost: catalogue prices times quantities. Where the catalogue has no price, there is
//! none: nothing is guessed.

use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::v1::{Notice, Price};
use purveyor_sdk::{Cx, Result};

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
    ) -> Option<ToldPrice> {
        let unit = catalog.price(self.config.description(product), duration);
        unit.map(|unit| unit.times(quantity))
    }

    /// What so many of a service cost, for a whole term, beyond those that it has: how the upstream
    /// charges a term that has begun is not documented. A smaller quantity has no price that is known.
    pub(super) async fn change_price(
        &self,
        cx: &Cx,
        service: &Owned,
        quantity: i32,
    ) -> Result<Option<ToldPrice>> {
        let catalog = self.catalog(cx, Action::Update, &self.config.currency).await?;
        let period = service.duration.as_deref().map(|word| term_of(word).period);
        let duration =
            Duration::ALL.into_iter().find(|duration| Some(duration.term().period) == period);
        let added = service.quantity.map(|now| i64::from(quantity) - now);
        match (duration, added) {
            (Some(duration), Some(added @ 1..)) => {
                Ok(self.amount(&catalog, &service.name, duration, added))
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
    ) -> Result<Option<ToldPrice>> {
        let Some(quantity) = service.quantity else { return Ok(None) };
        let catalog = self.catalog(cx, Action::Renew, &self.config.currency).await?;
        Ok(self.amount(&catalog, &service.name, duration, quantity))
    }

    /// A price of the catalogue as it is shown.
    pub(super) fn price(&self, told: &ToldPrice) -> Price {
        told.price(self.config.tax())
    }

    /// The prepaid account; none where the upstream tells none.
    pub(super) async fn balance(&self, cx: &Cx) -> Result<Option<ToldPrice>> {
        self.client.balance(cx).await
    }
}

/// The sum; none where one of them is not known.
pub(super) fn sum(prices: &[Option<ToldPrice>]) -> Option<ToldPrice> {
    let known: Option<Vec<&ToldPrice>> = prices.iter().map(Option::as_ref).collect();
    ToldPrice::sum(known?)
}

/// What a reader should know of prices that are no amounts, each once.
pub(super) fn notices<'a>(prices: impl IntoIterator<Item = &'a ToldPrice>) -> Vec<Notice> {
    let mut notices: Vec<Notice> = prices.into_iter().filter_map(ToldPrice::notice).collect();
    notices.dedup();
    notices
}
