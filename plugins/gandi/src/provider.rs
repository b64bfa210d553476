//! The provider: which methods there are, and what the gateway may expect of each. What a method does
//! is in the module of its noun; nothing is decided here.

use purveyor_sdk::names::{self, ProviderName};
use purveyor_sdk::v1::{
    CancelOrderRequest, CheckProviderRequest, CheckProviderResponse, CreateOrderRequest,
    CreateRenewalRequest, GetOrderRequest, GetProductRequest, GetRenewalRequest, GetServiceRequest,
    ListOrdersRequest, ListOrdersResponse, ListProductsRequest, ListProductsResponse,
    ListRenewalOptionsRequest, ListRenewalOptionsResponse, ListRenewalsRequest,
    ListRenewalsResponse, ListServicesRequest, ListServicesResponse, Order, Product, Quote,
    Renewal, Service, TerminateServiceRequest, UpdateServiceRequest,
};
use purveyor_sdk::{
    Baseline, Call, Credential, Cx, Evidence, Find, Finding, Host, Note, PollItem, Progress, Proof,
    Rate, Result, Step, Timing, Write, provider,
};

use crate::client::Client;
use crate::config::GandiConfig;

mod declare;

mod prices;
mod products;
mod quotes;

mod cancellations;
mod order_view;
mod orders;

mod changes;
mod renewals;
mod services;

mod check;
mod delivery;
mod evidence;
mod progress;
mod wanted;

/// One Gandi account.
pub struct Gandi {
    client: Client,
    config: GandiConfig,
    name: ProviderName,
}

#[provider]
impl purveyor_sdk::Provider for Gandi {
    type Config = GandiConfig;

    const NAME: &'static str = "gandi";
    const DESCRIPTION: &'static str = "Gandi hosting products, XML-RPC API 3.1.2 to before 3.3.0";
    const CALLS: &'static [Call] = declare::CALLS;
    const PROOFS: &'static [Proof] = declare::PROOFS;
    const CREDENTIALS: &'static [Credential] = declare::CREDENTIALS;
    const RATE: Option<Rate> = Some(declare::RATE);
    const POLLS_AT_ONCE: i32 = declare::POLLS_AT_ONCE;
    const TIMING: Option<Timing> = Some(declare::TIMING);
    const NOTICES: &'static [Note] = &[declare::DEPRECATED];

    fn open(config: GandiConfig, host: &Host) -> Result<Self> {
        let config = config.check()?;
        let (key, zone) = (host.secret(declare::API_KEY)?, host.time_zone().clone());
        let client = Client { key, zone, spelling: config.spelling };
        Ok(Self { client, config, name: host.provider().clone() })
    }

    #[method(calls("hosting.account.info"))]
    async fn identify(&self, cx: &Cx) -> Result<String> {
        check::identity(self, cx).await
    }

    #[method(calls("version.info", "contact.balance", "hosting.account.info"))]
    async fn check_provider(
        &self,
        cx: &Cx,
        request: CheckProviderRequest,
    ) -> Result<CheckProviderResponse> {
        check::check(self, cx, request).await
    }

    #[method(calls("catalog.list"))]
    async fn list_products(
        &self,
        cx: &Cx,
        request: ListProductsRequest,
    ) -> Result<ListProductsResponse> {
        products::list(self, cx, request).await
    }

    #[method(calls("catalog.list"))]
    async fn get_product(&self, cx: &Cx, request: GetProductRequest) -> Result<Product> {
        products::get(self, cx, request).await
    }

    #[method(
        calls("product.create", "hosting.account.info", "operation.list", "catalog.list", "contact.balance"),
        evidence = difference, confirmation = read, effect_lag = 600,
        absence_is_proof,
        asks_upstream,
        price_known,
        terms("P1M", "P1Y"),
        max_items = 20,
        notice(
            reason = "NOT_FREE",
            message = "this is not a free operation; the price is in the catalogue",
            source = "hosting.product.create",
        ),
        notice(
            reason = "NEEDS_CREDIT",
            message = "the prepaid account has to have enough credit",
            source = "hosting.product.create",
        ),
        notice(
            reason = "DEPRECATED",
            message = "the method is deprecated and goes away with API version 3.3.0",
            source = "hosting.product.create",
        )
    )]
    async fn create_order(&self, cx: &Cx, request: CreateOrderRequest) -> Result<Step<Order>> {
        orders::create(self, cx, &request).await
    }

    #[method(calls("operation.list", "operation.info"))]
    async fn get_order(&self, cx: &Cx, request: GetOrderRequest) -> Result<Order> {
        orders::get(self, cx, &request).await
    }

    #[method(calls("operation.list"))]
    async fn list_orders(&self, cx: &Cx, request: ListOrdersRequest) -> Result<ListOrdersResponse> {
        orders::list(self, cx, &request).await
    }

    #[method(
        calls("operation.cancel", "operation.list", "operation.info"),
        evidence = natural, confirmation = read, effect_lag = 600,
        absence_is_proof,
        asks_upstream,
        cancel(immediately)
    )]
    async fn cancel_order(&self, cx: &Cx, request: CancelOrderRequest) -> Result<Step<Order>> {
        cancellations::cancel(self, cx, &request).await
    }

    #[method(calls("hosting.account.info"))]
    async fn list_services(
        &self,
        cx: &Cx,
        request: ListServicesRequest,
    ) -> Result<ListServicesResponse> {
        services::list(self, cx, &request).await
    }

    #[method(calls("hosting.account.info"))]
    async fn get_service(&self, cx: &Cx, request: GetServiceRequest) -> Result<Service> {
        services::get(self, cx, &request.name).await
    }

    #[method(
        calls("product.update", "hosting.account.info", "operation.list", "catalog.list", "contact.balance"),
        evidence = difference, confirmation = read, effect_lag = 600,
        absence_is_proof,
        asks_upstream,
        price_known,
        updates("quantity"),
        notice(
            reason = "NOT_FREE",
            message = "this is not a free operation; the price is in the catalogue",
            source = "hosting.product.update",
        ),
        notice(
            reason = "NEEDS_CREDIT",
            message = "the prepaid account has to have enough credit",
            source = "hosting.product.update",
        ),
        notice(
            reason = "DEPRECATED",
            message = "the method is deprecated and goes away with API version 3.3.0",
            source = "hosting.product.update",
        )
    )]
    async fn update_service(
        &self,
        cx: &Cx,
        request: UpdateServiceRequest,
    ) -> Result<Step<Service>> {
        changes::update(self, cx, &request).await
    }

    #[method(
        calls("product.delete", "hosting.account.info", "operation.list", "contact.balance"),
        evidence = difference, confirmation = read, effect_lag = 600,
        absence_is_proof,
        asks_upstream,
        notice(
            reason = "DEPRECATED",
            message = "the method is deprecated and goes away with API version 3.3.0",
            source = "hosting.product.delete",
        )
    )]
    async fn terminate_service(
        &self,
        cx: &Cx,
        request: TerminateServiceRequest,
    ) -> Result<Step<Service>> {
        changes::terminate(self, cx, &request).await
    }

    #[method(calls("hosting.account.info", "catalog.list"))]
    async fn list_renewal_options(
        &self,
        cx: &Cx,
        request: ListRenewalOptionsRequest,
    ) -> Result<ListRenewalOptionsResponse> {
        renewals::options(self, cx, &request).await
    }

    #[method(
        calls("product.renew", "hosting.account.info", "operation.list", "catalog.list", "contact.balance"),
        evidence = difference, confirmation = read, effect_lag = 600,
        absence_is_proof,
        asks_upstream,
        price_known,
        charges_at_once,
        terms("P1M", "P1Y"),
        notice(
            reason = "NOT_FREE",
            message = "this is not a free operation; the price is in the catalogue",
            source = "hosting.product.renew",
        ),
        notice(
            reason = "NEEDS_CREDIT",
            message = "the prepaid account has to have enough credit",
            source = "hosting.product.renew",
        ),
        notice(
            reason = "DEPRECATED",
            message = "the method is deprecated and goes away with API version 3.3.0",
            source = "hosting.product.renew",
        )
    )]
    async fn create_renewal(
        &self,
        cx: &Cx,
        request: CreateRenewalRequest,
    ) -> Result<Step<Renewal>> {
        renewals::create(self, cx, &request).await
    }

    #[method(calls("operation.info"))]
    async fn get_renewal(&self, cx: &Cx, request: GetRenewalRequest) -> Result<Renewal> {
        renewals::get(self, cx, &request).await
    }

    #[method(calls("operation.list"))]
    async fn list_renewals(
        &self,
        cx: &Cx,
        request: ListRenewalsRequest,
    ) -> Result<ListRenewalsResponse> {
        renewals::list(self, cx, &request).await
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

/// An identifier of the upstream, an int of 32 bits. What is none is not there, and nobody needs to be
/// asked.
fn upstream_id(text: &str) -> Option<i64> {
    names::counted::<i32>(text).map(i64::from)
}
