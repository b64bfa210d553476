//! The provider: which methods there are, and what the gateway may expect of each. What a method
//! does is in a module of its own; nothing is decided here.

use purveyor_sdk::names::{self, ProductName, ProviderName};
use purveyor_sdk::v1::{
    CheckProviderRequest, CheckProviderResponse, CreateProductRequest, DeleteProductRequest,
    GetProductRequest, ListProductsRequest, ListProductsResponse, Product, Quote,
    UpdateProductRequest,
};
use purveyor_sdk::{
    Baseline, Call, Credential, Cx, Deleted, Error, Evidence, Find, Finding, Host, PollItem,
    Progress, Proof, Rate, Result, Step, Timing, Write, provider,
};

use crate::client::{Client, Session};
use crate::config::ComputeStacksConfig;

mod declare;

mod catalog;
mod creation;
mod deletion;
mod offers;
mod rules;
mod update;

mod check;
mod delivered;
mod evidence;
mod finding;
mod progress;
mod quotes;

/// The catalogue of one controller.
pub struct ComputeStacks {
    client: Client,
    config: ComputeStacksConfig,
    name: ProviderName,
}

#[provider]
impl purveyor_sdk::Provider for ComputeStacks {
    type Config = ComputeStacksConfig;

    const NAME: &'static str = "computestacks";
    const DESCRIPTION: &'static str = "ComputeStacks products and their price rules, admin API";
    const CALLS: &'static [Call] = declare::CALLS;
    const PROOFS: &'static [Proof] = declare::PROOFS;
    const CREDENTIALS: &'static [Credential] = declare::CREDENTIALS;
    const RATE: Option<Rate> = Some(declare::RATE);
    const TIMING: Option<Timing> = Some(declare::TIMING);
    const SECRET_POINTERS: &'static [&'static str] = &["/access_token", "/refresh_token"];

    fn open(config: ComputeStacksConfig, host: &Host) -> Result<Self> {
        let config = config.check()?;
        let session = Session::new(config.authentication, host)?;
        let client = Client { session, api_version: config.api_version };
        Ok(Self { client, config, name: host.provider().clone() })
    }

    #[method(calls("version", "oauth.token", "products.list", "billing_plans.get"))]
    async fn check_provider(
        &self,
        cx: &Cx,
        request: CheckProviderRequest,
    ) -> Result<CheckProviderResponse> {
        check::check(self, cx, request).await
    }

    #[method(calls("oauth.token", "products.list", "billing_plans.get"))]
    async fn list_products(
        &self,
        cx: &Cx,
        request: ListProductsRequest,
    ) -> Result<ListProductsResponse> {
        catalog::list(self, cx, request).await
    }

    #[method(calls("oauth.token", "products.get", "billing_plans.get"))]
    async fn get_product(&self, cx: &Cx, request: GetProductRequest) -> Result<Product> {
        catalog::get(self, cx, &request).await
    }

    #[method(
        calls(
            "products.create",
            "billing_resources.create",
            "billing_resource_prices.create",
            "oauth.token",
            "products.list",
            "products.get",
            "billing_plans.get"
        ),
        evidence = difference, confirmation = read, effect_lag = 60,
        absence_is_proof,
        asks_upstream,
        notice(
            reason = "NEEDS_PRICE_RULES",
            message = "a product has to be added to a billing plan, and its price rules created; with offers that is done",
            source = "POST /api/admin/products",
        )
    )]
    async fn create_product(
        &self,
        cx: &Cx,
        request: CreateProductRequest,
    ) -> Result<Step<Product>> {
        creation::create(self, cx, &request).await
    }

    #[method(
        calls(
            "products.update",
            "billing_resources.create",
            "billing_resource_prices.create",
            "oauth.token",
            "products.get",
            "billing_plans.get"
        ),
        evidence = natural, confirmation = read, effect_lag = 60,
        absence_is_proof,
        asks_upstream,
        updates(
            "display_name",
            "group",
            "package",
            "package.cpu_cores",
            "package.memory_mb",
            "package.memory_swap_mb",
            "package.memory_swappiness",
            "package.bandwidth_gb",
            "package.storage_gb",
            "package.local_disk_gb",
            "package.backup_gb",
            "resource",
            "resource.kind",
            "resource.unit",
            "resource.unit_type",
            "offers"
        ),
        notice(
            reason = "RECREATES_PACKAGE",
            message = "a change of the package deletes it and makes it anew, with another identifier",
            source = "PATCH /api/admin/products/{id}",
        )
    )]
    async fn update_product(
        &self,
        cx: &Cx,
        request: UpdateProductRequest,
    ) -> Result<Step<Product>> {
        update::update(self, cx, &request).await
    }

    #[method(
        calls("products.delete", "oauth.token", "products.get", "products.list"),
        evidence = natural, confirmation = read, effect_lag = 60,
        absence_is_proof,
        asks_upstream
    )]
    async fn delete_product(
        &self,
        cx: &Cx,
        request: DeleteProductRequest,
    ) -> Result<Step<Deleted>> {
        deletion::delete(self, cx, &request).await
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
        finding::find(self, cx, request).await
    }
}

impl ComputeStacks {
    /// The product that a name names.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `field` for what is no name; PRODUCT_NOT_FOUND for what the upstream
    /// cannot have.
    fn product_id(&self, name: &str, field: &str) -> Result<i64> {
        let parsed = name.parse::<ProductName>().map_err(|error| error.field(field))?;
        let own = *parsed.provider() == self.name;
        let id = names::counted(parsed.id()).filter(|_| own);
        id.ok_or_else(|| Error::product_not_found(name))
    }
}
