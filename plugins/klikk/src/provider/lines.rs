//! The items of a request, checked and as they are sent. What can be refused here is refused before
//! anything is sent, every mistake at once.

use purveyor_sdk::plugin::v1::FieldViolation;
use purveyor_sdk::v1::{CreateOrderRequest, ErrorReason, OrderItem, Term};
use purveyor_sdk::{Error, Period, Result};

use super::Klikk;
use crate::client::NewItem;
use crate::config::Sold;
use crate::{options, token};

/// The most items of one order; the upstream names no limit.
pub(super) const MAX_ITEMS: usize = 50;

/// The most characters of a name as it is sent. Assumption: a name of this length comes back whole; one
/// that is cut loses the mark by which it is known.
const MAX_NAME: usize = 100;

impl Klikk {
    /// The items of a request as they are sent; with their marks if `tokens`.
    ///
    /// # Errors
    ///
    /// Every FIELD_VIOLATION at once; PRODUCT_NOT_FOUND.
    pub(super) fn lines(
        &self,
        request: &CreateOrderRequest,
        request_id: &str,
        tokens: bool,
    ) -> Result<Vec<NewItem>> {
        let order = request.order.as_ref();
        let order = order.ok_or_else(|| Error::field("order", "is missing"))?;
        if order.items.is_empty() || order.items.len() > MAX_ITEMS {
            return Err(Error::field("order.items", format!("must be 1 to {MAX_ITEMS}")));
        }
        let mut violations = Vec::new();
        for (field, value) in
            [("order.customer", &order.customer), ("order.partner", &order.partner)]
        {
            if !value.is_empty() {
                let description = "the upstream sells to the account's owner only".to_owned();
                violations.push(FieldViolation { field: field.to_owned(), description });
            }
        }
        let mut lines = Vec::new();
        for (index, item) in order.items.iter().enumerate() {
            let mark = tokens.then(|| token::of(request_id, index));
            match self.line(item, mark.as_deref(), &format!("order.items[{index}]")) {
                Ok(line) => lines.push(line),
                Err(error) if error.reason == ErrorReason::FieldViolation => {
                    violations.extend(error.violations);
                }
                Err(error) => return Err(error),
            }
        }
        if violations.is_empty() { Ok(lines) } else { Err(Error::fields(violations)) }
    }

    fn line(&self, item: &OrderItem, mark: Option<&str>, path: &str) -> Result<NewItem> {
        let (product, sold) = self.sold(&item.product, &format!("{path}.product"))?;
        let mut violations = not_taken(item, path);
        let mut add = |field: &str, description: String| {
            violations.push(FieldViolation { field: format!("{path}.{field}"), description });
        };
        if item.quantity != 1 {
            add("quantity", "must be 1: the upstream sells one server with an item".to_owned());
        }
        if let Err(description) = check_term(item.term.as_ref(), sold) {
            add("term", description);
        }
        let name = mark
            .map_or_else(|| item.display_name.clone(), |mark| token::put(&item.display_name, mark));
        if let Err(description) = check_name(&item.display_name, &name, mark) {
            add("display_name", description);
        }
        let path = format!("{path}.options");
        let options = options::check(item.options.as_ref(), &path, sold.own_schema);
        let options = options.unwrap_or_else(|wrong| {
            violations.extend(wrong);
            Default::default()
        });
        if !violations.is_empty() {
            return Err(Error::fields(violations));
        }
        Ok(NewItem { name, product: product.to_owned(), options })
    }
}

/// What the upstream has no member for.
fn not_taken(item: &OrderItem, path: &str) -> Vec<FieldViolation> {
    let there = [
        ("pricing", item.pricing.is_some()),
        ("plan_term", item.plan_term.is_some()),
        ("start_date", item.start_date.is_some()),
        ("next_due_date", item.next_due_date.is_some()),
    ];
    let there = there.into_iter().filter(|(_, there)| *there).map(|(field, _)| FieldViolation {
        field: format!("{path}.{field}"),
        description: "the upstream takes none".to_owned(),
    });
    there.collect()
}

/// The upstream is not told of a term: it can only be the one that is configured.
fn check_term(term: Option<&Term>, sold: &Sold) -> Result<(), String> {
    let Some(term) = term.filter(|term| **term != Term::default()) else { return Ok(()) };
    let asked: Option<Period> = term.checked_period().map_err(|error| error.to_string())?;
    match (asked, sold.period) {
        (Some(asked), Some(configured)) if asked == configured => Ok(()),
        (_, Some(configured)) => Err(format!("the product is sold for {configured} only")),
        (_, None) => Err("the upstream does not tell its terms, and none is configured".to_owned()),
    }
}

/// `given` is the caller's name, `sent` what the upstream is told. What is sent is read back in its
/// parts.
fn check_name(given: &str, sent: &str, mark: Option<&str>) -> Result<(), String> {
    if sent.is_empty() {
        return Err("is required: the upstream shows nothing else of an item".to_owned());
    }
    if token::at_end(given).is_some() || token::split(sent) != (given, mark) {
        return Err("must not look as if it had the mark that is put into names".to_owned());
    }
    if sent.chars().count() > MAX_NAME {
        return Err(format!("must be shorter: with its mark {MAX_NAME} characters at most"));
    }
    let control = given.chars().any(char::is_control);
    if control { Err("must not hold control characters".to_owned()) } else { Ok(()) }
}
