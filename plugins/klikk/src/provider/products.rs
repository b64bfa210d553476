//! The catalogue. The upstream tells none: it is the account's configuration, and says so.

use purveyor_sdk::names::ProductName;
use purveyor_sdk::v1::product::Offer;
use purveyor_sdk::v1::{
    GetProductRequest, ListProductsRequest, ListProductsResponse, Price, Product, Term, UpstreamRef,
};
use purveyor_sdk::{Error, Result, etag, page};

use super::Klikk;
use super::declare::{AUTO_RENEWS, INVOICE_EXISTS, NEEDS_CREDIT, notice};
use crate::config::Sold;

pub(super) fn list(klikk: &Klikk, request: &ListProductsRequest) -> Result<ListProductsResponse> {
    let products = klikk.catalogue.iter().map(|(name, sold)| klikk.product(name, sold));
    let rows = products.collect::<Result<Vec<_>>>()?;
    let (products, next_page_token) = page::of(rows, request.page_size, &request.page_token)?;
    Ok(ListProductsResponse { products, next_page_token, ..ListProductsResponse::default() })
}

pub(super) fn get(klikk: &Klikk, request: &GetProductRequest) -> Result<Product> {
    let (name, sold) = klikk.sold(&request.name, "name")?;
    klikk.product(name, sold)
}

impl Klikk {
    /// The product that a name names, with the upstream's name of it.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `field` for what is no name; PRODUCT_NOT_FOUND.
    pub(super) fn sold(&self, name: &str, field: &str) -> Result<(&str, &Sold)> {
        let parsed = name.parse::<ProductName>().map_err(|error| error.field(field))?;
        let known = self.catalogue.get_key_value(parsed.id());
        let known = known.filter(|_| *parsed.provider() == self.name);
        let known = known.map(|(name, sold)| (name.as_str(), sold));
        known.ok_or_else(|| Error::product_not_found(name))
    }

    fn product(&self, name: &str, sold: &Sold) -> Result<Product> {
        Ok(etag::seal(Product {
            name: self.name.product(name)?,
            display_name: sold.display_name.clone(),
            group: "servers".to_owned(),
            offers: sold.offer().into_iter().collect(),
            options_schema: sold.options_schema.clone(),
            configured: true,
            notices: [AUTO_RENEWS, NEEDS_CREDIT, INVOICE_EXISTS].map(notice).into(),
            upstream: Some(UpstreamRef::of(name.to_owned())),
            ..Product::default()
        }))
    }
}

impl Sold {
    /// The term for which it is sold, where it is configured.
    pub(crate) fn term(&self) -> Option<Term> {
        self.period.map(|period| Term::recurring(period, ""))
    }

    fn offer(&self) -> Option<Offer> {
        let (term, price): (Option<Term>, Option<Price>) = (self.term(), self.price.clone());
        (term.is_some() || price.is_some()).then(|| Offer {
            term,
            price,
            min_quantity: 1,
            max_quantity: 1,
            ..Offer::default()
        })
    }
}
