//! The provider: which methods there are, and what the gateway may expect of each. What a method does
//! is in the module of its noun; nothing is decided here.

use std::collections::BTreeMap;

use purveyor_sdk::names::ProviderName;
use purveyor_sdk::v1::{
    CancelOrderRequest, CheckProviderRequest, CheckProviderResponse, CreateOrderRequest,
    GetOrderRequest, GetProductRequest, GetServiceRequest, ListOrdersRequest, ListOrdersResponse,
    ListProductsRequest, ListProductsResponse, ListServicesRequest, ListServicesResponse, Order,
    Product, Quote, Service,
};
use purveyor_sdk::{
    Baseline, Call, Credential, Cx, Evidence, Find, Finding, Host, Note, PollItem, Progress, Proof,
    Result, Step, Timing, Write, provider,
};

use crate::client::{ACCOUNT_TOKEN, Client, LOGIN};
use crate::config::{Authentication, KlikkConfig, Sold};
use crate::model::{ServerStates, Statuses};

mod declare;

mod products;
mod quotes;

mod cancellations;
mod delivery;
mod lines;
mod order_view;
mod orders;

mod services;

mod check;
mod evidence;
mod progress;

/// One Klikk account.
pub struct Klikk {
    client: Client,
    catalogue: BTreeMap<String, Sold>,
    statuses: Statuses,
    item_tokens: bool,
    name: ProviderName,
}

#[provider]
impl purveyor_sdk::Provider for Klikk {
    type Config = KlikkConfig;

    const NAME: &'static str = "klikk";
    const DESCRIPTION: &'static str = "Klikk virtual servers, JSON API of my.klikk.com";
    const CALLS: &'static [Call] = declare::CALLS;
    const PROOFS: &'static [Proof] = declare::PROOFS;
    const CREDENTIALS: &'static [Credential] = declare::CREDENTIALS;
    const POLLS_AT_ONCE: i32 = declare::POLLS_AT_ONCE;
    const TIMING: Option<Timing> = Some(declare::TIMING);
    const NOTICES: &'static [Note] = &[declare::AUTO_RENEWS];

    fn open(config: KlikkConfig, host: &Host) -> Result<Self> {
        let credential = match config.authentication {
            Authentication::Token => ACCOUNT_TOKEN,
            Authentication::Basic => LOGIN,
        };
        host.require(credential)?;
        Ok(Self {
            client: Client {
                credential,
                zone: host.time_zone().clone(),
                proofs: Self::PROOFS,
                refusal_words: host.refusal_words().to_vec(),
                server_states: ServerStates::new(&config.server_states),
            },
            catalogue: config.catalogue()?,
            statuses: Statuses::new(&config.statuses),
            item_tokens: config.item_tokens,
            name: host.provider().clone(),
        })
    }

    #[method(calls("order_list"))]
    async fn check_provider(
        &self,
        cx: &Cx,
        request: CheckProviderRequest,
    ) -> Result<CheckProviderResponse> {
        check::check(self, cx, request).await
    }

    #[method]
    async fn list_products(
        &self,
        _: &Cx,
        request: ListProductsRequest,
    ) -> Result<ListProductsResponse> {
        products::list(self, &request)
    }

    #[method]
    async fn get_product(&self, _: &Cx, request: GetProductRequest) -> Result<Product> {
        products::get(self, &request)
    }

    #[method(
        calls("order_create", "order_list", "order_status", "server_list"),
        evidence = reference, confirmation = read, effect_lag = 3600,
        absence_is_proof,
        max_items = 50,
        notice(
            reason = "NEEDS_CREDIT",
            message = "without enough credit the upstream may ask for payment first",
            source = "order_create",
        ),
        notice(
            reason = "INVOICE_EXISTS",
            message = "when the upstream asks for payment, the invoice is made already",
            source = "order_create",
        ),
        notice(
            reason = "AUTO_RENEWS",
            message = "servers are renewed and charged for every period until they are cancelled",
            source = "order_cancel",
        )
    )]
    async fn create_order(&self, cx: &Cx, request: CreateOrderRequest) -> Result<Step<Order>> {
        orders::create(self, cx, &request).await
    }

    #[method(calls("order_status", "server_list"))]
    async fn get_order(&self, cx: &Cx, request: GetOrderRequest) -> Result<Order> {
        orders::get(self, cx, &request).await
    }

    #[method(calls("order_list", "order_status", "server_list"))]
    async fn list_orders(&self, cx: &Cx, request: ListOrdersRequest) -> Result<ListOrdersResponse> {
        orders::list(self, cx, &request).await
    }

    #[method(
        calls("order_cancel", "order_status", "server_list"),
        evidence = natural, confirmation = read, effect_lag = 3600,
        asks_upstream,
        cancel(at_term_end),
        notice(
            reason = "CANCELS_AT_TERM_END",
            message = "what is cancelled is not renewed, and lives on to the end of its period",
            source = "order_cancel",
        )
    )]
    async fn cancel_order(&self, cx: &Cx, request: CancelOrderRequest) -> Result<Step<Order>> {
        cancellations::cancel(self, cx, &request).await
    }

    #[method(calls("server_list"))]
    async fn list_services(
        &self,
        cx: &Cx,
        request: ListServicesRequest,
    ) -> Result<ListServicesResponse> {
        services::list(self, cx, &request).await
    }

    #[method(calls("server_list"))]
    async fn get_service(&self, cx: &Cx, request: GetServiceRequest) -> Result<Service> {
        services::get(self, cx, &request.name).await
    }

    async fn plan(&self, cx: &Cx, write: Write) -> Result<Quote> {
        quotes::plan(self, cx, write).await
    }

    async fn baseline(&self, cx: &Cx, request: Baseline) -> Result<Evidence> {
        evidence::baseline(self, cx, request).await
    }

    async fn poll(&self, cx: &Cx, items: Vec<PollItem>) -> Result<Vec<Progress>> {
        progress::poll(self, cx, items).await
    }

    async fn find(&self, cx: &Cx, request: Find) -> Result<Finding> {
        evidence::find(self, cx, request).await
    }
}
