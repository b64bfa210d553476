//! What the methods of Orders mean: which orders a name stands for, what a request must hold before
//! it is stored, and how an order is shown.
//!
//! Nothing is sent from here that costs anything: a write ends in the journal.

mod catalogue;
mod check;
mod list;

use std::sync::Arc;

use prost::Message;
use purveyor_sdk::names::{OrderName, ProviderName};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::{
    CancelOrderRequest, CancelPolicy, CreateOrderRequest, ErrorReason, GetOrderRequest,
    GetOrderSecretsRequest, ListOrdersRequest, ListOrdersResponse, ListPaymentMethodsRequest,
    ListPaymentMethodsResponse, Order, OrderSecrets, PayOrderRequest,
};
use purveyor_sdk::{Error, Result};

use self::catalogue::Catalogue;
use super::Engine;
use super::call::{Call, Written};
use super::fields::Mistakes;
use super::listing::{Asked, ListRequest, Listed, PageOf};
use super::made_here::Made;
use super::naming::{Found, ORDERS_MADE_BY, Source, parse, require};
use super::page_token::PageTokens;
use super::reading::read;
use super::renewals::held_services;
use super::writing::{Draft, Target, check_etag};
use crate::plugin::Provider;

/// Buying, following, cancelling and paying orders.
#[derive(Clone)]
pub struct Orders {
    engine: Engine,
    tokens: PageTokens,
    catalogue: Arc<Catalogue>,
}

impl Orders {
    /// The orders of this engine's providers.
    pub fn new(engine: Engine) -> Orders {
        let tokens = PageTokens::new(engine.store().identity());
        Orders { engine, tokens, catalogue: Arc::default() }
    }

    /// Checks and stores an order. May be repeated with the same request id.
    ///
    /// # Errors
    ///
    /// As Orders.CreateOrder before acceptance.
    pub async fn create(&self, call: &Call, mut request: CreateOrderRequest) -> Result<Written> {
        let draft = self.engine.draft(call, &request).await?;
        let parent: ProviderName = parse(&request.parent, "parent")?;
        let provider = self.engine.configured(&parent)?;
        let mut mistakes = Mistakes::default();
        let order = check::order(request.order.take(), &parent, &mut mistakes);
        mistakes.money("max_price", request.max_price.as_ref());
        if draft.known.is_none() {
            let method = require(&provider, Op::CreateOrder)?;
            check::method(&order, method, &mut mistakes);
            mistakes.finish()?;
            let limit = request.max_price.as_ref();
            self.catalogue.check(call, &provider, method, &order, limit).await?;
        } else {
            mistakes.finish()?;
        }
        request.order = Some(order);
        let name = match draft.request_id {
            Some(request_id) => Order::name_of(&parent, &request_id.to_string())?,
            None => String::new(),
        };
        let exclusive = vec![name.clone()];
        let target = Target { name, upstream_ids: Vec::new(), exclusive };
        self.engine.write(draft, provider, &request, target).await
    }

    /// Shows one order, made here or elsewhere.
    ///
    /// # Errors
    ///
    /// As Orders.GetOrder.
    pub async fn get(&self, call: &Call, request: GetOrderRequest) -> Result<Order> {
        let name: OrderName = parse(&request.name, "name")?;
        self.engine.get_made(call, name.provider(), name.id()).await
    }

    /// Lists the orders of one provider, or of all.
    ///
    /// # Errors
    ///
    /// As Orders.ListOrders.
    pub async fn list(
        &self,
        call: &Call,
        request: ListOrdersRequest,
    ) -> Result<Listed<ListOrdersResponse>> {
        let mut mistakes = Mistakes::default();
        mistakes.moment("create_after", request.create_after.as_ref());
        mistakes.finish()?;
        let asked = Asked {
            method: "Orders.ListOrders",
            op: Op::ListOrders,
            made_by: ORDERS_MADE_BY,
            parent: &request.parent,
            fingerprint: request.fingerprint(),
            page_size: request.page_size,
            page_token: &request.page_token,
        };
        let rows = self.engine.list_made::<Order>(&self.tokens, call, asked, &request).await?;
        let response = ListOrdersResponse {
            orders: rows.rows,
            next_page_token: rows.next_page_token,
            unreachable: Vec::new(),
        };
        Ok(Listed { response, missed: rows.missed })
    }

    /// Checks and stores the cancellation of an order or of one item. May be repeated.
    ///
    /// # Errors
    ///
    /// As Orders.CancelOrder before acceptance.
    pub async fn cancel(&self, call: &Call, mut request: CancelOrderRequest) -> Result<Written> {
        let draft = self.engine.draft(call, &request).await?;
        let name: OrderName = parse(&request.name, "name")?;
        let provider = self.engine.configured(name.provider())?;
        let mut mistakes = Mistakes::default();
        mistakes.text("item_id", &request.item_id);
        match &draft.known {
            // Which policy was the only one at acceptance, the journal knows.
            Some(known) if request.policy() == CancelPolicy::Unspecified => {
                let stored = CancelOrderRequest::decode(known.request.as_slice()).ok();
                request.policy = stored.map_or(request.policy, |stored| stored.policy);
            }
            Some(_) => {}
            None => {
                let policies = &require(&provider, Op::CancelOrder)?.cancel_policies;
                request.policy = check::policy(request.policy, policies, &mut mistakes);
            }
        }
        mistakes.finish()?;
        let target = self.target(&draft, call, &provider, &name, &request.etag).await?;
        request.name.clone_from(&target.name);
        self.engine.write(draft, provider, &request, target).await
    }

    /// Lists the means with which an order can be paid.
    ///
    /// # Errors
    ///
    /// As Orders.ListPaymentMethods.
    pub async fn list_payment_methods(
        &self,
        call: &Call,
        request: ListPaymentMethodsRequest,
    ) -> Result<ListPaymentMethodsResponse> {
        const METHOD: &str = "Orders.ListPaymentMethods";
        let name: OrderName = parse(&request.parent, "parent")?;
        let size = purveyor_sdk::page::size(request.page_size)?;
        let provider = self.engine.able(name.provider(), Op::ListPaymentMethods)?;
        let fingerprint = request.fingerprint();
        let cursor = self.tokens.upstream_cursor(METHOD, &fingerprint, &request.page_token)?;
        let found = self.engine.find_made::<Order>(&provider, name.provider(), name.id()).await?;
        self.placed(&found).await?;
        let asked = request.for_page(found.name, size, cursor);
        let (op, deadline) = (Op::ListPaymentMethods, call.deadline);
        let mut response: ListPaymentMethodsResponse =
            read(&provider, op, &asked, &found.upstream_ids, deadline).await?;
        self.tokens.seal_upstream(METHOD, &fingerprint, &mut response.next_page_token);
        Ok(response)
    }

    /// Checks and stores the payment of an order. May be repeated.
    ///
    /// # Errors
    ///
    /// As Orders.PayOrder before acceptance.
    pub async fn pay(&self, call: &Call, mut request: PayOrderRequest) -> Result<Written> {
        let draft = self.engine.draft(call, &request).await?;
        let name: OrderName = parse(&request.name, "name")?;
        let provider = self.engine.configured(name.provider())?;
        if draft.known.is_none() {
            require(&provider, Op::PayOrder)?;
        }
        let mut mistakes = Mistakes::default();
        mistakes.payment("payment", request.payment.as_ref());
        mistakes.money("max_price", request.max_price.as_ref());
        mistakes.overrides("override_operations", &request.override_operations);
        mistakes.finish()?;
        if request.payment.is_none() {
            let message = "the request does not say how to pay";
            return Err(
                Error::new(ErrorReason::PaymentRequired, message).with_metadata("resource", &name)
            );
        }
        let target = self.target(&draft, call, &provider, &name, &request.etag).await?;
        request.name.clone_from(&target.name);
        self.engine.write(draft, provider, &request, target).await
    }

    /// Shows what only the buyer may see. Read live, stored nowhere, and on the audit's record.
    ///
    /// # Errors
    ///
    /// As Orders.GetOrderSecrets.
    pub async fn secrets(
        &self,
        call: &Call,
        request: GetOrderSecretsRequest,
    ) -> Result<OrderSecrets> {
        let name: OrderName = parse(&request.name, "name")?;
        let provider = self.engine.able(name.provider(), Op::GetOrderSecrets)?;
        let found = self.engine.find_made::<Order>(&provider, name.provider(), name.id()).await?;
        self.placed(&found).await?;
        tracing::info!(
            target: "purveyor::audit",
            owner = call.caller.owner, actor = call.caller.actor, order = found.name,
            "the secrets of an order are shown"
        );
        let asked = GetOrderSecretsRequest { name: found.name };
        let (op, deadline) = (Op::GetOrderSecrets, call.deadline);
        read(&provider, op, &asked, &found.upstream_ids, deadline).await
    }

    /// The order that a write is about; for a request id that is known, as it was then.
    async fn target(
        &self,
        draft: &Draft<'_>,
        call: &Call,
        provider: &Arc<Provider>,
        name: &OrderName,
        etag: &str,
    ) -> Result<Target> {
        if let Some(known) = draft.known.as_ref().filter(|known| known.target == name.to_string()) {
            return Ok(Target { name: known.target.clone(), ..Target::default() });
        }
        let found = self.engine.find_made::<Order>(provider, name.provider(), name.id()).await?;
        let mut exclusive = vec![found.name.clone()];
        if let Some(maker) = &found.operation {
            // What pays the order of a renewal renews its services.
            exclusive.extend(held_services(maker, &found.upstream_ids));
        }
        let upstream_ids = found.upstream_ids.clone();
        let target = Target { name: found.name.clone(), upstream_ids, exclusive };
        if draft.known.is_none() {
            self.placed(&found).await?;
            if !etag.is_empty() {
                let page =
                    PageOf::one(Arc::clone(provider), name.provider(), Source::Upstream, call);
                let present: Order = self.engine.show_found(&page, found).await?;
                check_etag(&target.name, etag, &present.etag)?;
            }
        }
        Ok(target)
    }

    /// Refuses what can be done only to an order that the upstream has.
    async fn placed(&self, found: &Found) -> Result<()> {
        let unplaced = found.operation.as_ref().filter(|_| found.upstream_ids.is_empty());
        let Some(maker) = unplaced else { return Ok(()) };
        let error = if maker.done() {
            let name = format!("operations/{}", maker.request_id);
            let message = format!("{} was never placed upstream; see {name}", found.name);
            Error::new(ErrorReason::StateConflict, message).with_metadata("operation", name)
        } else {
            let what = format!("{} is not known to the upstream yet", found.name);
            self.engine.as_blocker(maker).await?.in_progress(what)
        };
        Err(error.with_metadata("resource", &found.name))
    }
}
