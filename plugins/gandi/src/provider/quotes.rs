//! What a write would do and cost, told by the catalogue and the account. It refuses what the write
//! would be refused for, as far as reading can tell.

use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::quote::Step;
use purveyor_sdk::v1::{
    CancelOrderRequest, CreateOrderRequest, CreateRenewalRequest, Effect, Notice, Quote,
    TerminateServiceRequest, UpdateServiceRequest,
};
use purveyor_sdk::{Cx, Error, Result, Write, WriteRequest};

use super::Gandi;
use super::changes::{change, terminated};
use super::declare::{DEPRECATED, notice, spending_notices};
use super::prices::{self, sum};
use super::renewals::{check_payment, check_renewable};
use super::services::{check_allowed, owned_whole};
use crate::model::Action;

pub(super) async fn plan(gandi: &Gandi, cx: &Cx, write: Write) -> Result<Quote> {
    let upstream = write.upstream_id();
    match &write.request {
        WriteRequest::CreateOrder(request) => gandi.quote_order(cx, request).await,
        WriteRequest::CancelOrder(request) => {
            gandi.quote_cancel(cx, request, &write.upstream_ids).await
        }
        WriteRequest::UpdateService(request) => gandi.quote_update(cx, request, upstream).await,
        WriteRequest::TerminateService(request) => {
            gandi.quote_terminate(cx, request, upstream).await
        }
        WriteRequest::CreateRenewal(request) => gandi.quote_renewal(cx, request).await,
        _ => Err(Error::unsupported("a quote of this write")),
    }
}

impl Gandi {
    async fn quote_order(&self, cx: &Cx, request: &CreateOrderRequest) -> Result<Quote> {
        let lines = self.lines(request)?;
        // An account whose products are gone sells none either.
        self.client.account(cx).await?.products()?;
        let mut now = Vec::new();
        let mut later = Vec::new();
        let currency = &self.config.currency;
        let (new, further) = (
            self.catalog(cx, Action::Add, currency).await?,
            self.catalog(cx, Action::Renew, currency).await?,
        );
        for line in &lines {
            let quantity = line.quantity.into();
            now.push(self.amount(&new, line.product, line.duration, quantity));
            later.push(self.amount(&further, line.product, line.duration, quantity));
        }
        // A sum of months and years would be the price of no term.
        let one_term = lines.iter().all(|line| line.duration == lines[0].duration);
        let later = if one_term { sum(&later) } else { None };
        let steps = steps("product.create", lines.len());
        self.quote(cx, (sum(&now), later), steps, spending_notices()).await
    }

    async fn quote_cancel(
        &self,
        cx: &Cx,
        request: &CancelOrderRequest,
        upstream: &[String],
    ) -> Result<Quote> {
        let count = self.cancellable(cx, request, upstream).await?;
        let steps = steps("operation.cancel", count);
        Ok(Quote { steps, upstream_asked: true, ..Quote::default() })
    }

    async fn quote_update(
        &self,
        cx: &Cx,
        request: &UpdateServiceRequest,
        upstream: &str,
    ) -> Result<Quote> {
        let change = change(request, upstream)?;
        let account = self.client.account(cx).await?;
        let service = owned_whole(&account, change.service, &change.name)?;
        check_allowed(service.errors_for_updating.as_deref(), "changed")?;
        let amount = self.change_price(cx, service, change.quantity).await?;
        let steps = steps("product.update", 1);
        self.quote(cx, (amount, None), steps, spending_notices()).await
    }

    async fn quote_terminate(
        &self,
        cx: &Cx,
        request: &TerminateServiceRequest,
        upstream: &str,
    ) -> Result<Quote> {
        let id = terminated(request, upstream)?;
        let account = self.client.account(cx).await?;
        let service = owned_whole(&account, id, &request.name)?;
        check_allowed(service.errors_for_removing.as_deref(), "terminated")?;
        let steps = steps("product.delete", 1);
        self.quote(cx, (None, None), steps, vec![notice(DEPRECATED)]).await
    }

    async fn quote_renewal(&self, cx: &Cx, request: &CreateRenewalRequest) -> Result<Quote> {
        let extension = self.extension(request)?;
        check_payment(request.payment.as_ref())?;
        let account = self.client.account(cx).await?;
        let service = check_renewable(&account, &extension)?;
        let amount = self.renewal_price(cx, service, extension.duration).await?;
        let steps = steps("product.renew", 1);
        self.quote(cx, (amount.clone(), amount), steps, spending_notices()).await
    }

    async fn quote(
        &self,
        cx: &Cx,
        (now, later): (Option<ToldPrice>, Option<ToldPrice>),
        steps: Vec<Step>,
        mut notices: Vec<Notice>,
    ) -> Result<Quote> {
        let balance = self.balance(cx).await?;
        notices.extend(prices::notices([&now, &later, &balance].into_iter().flatten()));
        Ok(Quote {
            price: now.map(|told| self.price(&told)),
            recurring_price: later.map(|told| self.price(&told)),
            steps,
            upstream_asked: true,
            balance: balance.map(|told| told.price(Tax::Unspecified)),
            notices,
            ..Quote::default()
        })
    }
}

fn steps(call: &str, count: usize) -> Vec<Step> {
    vec![Step { call: call.to_owned(), effect: Effect::Spend.into() }; count]
}
