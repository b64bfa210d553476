//! The provider: which methods there are, and what the gateway may expect of each. What a method does
//! is in the module of its noun; nothing is decided here.

use purveyor_sdk::names::{ProductName, ProviderName};
use purveyor_sdk::v1::{
    CreateOrderRequest, GetProductRequest, ListProductsRequest, ListProductsResponse, Order,
    Product, Quote, ResumeServiceRequest, Service, SuspendServiceRequest, TerminateServiceRequest,
};
use purveyor_sdk::{
    Call, Credential, Cx, Error, Find, Finding, Host, Proof, Result, Step, Timing, Write, provider,
};

use crate::client::Client;
use crate::config::{RackNapConfig, Settings};
use crate::error::number;

mod declare;

mod products;

mod order_lines;
mod orders;

mod services;

mod quotes;
mod resolving;

/// One RackNap account.
pub struct RackNap {
    client: Client,
    settings: Settings,
    name: ProviderName,
}

#[provider]
impl purveyor_sdk::Provider for RackNap {
    type Config = RackNapConfig;

    const NAME: &'static str = "racknap";
    const DESCRIPTION: &'static str = "RackNap billing records of services, Product/Service API v2";
    const CALLS: &'static [Call] = declare::CALLS;
    const PROOFS: &'static [Proof] = declare::PROOFS;
    const CREDENTIALS: &'static [Credential] = declare::CREDENTIALS;
    const TIMING: Option<Timing> = Some(declare::TIMING);

    fn open(config: RackNapConfig, host: &Host) -> Result<Self> {
        let settings = config.settings()?;
        let refusal_words = host.refusal_words().to_vec();
        let proofs = Self::PROOFS;
        let client = Client { encoding: settings.encoding, proofs, refusal_words };
        Ok(Self { client, settings, name: host.provider().clone() })
    }

    #[method(calls("service/planDetail", "service/cloud_linux_vps_details"))]
    async fn list_products(
        &self,
        cx: &Cx,
        request: ListProductsRequest,
    ) -> Result<ListProductsResponse> {
        products::list(self, cx, &request).await
    }

    #[method(calls("service/planDetail", "service/cloud_linux_vps_details"))]
    async fn get_product(&self, cx: &Cx, request: GetProductRequest) -> Result<Product> {
        products::get(self, cx, &request).await
    }

    // No terms are declared: a declared one recurs, and three of the thirteen cycles do not.
    #[method(
        calls("service/create"),
        evidence = none, confirmation = answer,
        price_known,
        takes_prices,
        max_items = 1
    )]
    async fn create_order(&self, cx: &Cx, request: CreateOrderRequest) -> Result<Step<Order>> {
        orders::create(self, cx, &request).await
    }

    #[method(calls("service/suspend"), evidence = none, confirmation = answer)]
    async fn suspend_service(
        &self,
        cx: &Cx,
        request: SuspendServiceRequest,
    ) -> Result<Step<Service>> {
        services::change(self, cx, services::Change::Suspend, &request.name).await
    }

    #[method(calls("service/unsuspend"), evidence = none, confirmation = answer)]
    async fn resume_service(
        &self,
        cx: &Cx,
        request: ResumeServiceRequest,
    ) -> Result<Step<Service>> {
        services::change(self, cx, services::Change::Resume, &request.name).await
    }

    #[method(calls("service/terminate"), evidence = none, confirmation = answer)]
    async fn terminate_service(
        &self,
        cx: &Cx,
        request: TerminateServiceRequest,
    ) -> Result<Step<Service>> {
        services::change(self, cx, services::Change::Terminate, &request.name).await
    }

    async fn plan(&self, _: &Cx, write: Write) -> Result<Quote> {
        quotes::plan(self, &write)
    }

    async fn find(&self, _: &Cx, request: Find) -> Result<Finding> {
        resolving::find(self, &request)
    }
}

/// Names of this provider's resources.
impl RackNap {
    /// The number of the plan that a product's name holds.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `field` for what is no name; PRODUCT_NOT_FOUND for what is no plan of this
    /// account.
    fn plan_of(&self, name: &str, field: &str) -> Result<i64> {
        let parsed = name.parse::<ProductName>().map_err(|error| error.field(field))?;
        let plan = number(parsed.id(), 1, field).ok().filter(|_| *parsed.provider() == self.name);
        plan.ok_or_else(|| Error::product_not_found(name))
    }
}
