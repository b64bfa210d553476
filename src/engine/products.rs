//! What the methods of Products mean: catalogues are passed on as the provider writes them, byte for
//! byte where one provider is named, and changes are checked before they are stored.
//!
//! Nothing is sent from here that changes a catalogue: a write ends in the journal.

mod change;
mod sealing;

use bytes::Bytes;
use futures_util::FutureExt;
use prost::Message;
use purveyor_sdk::mask::{implied, product_leaves};
use purveyor_sdk::names::{Parent, ProductName, ProviderName};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::{
    CreateProductRequest, DeleteProductRequest, ErrorReason, GetProductRequest,
    ListProductsRequest, ListProductsResponse, Product, UpdateProductRequest,
};
use purveyor_sdk::{Error, Result};

use super::Engine;
use super::call::{Call, Written};
use super::fields::{Mistakes, masked};
use super::listing::{Asked, ListRequest, Listed, Page, PageOf, fewer_rows, list};
use super::naming::{parse, require};
use super::page_token::PageTokens;
use super::reading::{about, read, read_raw};
use super::records::shows;
use super::writing::{Draft, Target, check_etag};
use crate::plugin::Provider;

const LIST: &str = "Products.ListProducts";

/// What the providers sell.
#[derive(Clone)]
pub struct Products {
    engine: Engine,
    tokens: PageTokens,
}

impl Products {
    /// The catalogues of this engine's providers.
    pub fn new(engine: Engine) -> Products {
        let tokens = PageTokens::new(engine.store().identity());
        Products { engine, tokens }
    }

    /// Lists products: ListProductsRequest in, ListProductsResponse out, both encoded. For a named
    /// provider the rows are the plugin's own bytes.
    ///
    /// # Errors
    ///
    /// As Products.ListProducts.
    pub async fn list_raw(&self, call: &Call, request: Bytes) -> Result<Listed<Bytes>> {
        let request = ListProductsRequest::decode(request).map_err(malformed)?;
        match parse(&request.parent, "parent")? {
            Parent::Provider(name) => {
                let response = self.list_one(call, &name, &request).await?;
                Ok(Listed { response, missed: Vec::new() })
            }
            Parent::All => self.list_all(call, request).await,
        }
    }

    /// Shows one product: GetProductRequest in, the plugin's own Product out, both encoded.
    ///
    /// # Errors
    ///
    /// As Products.GetProduct.
    pub async fn get_raw(&self, call: &Call, request: Bytes) -> Result<Bytes> {
        let request = GetProductRequest::decode(request).map_err(malformed)?;
        let name: ProductName = parse(&request.name, "name")?;
        let provider = self.engine.able(name.provider(), Op::GetProduct)?;
        let bytes = request.encode_to_vec();
        let asked = self.engine.age();
        let answer =
            read_raw(&provider, Op::GetProduct, &bytes, &[name.id().to_owned()], call.deadline)
                .await;
        if let Some(present) = shows(&answer, ErrorReason::ProductNotFound)
            && let Err(error) =
                self.engine.product_read_showed(&provider, name.id(), present, asked).await
        {
            // What was read is true all the same.
            tracing::warn!(provider = provider.id(), %error, "what a read showed is not recorded");
        }
        answer.map_err(|error| about(error, &request.name))
    }

    /// Checks and stores a new product. May be repeated with the same request id.
    ///
    /// # Errors
    ///
    /// As Products.CreateProduct before acceptance.
    pub async fn create(&self, call: &Call, mut request: CreateProductRequest) -> Result<Written> {
        let draft = self.engine.draft(call, &request).await?;
        let parent: ProviderName = parse(&request.parent, "parent")?;
        let provider = self.engine.configured(&parent)?;
        if draft.known.is_none() {
            require(&provider, Op::CreateProduct)?;
        }
        let mut mistakes = Mistakes::default();
        request.product = Some(change::new(request.product.take(), &mut mistakes));
        mistakes.finish()?;
        // The upstream gives the identifier, so there is no name yet to be held.
        let target = Target { name: format!("{parent}/products/-"), ..Target::default() };
        self.engine.write(draft, provider, &request, target).await
    }

    /// Checks and stores a change. May be repeated with the same request id.
    ///
    /// # Errors
    ///
    /// As Products.UpdateProduct before acceptance.
    pub async fn update(&self, call: &Call, mut request: UpdateProductRequest) -> Result<Written> {
        let draft = self.engine.draft(call, &request).await?;
        let Some(given) = request.product.take() else {
            return Err(Error::field("product", "is required"));
        };
        let name: ProductName = parse(&given.name, "product.name")?;
        let provider = self.engine.configured(name.provider())?;
        let updatable = match &draft.known {
            // What was changeable at acceptance the journal knows; the content decides.
            Some(_) => change::PATHS.iter().map(|path| (*path).to_owned()).collect(),
            None => require(&provider, Op::UpdateProduct)?.updatable_paths.clone(),
        };
        let mask = request.update_mask.as_ref();
        let implied = implied(&product_leaves(&given));
        let paths = masked(mask, &implied, change::PATHS, &updatable)?;
        let mut mistakes = Mistakes::default();
        if draft.known.is_none() {
            change::check_set(&given, &paths, &mut mistakes);
        }
        let etag = given.etag.clone();
        let kept = change::kept(given, &paths, &mut mistakes);
        mistakes.finish()?;
        let target = self.target(&draft, call, &provider, &name, &etag).await?;
        request.product = Some(Product { name: target.name.clone(), etag, ..kept });
        request.update_mask = Some(prost_types::FieldMask { paths });
        self.engine.write(draft, provider, &request, target).await
    }

    /// Checks and stores a removal. May be repeated with the same request id.
    ///
    /// # Errors
    ///
    /// As Products.DeleteProduct before acceptance.
    pub async fn delete(&self, call: &Call, request: DeleteProductRequest) -> Result<Written> {
        let draft = self.engine.draft(call, &request).await?;
        let name: ProductName = parse(&request.name, "name")?;
        let provider = self.engine.configured(name.provider())?;
        if draft.known.is_none() {
            require(&provider, Op::DeleteProduct)?;
        }
        let target = self.target(&draft, call, &provider, &name, &request.etag).await?;
        self.engine.write(draft, provider, &request, target).await
    }

    async fn list_one(
        &self,
        call: &Call,
        name: &ProviderName,
        request: &ListProductsRequest,
    ) -> Result<Bytes> {
        let size = purveyor_sdk::page::size(request.page_size)?;
        let provider = self.engine.able(name, Op::ListProducts)?;
        let fingerprint = request.fingerprint();
        let cursor = self.tokens.upstream_cursor(LIST, &fingerprint, &request.page_token)?;
        let mut size = size;
        let answer = loop {
            let asked = request.for_page(name.to_string(), size, cursor.clone()).encode_to_vec();
            let answer = read_raw(&provider, Op::ListProducts, &asked, &[], call.deadline).await?;
            match fewer_rows(size, answer.len()) {
                Some(fewer) => size = fewer,
                None => break answer,
            }
        };
        sealing::with_token(answer, |cursor| self.tokens.seal(LIST, &fingerprint, cursor))
    }

    async fn list_all(&self, call: &Call, request: ListProductsRequest) -> Result<Listed<Bytes>> {
        let asked = Asked {
            method: LIST,
            op: Op::ListProducts,
            made_by: &[],
            parent: &request.parent,
            fingerprint: request.fingerprint(),
            page_size: request.page_size,
            page_token: &request.page_token,
        };
        let shared = request.clone();
        let rows = list(&self.engine, &self.tokens, call, asked, |page| {
            let request = shared.clone();
            async move { page_of(page, &request).await }.boxed()
        })
        .await?;
        let response = ListProductsResponse {
            products: rows.rows,
            next_page_token: rows.next_page_token,
            unreachable: Vec::new(),
        };
        Ok(Listed { response: response.encode_to_vec().into(), missed: rows.missed })
    }

    /// The product that a write is about, compared with what the caller read.
    async fn target(
        &self,
        draft: &Draft<'_>,
        call: &Call,
        provider: &Provider,
        name: &ProductName,
        etag: &str,
    ) -> Result<Target> {
        let target = Target {
            name: name.to_string(),
            upstream_ids: vec![name.id().to_owned()],
            exclusive: vec![name.to_string()],
        };
        let readable = provider.method(Op::GetProduct).is_some();
        if draft.known.is_none() && !etag.is_empty() && readable {
            let request =
                GetProductRequest { name: target.name.clone(), ..GetProductRequest::default() };
            let present: Result<Product> =
                read(provider, Op::GetProduct, &request, &[name.id().to_owned()], call.deadline)
                    .await;
            let present = present.map_err(|error| about(error, &target.name))?;
            check_etag(&target.name, etag, &present.etag)?;
        }
        Ok(target)
    }
}

async fn page_of(page: PageOf, request: &ListProductsRequest) -> Result<Page<Product>> {
    let cursor = String::from_utf8(page.cursor).map_err(|error| {
        Error::new(ErrorReason::PageTokenInvalid, "the token is not of this list")
            .with_source(error)
    })?;
    let asked = request.for_page(page.name.to_string(), page.size, cursor);
    let response: ListProductsResponse =
        read(&page.provider, Op::ListProducts, &asked, &[], page.deadline).await?;
    let next =
        (!response.next_page_token.is_empty()).then(|| response.next_page_token.into_bytes());
    Ok(Page { rows: response.products, next })
}

fn malformed(error: prost::DecodeError) -> Error {
    Error::field("request", "cannot be decoded").with_source(error)
}
