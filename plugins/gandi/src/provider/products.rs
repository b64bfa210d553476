//! The five products, each for a month and for a year. They are the documents' own list: the upstream
//! tells only their prices.

use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::names::ProductName;
use purveyor_sdk::v1::product::{Offer, Shape};
use purveyor_sdk::v1::product::{Resource, ResourceKind};
use purveyor_sdk::v1::{
    GetProductRequest, ListProductsRequest, ListProductsResponse, Product, UpstreamRef,
};
use purveyor_sdk::{Cx, Error, Result, etag, page};

use super::Gandi;
use super::declare::spending_notices;
use super::prices;
use crate::error;
use crate::model::{Action, Catalog, Duration, PRODUCTS};

pub(super) async fn list(
    gandi: &Gandi,
    cx: &Cx,
    request: ListProductsRequest,
) -> Result<ListProductsResponse> {
    let catalog = gandi.wanted_catalog(cx, &request.currency_code).await?;
    let rows = PRODUCTS.map(|id| gandi.product(id, &catalog)).into_iter().collect::<Result<_>>()?;
    let (products, next_page_token) = page::of(rows, request.page_size, &request.page_token)?;
    Ok(ListProductsResponse { products, next_page_token, ..ListProductsResponse::default() })
}

pub(super) async fn get(gandi: &Gandi, cx: &Cx, request: GetProductRequest) -> Result<Product> {
    let id = gandi.known_product(&request.name, "name")?;
    let catalog = gandi.wanted_catalog(cx, &request.currency_code).await?;
    gandi.product(id, &catalog)
}

impl Gandi {
    /// The product that a name names.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `field` for what is no name; PRODUCT_NOT_FOUND.
    pub(super) fn known_product(&self, name: &str, field: &str) -> Result<&'static str> {
        let parsed = name.parse::<ProductName>().map_err(|error| error.field(field))?;
        let known = PRODUCTS.into_iter().find(|known| *known == parsed.id());
        let known = known.filter(|_| *parsed.provider() == self.name);
        known.ok_or_else(|| Error::product_not_found(name))
    }

    /// What is sold, in the currency of a request, or else of the configuration.
    async fn wanted_catalog(&self, cx: &Cx, asked: &str) -> Result<Catalog> {
        let currency = if asked.is_empty() { &self.config.currency } else { asked };
        let catalog = self.catalog(cx, Action::Add, currency).await;
        catalog.map_err(|error| error::of_currency(error, asked))
    }

    fn product(&self, id: &str, catalog: &Catalog) -> Result<Product> {
        let told = Duration::ALL.map(|duration| self.amount(catalog, id, duration, 1));
        let notices = prices::notices(told.iter().flatten());
        let offer = |(duration, told): (Duration, &Option<ToldPrice>)| Offer {
            term: Some(duration.term()),
            price: told.as_ref().map(|told| self.price(told)),
            ..Offer::default()
        };
        Ok(etag::seal(Product {
            name: self.name.product(id)?,
            display_name: id.to_owned(),
            group: "hosting".to_owned(),
            shape: resource(id),
            offers: Duration::ALL.into_iter().zip(&told).map(offer).collect(),
            notices: spending_notices().into_iter().chain(notices).collect(),
            upstream: Some(UpstreamRef::of(id.to_owned())),
            ..Product::default()
        }))
    }
}

/// What a product is a unit of; a share is several things at once. The unit's size is not documented.
fn resource(id: &str) -> Option<Shape> {
    let kind = match id {
        "cores" => ResourceKind::Cpu,
        "disk" => ResourceKind::Storage,
        "memory" => ResourceKind::Memory,
        "ips" => ResourceKind::Ipaddr,
        _ => return None,
    };
    let (kind, upstream_kind) = (Some(kind.into()), id.to_owned());
    Some(Shape::Resource(Resource { kind, upstream_kind, ..Resource::default() }))
}
