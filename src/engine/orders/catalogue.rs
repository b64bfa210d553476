//! The products that an order names, as their provider tells them: that they exist, what options
//! they take, and in which currency they are sold.
//!
//! What was read a moment ago is used again, so that many orders of one product do not use up the
//! upstream's patience; the upstream itself decides about every order in the end.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use purveyor_sdk::names::ProductName;
use purveyor_sdk::plugin::v1::{Method, Op};
use purveyor_sdk::v1::term::Kind;
use purveyor_sdk::v1::{ErrorReason, GetProductRequest, Money, Order, OrderItem, Product, Term};
use purveyor_sdk::{Error, Result};
use tokio::time::Instant;

use crate::engine::call::Call;
use crate::engine::fields::Mistakes;
use crate::engine::machine::transient;
use crate::engine::options::Schemas;
use crate::engine::reading::{about, read};
use crate::plugin::Provider;

/// How long a product is taken to be as it was read.
const FRESH: Duration = Duration::from_secs(60);
/// How many products are remembered; beyond that all are forgotten.
const KEPT: usize = 4096;
/// How many products of one order are read at a time.
const READS: usize = 8;

/// Products by provider, name and partner.
#[derive(Default)]
pub(super) struct Catalogue {
    schemas: Schemas,
    products: Mutex<HashMap<Key, (Instant, Arc<Product>)>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    product: String,
    partner: String,
    generation: u32,
}

impl Catalogue {
    /// Checks every item against its product. A provider that cannot show products checks for itself.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION, PRODUCT_NOT_FOUND, CURRENCY_MISMATCH, and those of the provider.
    pub(super) async fn check(
        &self,
        call: &Call,
        provider: &Provider,
        method: &Method,
        order: &Order,
        max_price: Option<&Money>,
    ) -> Result<()> {
        if provider.method(Op::GetProduct).is_none() {
            return Ok(());
        }
        let products = self.products(call, provider, order).await?;
        let mut mistakes = Mistakes::default();
        for (index, item) in order.items.iter().enumerate() {
            let Some(product) = products.get(item.product.as_str()) else { continue };
            let field = format!("order.items[{index}]");
            let schema = product.options_schema.as_str();
            let options = format!("{field}.options");
            mistakes.extend(self.schemas.check(schema, item.options.as_ref(), &options)?);
            if method.terms.is_empty() && needs_term(product, item) {
                mistakes.add(format!("{field}.term"), "is required for this product");
            }
        }
        mistakes.finish()?;
        let mut priced =
            order.items.iter().filter_map(|item| Some((products.get(&item.product)?, item)));
        match max_price {
            Some(limit) => priced.try_for_each(|(product, item)| currency(product, item, limit)),
            None => Ok(()),
        }
    }

    async fn products(
        &self,
        call: &Call,
        provider: &Provider,
        order: &Order,
    ) -> Result<BTreeMap<String, Arc<Product>>> {
        let mut names: Vec<String> = order.items.iter().map(|item| item.product.clone()).collect();
        names.sort_unstable();
        names.dedup();
        stream::iter(names)
            .map(|name: String| async move {
                let product = self.product(call, provider, &name, &order.partner).await?;
                Ok((name, product))
            })
            .buffer_unordered(READS)
            .try_collect()
            .await
    }

    async fn product(
        &self,
        call: &Call,
        provider: &Provider,
        name: &str,
        partner: &str,
    ) -> Result<Arc<Product>> {
        let key = Key {
            product: name.to_owned(),
            partner: partner.to_owned(),
            generation: provider.plugin_info().map_or(0, |plugin| plugin.generation),
        };
        let kept = self.products.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((read_at, product)) = &kept
            && read_at.elapsed() < FRESH
        {
            return Ok(Arc::clone(product));
        }
        let id = name.parse::<ProductName>().map_err(|error| error.field("order.items"))?;
        let request = GetProductRequest {
            name: name.to_owned(),
            partner: partner.to_owned(),
            ..GetProductRequest::default()
        };
        let told =
            read(provider, Op::GetProduct, &request, &[id.id().to_owned()], call.deadline).await;
        match (told, kept) {
            (Ok(product), _) => Ok(self.keep(key, product)),
            // An upstream that is away for a while does not keep orders from being accepted.
            (Err(error), Some((_, product))) if transient(error.reason) => Ok(product),
            (Err(error), _) => Err(about(error, name)),
        }
    }

    fn keep(&self, key: Key, product: Product) -> Arc<Product> {
        let product = Arc::new(product);
        let mut products = self.products.lock().unwrap_or_else(PoisonError::into_inner);
        if products.len() >= KEPT {
            products.clear();
        }
        products.insert(key, (Instant::now(), Arc::clone(&product)));
        product
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

/// Whether the product is sold for terms and the item names none.
fn needs_term(product: &Product, item: &OrderItem) -> bool {
    let recurs = |term: &Term| term.kind() == Kind::Recurring;
    item.term.as_ref().is_none_or(|term| term.kind() == Kind::Unspecified)
        && product.offers.iter().filter_map(|offer| offer.term.as_ref()).any(recurs)
}

/// Refuses a limit in a currency that the product is not sold in.
fn currency(product: &Product, item: &OrderItem, limit: &Money) -> Result<()> {
    let same_term = |term: &Option<Term>| match (term, &item.term) {
        (Some(offered), Some(asked)) => {
            offered.kind == asked.kind && offered.period == asked.period
        }
        _ => true,
    };
    let offers = product.offers.iter().filter(|offer| same_term(&offer.term));
    let mut currencies: Vec<&str> = offers
        .filter_map(|offer| Some(offer.price.as_ref()?.amount.as_ref()?.currency_code.as_str()))
        .filter(|code| !code.is_empty())
        .collect();
    currencies.sort_unstable();
    currencies.dedup();
    if currencies.is_empty() || currencies.contains(&limit.currency_code.as_str()) {
        return Ok(());
    }
    let message = format!(
        "max_price is in {}, and {} is sold in {}",
        limit.currency_code,
        item.product,
        currencies.join(", ")
    );
    Err(Error::new(ErrorReason::CurrencyMismatch, message).with_metadata("resource", &item.product))
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::term::Period;
    use purveyor_sdk::v1::price::Tax;
    use purveyor_sdk::v1::product::Offer;
    use purveyor_sdk::v1::{Money, OrderItem, Price, Product, Term};

    use super::{currency, needs_term};

    fn product(offers: &[(u32, &str)]) -> Product {
        let offer = |(months, code): &(u32, &str)| Offer {
            term: Some(Term::recurring(Period::Months(*months), "")),
            price: Some(Price::of(Money::parse(*code, "1").unwrap(), Tax::Included)),
            ..Offer::default()
        };
        Product { offers: offers.iter().map(offer).collect(), ..Product::default() }
    }

    fn item(months: Option<u32>) -> OrderItem {
        let term = months.map(|months| Term::recurring(Period::Months(months), ""));
        OrderItem { term, ..OrderItem::default() }
    }

    #[test]
    fn a_limit_is_in_a_currency_of_the_product() {
        fn check(offers: &[(u32, &str)], months: Option<u32>, limit: &str, expected: bool) {
            let limit = Money::parse(limit, "10").unwrap();
            let found = currency(&product(offers), &item(months), &limit);
            assert_eq!(found.is_ok(), expected, "{offers:?} {months:?}");
        }
        check(&[(1, "EUR")], Some(1), "EUR", true);
        check(&[(1, "EUR")], Some(1), "USD", false);
        check(&[(1, "EUR"), (12, "USD")], Some(1), "USD", false);
        check(&[(1, "EUR"), (12, "USD")], Some(12), "USD", true);
        check(&[(1, "EUR"), (1, "USD")], Some(1), "USD", true);
        check(&[(1, "EUR")], None, "USD", false);
        check(&[(1, "")], Some(1), "USD", true);
        check(&[], Some(1), "USD", true);
        check(&[(1, "EUR")], Some(3), "USD", true);
    }

    #[test]
    fn a_product_that_is_sold_for_terms_needs_one() {
        fn check(offers: &[(u32, &str)], months: Option<u32>, expected: bool) {
            assert_eq!(needs_term(&product(offers), &item(months)), expected);
        }
        check(&[(1, "EUR")], None, true);
        check(&[(1, "EUR")], Some(1), false);
        check(&[], None, false);
    }
}
