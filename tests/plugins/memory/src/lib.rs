//! A provider that needs no upstream: twenty products and as many services, the same in every process.
//! For the benchmark of the boundary and the first walk through the gateway; it must not spend,
//! because there is nothing to spend at.

use purveyor_sdk::names::{ProductName, ProviderName, ServiceName};
use purveyor_sdk::schemars::JsonSchema;
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::v1::check_provider_response::{Finding, finding::Severity};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::product::Offer;
use purveyor_sdk::v1::service::State;
use purveyor_sdk::v1::{
    CheckProviderRequest, CheckProviderResponse, GetProductRequest, GetServiceRequest,
    ListProductsRequest, ListProductsResponse, ListServicesRequest, ListServicesResponse, Money,
    Price, Product, Service, Term, UpstreamRef,
};
use purveyor_sdk::{
    Cx, Error, Host, Period, Provider, Result, etag, export_provider, page, provider,
};

/// How many products there are, and how many services.
const COUNT: i64 = 20;

/// The configuration of an account.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde", deny_unknown_fields, default)]
#[schemars(crate = "purveyor_sdk::schemars")]
pub struct MemoryConfig {
    /// The currency of all prices, ISO 4217; unset: EUR.
    pub currency_code: Option<String>,
}

/// The provider: what it has is made once, when it is opened.
pub struct Memory {
    products: Vec<Product>,
    services: Vec<Service>,
}

#[provider]
impl Provider for Memory {
    type Config = MemoryConfig;

    const NAME: &'static str = "memory";
    const DESCRIPTION: &'static str = "a provider that needs no upstream";

    fn open(config: MemoryConfig, host: &Host) -> Result<Self> {
        let currency = config.currency_code.as_deref().unwrap_or("EUR");
        let products = (1..=COUNT).map(|number| product(host.provider(), number, currency));
        let services = (1..=COUNT).map(|number| service(host.provider(), number));
        Ok(Self {
            products: products.collect::<Result<_>>()?,
            services: services.collect::<Result<_>>()?,
        })
    }

    async fn identify(&self, _: &Cx) -> Result<String> {
        Ok("memory".to_owned())
    }

    #[method]
    async fn check_provider(
        &self,
        cx: &Cx,
        request: CheckProviderRequest,
    ) -> Result<CheckProviderResponse> {
        let finding = Finding {
            reason: "MEMORY".to_owned(),
            severity: Severity::Ok.into(),
            message: "no upstream is needed".to_owned(),
        };
        Ok(CheckProviderResponse {
            name: request.name,
            account: "memory".to_owned(),
            findings: vec![finding],
            check_time: Some(cx.now()),
            ..CheckProviderResponse::default()
        })
    }

    #[method]
    async fn list_products(
        &self,
        _: &Cx,
        request: ListProductsRequest,
    ) -> Result<ListProductsResponse> {
        let rows = self.products.clone();
        let (products, next_page_token) = page::of(rows, request.page_size, &request.page_token)?;
        Ok(ListProductsResponse { products, next_page_token, ..ListProductsResponse::default() })
    }

    #[method]
    async fn get_product(&self, _: &Cx, request: GetProductRequest) -> Result<Product> {
        let found = self.products.iter().find(|product| product.name == request.name);
        found.cloned().ok_or_else(|| Error::product_not_found(&request.name))
    }

    #[method]
    async fn list_services(
        &self,
        _: &Cx,
        request: ListServicesRequest,
    ) -> Result<ListServicesResponse> {
        let rows = self.services.iter().filter(|service| wanted(service, &request));
        let rows = rows.cloned().collect();
        let (services, next_page_token) = page::of(rows, request.page_size, &request.page_token)?;
        Ok(ListServicesResponse { services, next_page_token, ..ListServicesResponse::default() })
    }

    #[method]
    async fn get_service(&self, _: &Cx, request: GetServiceRequest) -> Result<Service> {
        let found = self.services.iter().find(|service| service.name == request.name);
        found.cloned().ok_or_else(|| Error::service_not_found(&request.name))
    }
}

export_provider!(Memory);

/// The filters of a listing; a service here has no order, no customer and no expiry.
fn wanted(service: &Service, request: &ListServicesRequest) -> bool {
    let states = &request.states;
    (states.is_empty() || states.contains(&service.state))
        && (request.product.is_empty() || request.product == service.product)
        && request.order.is_empty()
        && request.customer.is_empty()
        && request.expire_before.is_none()
}

fn product(provider: &ProviderName, number: i64, currency: &str) -> Result<Product> {
    let amount = Money::parse(currency, &format!("{number}.99"))
        .map_err(|error| Error::field("configuration.currency_code", error.to_string()))?;
    let offer = |period, upstream_value| Offer {
        term: Some(Term::recurring(period, upstream_value)),
        price: Some(Price::of(amount.clone(), Tax::Excluded)),
        ..Offer::default()
    };
    let id = format!("product-{number:02}");
    Ok(etag::seal(Product {
        name: product_name(provider, &id)?,
        display_name: format!("Product {number}"),
        group: "memory".to_owned(),
        offers: vec![offer(Period::Months(1), "1m"), offer(Period::Months(12), "12m")],
        upstream: Some(UpstreamRef::of(id)),
        ..Product::default()
    }))
}

fn service(provider: &ProviderName, number: i64) -> Result<Service> {
    let id = number.to_string();
    let name = ServiceName::new(provider.clone(), id.as_str());
    let name = name.map_err(|error| error.field("service"))?.to_string();
    Ok(etag::seal(Service {
        name,
        state: State::Active.into(),
        product: product_name(provider, &format!("product-{number:02}"))?,
        display_name: format!("Service {number}"),
        quantity: 1,
        term: Some(Term::recurring(Period::Months(1), "1m")),
        upstream: Some(UpstreamRef {
            ids: vec![id],
            state: "active".to_owned(),
            ..UpstreamRef::default()
        }),
        ..Service::default()
    }))
}

fn product_name(provider: &ProviderName, id: &str) -> Result<String> {
    let name = ProductName::new(provider.clone(), id);
    Ok(name.map_err(|error| error.field("product"))?.to_string())
}
