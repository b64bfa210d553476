//! What a write would do and cost. It refuses what the write would be refused for, as far as reading
//! and a dry run can tell.

use purveyor_sdk::v1::quote::Step;
use purveyor_sdk::v1::{
    CreateRenewalRequest, Effect, PayOrderRequest, Quote, UpdateServiceRequest,
};
use purveyor_sdk::{Cx, Error, Result, Write, WriteRequest};

use super::Ovh;
use super::changes::{Wanted, check_act, target, wanted};
use super::declare::{AUTO_RENEWS, notice};
use super::order_view::{cost, price_notices};
use super::orders::number;
use super::payments::{check_unpaid, choice, payment_required};
use crate::config::PaymentApi;
use crate::error;

pub(super) async fn plan(ovh: &Ovh, cx: &Cx, write: Write) -> Result<Quote> {
    let upstream = write.upstream_id();
    match &write.request {
        WriteRequest::CreateRenewal(request) => ovh.quote_renewal(cx, request).await,
        WriteRequest::PayOrder(request) => ovh.quote_payment(cx, request, upstream).await,
        WriteRequest::UpdateService(request) => ovh.quote_update(cx, request, upstream).await,
        request => match wanted(request)? {
            Some((name, Wanted::Act(act))) => {
                let service = ovh.client.service(cx, target(upstream, name)?).await?;
                check_act(act, &service)?;
                Ok(asked(vec![step(act.call(), Effect::Setting)]))
            }
            _ => Err(Error::unsupported("a quote of this write")),
        },
    }
}

impl Ovh {
    async fn quote_renewal(&self, cx: &Cx, request: &CreateRenewalRequest) -> Result<Quote> {
        let extension = self.extension(cx, request).await?;
        let pays = choice(request.payment.as_ref())?;
        let names = self.guard(cx, &extension).await?;
        self.check_free(cx, &names, None).await?;
        let strategy =
            self.chosen(cx, extension.service, &extension.ids(), extension.period).await?;
        let order = self.client.renew(cx, extension.service, &strategy, true).await?;
        let mut steps = vec![step("service.renew", Effect::Prepare)];
        steps.extend(pays.map(|_| step(self.pay_call(), Effect::Spend)));
        let mut told = self.priced(&order)?;
        if let Some(id) = order.id {
            told.upstream = Some(purveyor_sdk::v1::UpstreamRef {
                ids: vec![id.to_string()],
                r#type: "order".to_owned(),
                ..Default::default()
            });
        }
        Ok(Quote {
            price: cost(&order),
            notices: [notice(AUTO_RENEWS)].into_iter().chain(price_notices(&order)).collect(),
            order: Some(told),
            ..asked(steps)
        })
    }

    async fn quote_payment(
        &self,
        cx: &Cx,
        request: &PayOrderRequest,
        upstream: &str,
    ) -> Result<Quote> {
        let id = number(upstream, &request.name)?;
        let choice = choice(request.payment.as_ref())?.ok_or_else(payment_required)?;
        let seen = self.seen(cx, id).await;
        let seen = error::missing(seen, || Error::order_not_found(&request.name))?;
        check_unpaid(&seen)?;
        self.means(cx, &seen, &choice, "payment.method").await?;
        Ok(Quote {
            price: cost(&seen.order),
            notices: price_notices(&seen.order),
            ..asked(vec![step(self.pay_call(), Effect::Spend)])
        })
    }

    async fn quote_update(
        &self,
        cx: &Cx,
        request: &UpdateServiceRequest,
        upstream: &str,
    ) -> Result<Quote> {
        let write = WriteRequest::UpdateService(request.clone());
        let Some((name, _)) = wanted(&write)? else {
            return Err(Error::unsupported("a quote of this write"));
        };
        let service = self.client.service(cx, target(upstream, name)?).await?;
        self.changeable(cx, &service).await?;
        let call = if service.route().len() == 2 { "infos.put.short" } else { "infos.put.long" };
        Ok(asked(vec![step(call, Effect::Setting)]))
    }

    fn pay_call(&self) -> &'static str {
        match self.config.payment_api {
            PaymentApi::RegisteredMean => "order.pay.mean",
            PaymentApi::Method => "order.pay.method",
        }
    }
}

fn asked(steps: Vec<Step>) -> Quote {
    Quote { steps, upstream_asked: true, ..Quote::default() }
}

fn step(call: &str, effect: Effect) -> Step {
    Step { call: call.to_owned(), effect: effect.into() }
}
