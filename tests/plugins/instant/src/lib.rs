//! A provider whose upstream sells at once: one product, one call that spends, and a reference by which
//! an order is found again. For the benchmark of operations, and the shortest plugin that can buy.

use purveyor_sdk::names::{OrderName, ProductName, ProviderName};
use purveyor_sdk::schemars::JsonSchema;
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{
    CreateOrderRequest, GetProductRequest, ListProductsRequest, ListProductsResponse, Order,
    Product, UpstreamRef,
};
use purveyor_sdk::{
    Answer, Baseline, Call, Cx, Error, Evidence, Find, Finding, Host, Provider, Resource, Result,
    Shape, Step, etag, export_provider, page, provider,
};

/// The account's configuration: there is nothing to say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "purveyor_sdk::schemars")]
pub struct InstantConfig {}

/// The provider.
pub struct Instant {
    name: ProviderName,
}

#[provider]
impl Provider for Instant {
    type Config = InstantConfig;

    const NAME: &'static str = "instant";
    const DESCRIPTION: &'static str = "an upstream that sells at once";
    const CALLS: &'static [Call] = &[
        Call::spend("order.create").post("/orders").json().success(Shape::json_id("/id", "order")),
        Call::read("order.find").get("/orders"),
    ];

    fn open(_: InstantConfig, host: &Host) -> Result<Self> {
        Ok(Self { name: host.provider().clone() })
    }

    async fn identify(&self, _: &Cx) -> Result<String> {
        Ok("instant".to_owned())
    }

    #[method]
    async fn list_products(
        &self,
        _: &Cx,
        request: ListProductsRequest,
    ) -> Result<ListProductsResponse> {
        let rows = vec![self.product()?];
        let (products, next_page_token) = page::of(rows, request.page_size, &request.page_token)?;
        Ok(ListProductsResponse { products, next_page_token, ..ListProductsResponse::default() })
    }

    #[method]
    async fn get_product(&self, _: &Cx, request: GetProductRequest) -> Result<Product> {
        let product = self.product()?;
        if product.name == request.name {
            return Ok(product);
        }
        Err(Error::product_not_found(&request.name))
    }

    #[method(calls("order.create", "order.find"), evidence = reference, confirmation = read, effect_lag = 60, absence_is_proof, max_items = 1)]
    async fn create_order(&self, cx: &Cx, request: CreateOrderRequest) -> Result<Step<Order>> {
        let item = request.order.as_ref().and_then(|order| order.items.first());
        let body = json!({
            "reference": cx.request_id(),
            "quantity": item.map_or(0, |item| item.quantity),
        });
        let answer = cx.http().call("order.create").json(&body).send().await?;
        Ok(Step::Done(self.order(&request, cx.request_id(), &document(&answer)?)?))
    }

    async fn baseline(&self, _: &Cx, _: Baseline) -> Result<Evidence> {
        // The reference is ours alone: nothing has to be known before.
        Ok(Evidence::default())
    }

    async fn find(&self, cx: &Cx, request: Find) -> Result<Finding> {
        let reference = &request.write.request_id;
        let answer = cx.http().call("order.find").query("reference", reference).send().await?;
        let found = document(&answer)?;
        let Some(first) = found.get(0) else { return Ok(Finding::absent()) };
        let order = self.order(&CreateOrderRequest::default(), reference, first)?;
        let upstream_id = order.upstream.clone().unwrap_or_default().id().to_owned();
        Ok(Finding::Found { upstream_id, step: Box::new(Step::Done(Resource::Order(order))) })
    }
}

export_provider!(Instant);

impl Instant {
    fn product(&self) -> Result<Product> {
        let name = ProductName::new(self.name.clone(), "one");
        let name = name.map_err(|error| error.field("product"))?.to_string();
        Ok(etag::seal(Product { name, display_name: "One".to_owned(), ..Product::default() }))
    }

    fn order(&self, asked: &CreateOrderRequest, reference: &str, sold: &Value) -> Result<Order> {
        let id = sold.get("id").and_then(Value::as_u64);
        let id = id.ok_or_else(|| Error::unavailable("the answer has no id"))?.to_string();
        let name = OrderName::new(self.name.clone(), reference);
        let name = name.map_err(|error| error.field("order"))?.to_string();
        let items = asked.order.as_ref().map(|order| order.items.clone()).unwrap_or_default();
        Ok(etag::seal(Order {
            name,
            state: State::Completed.into(),
            upstream: Some(UpstreamRef::of(id)),
            items,
            ..Order::default()
        }))
    }
}

fn document(answer: &Answer) -> Result<Value> {
    purveyor_sdk::serde_json::from_slice(&answer.body)
        .map_err(|error| Error::unavailable("the answer is not JSON").with_source(error))
}
