//! Orders: one item is one billing record, written by one spend. The upstream answers at once and can
//! not be asked again, so that the order is what was sent and what was answered.

use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{CreateOrderRequest, Order, OrderItem, Price, UpstreamRef};
use purveyor_sdk::{Cx, Result, Step};

use super::RackNap;
use super::order_lines::Line;
use crate::client::{Written, new_service, plan_name};

pub(super) async fn create(
    racknap: &RackNap,
    cx: &Cx,
    request: &CreateOrderRequest,
) -> Result<Step<Order>> {
    let line = racknap.line(request)?;
    // What the caller tells is what the upstream charges.
    let price = Some(racknap.first_price(&line));
    Ok(match racknap.client.write(cx, "service/create", &line.fields, price).await? {
        Written::Done(upstream) => match new_service(&upstream.message) {
            Some(id) => Step::Done(racknap.order(
                request,
                &line,
                UpstreamRef { ids: vec![id], ..upstream },
            )?),
            None => Step::unknown("the upstream calls it a success and names no service"),
        },
        Written::Refused { proof, error } => Step::rejected(proof, error),
        Written::Unknown(message) => Step::Unknown(message),
    })
}

impl RackNap {
    /// What a record charges at once, as a quote and the spend tell it.
    pub(super) fn first_price(&self, line: &Line) -> Price {
        Price::of(line.first_payment.clone(), self.settings.tax)
    }

    /// A record that was written, as an order: everything that the gateway keeps of the service is in
    /// it, because nobody can be asked for it later.
    pub(super) fn order(
        &self,
        request: &CreateOrderRequest,
        line: &Line,
        upstream: UpstreamRef,
    ) -> Result<Order> {
        let asked = request.order.clone().unwrap_or_default();
        let service = self.name.service(upstream.id())?;
        let item = asked.items.into_iter().next().unwrap_or_default();
        let display_name = match item.display_name.as_str() {
            "" => plan_name(&upstream.message).to_owned(),
            given => given.to_owned(),
        };
        let item = OrderItem {
            id: upstream.id().to_owned(),
            term: Some(line.cycle.term()),
            plan_term: Some(line.plan_cycle.term()),
            display_name,
            next_due_date: Some(line.next_due),
            state: State::Completed.into(),
            upstream: Some(upstream.clone()),
            services: vec![service],
            ..item
        };
        Ok(Order {
            state: State::Completed.into(),
            upstream: Some(upstream),
            items: vec![item],
            reference: asked.reference,
            customer: asked.customer,
            partner: line.partner.to_string(),
            annotations: asked.annotations,
            ..Order::default()
        })
    }
}
