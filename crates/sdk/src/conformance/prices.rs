//! A price that the upstream tells with more digits than an amount holds, or that is no number: it hides
//! nothing beside it, and is refused where something depends on it and nowhere else.

use super::caller::{ready, told};
use super::report::{Case, Score};
use super::request::Request;
use super::stage::Stage;
use super::{Caller, Failure, Outcome, Priced, Subject};
use crate::money::{PRICE_DIGITS, PRICE_NOT_UNDERSTOOD, PRICE_PATH};
use crate::op;
use crate::plugin::v1::Op;
use crate::v1::operation::Result as Came;
use crate::v1::{
    ListOrdersResponse, ListProductsResponse, ListRenewalOptionsResponse, Notice, Operation, Order,
    Price, Product, RenewalOption,
};

/// What a plan of an installer's own costs an hour.
const BEYOND: &str = "0.0001369863";

const NO_NUMBER: &str = "on request";

const UNKNOWN: &str = "PRICE_UNKNOWN";

/// What one row of a read shows of prices.
struct Row {
    name: String,
    prices: Vec<Option<Price>>,
    notices: Vec<Notice>,
}

pub(super) async fn run<S: Subject>(stage: &Stage<'_, S>, case: Case, score: &mut Score) {
    stage.subject.calm().await;
    let (method, outcome) = match stage.subject.priced(&stage.caller).await {
        Ok(Some(priced)) => {
            let method = op::info(priced.shown.op()).map_or("", |info| info.method);
            (method, Some(shown(stage, case, &priced).await))
        }
        Ok(None) => ("", None),
        Err(failure) => ("", Some(Err(failure))),
    };
    score.note_some(case, method, outcome);
    stage.subject.calm().await;
}

async fn shown<S: Subject>(stage: &Stage<'_, S>, case: Case, priced: &Priced) -> Outcome<()> {
    let digits = if case == Case::PriceBeyond { BEYOND } else { NO_NUMBER };
    let before = rows(&stage.caller, &priced.shown).await?;
    stage.subject.misprice(priced, digits).await?;
    compare(&before, &rows(&stage.caller, &priced.shown).await?, case, digits)?;
    if stage.claim(Op::CheckProvider).is_some()
        && let Some(check) = stage.subject.sample(&stage.caller, Op::CheckProvider).await?
    {
        check.send(&stage.caller).await?;
    }
    for request in &priced.bound {
        match case {
            Case::PriceBeyond => decided(stage, request.clone()).await?,
            _ => refused(stage, request.clone(), digits).await?,
        }
    }
    for request in &priced.free {
        stage.caller.perform(request.clone()).await?;
    }
    Ok(())
}

/// That nothing else has changed than the price, and how that is shown.
fn compare(before: &[Row], after: &[Row], case: Case, digits: &str) -> Outcome<()> {
    let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
    if names(before) != names(after) {
        let (before, after) = (names(before), names(after));
        return Err(Failure::new(format_args!("{before:?} became {after:?}")));
    }
    let mut changed = 0;
    for (before, after) in before.iter().zip(after) {
        let mut differ = Vec::new();
        for (index, price) in after.prices.iter().enumerate() {
            if before.prices.get(index) != Some(price) {
                differ.push(price.clone().unwrap_or_default());
            }
        }
        changed += differ.len();
        for price in &differ {
            as_told(price, case, digits)?;
        }
        let wrong = |notice: &&Notice| notice.reason == PRICE_NOT_UNDERSTOOD;
        let notices = after.notices.iter().filter(wrong).collect::<Vec<_>>();
        let expected = if case == Case::PriceBeyond { 0 } else { differ.len() };
        let says = |notice: &&Notice| notice.message.contains(digits) && !notice.source.is_empty();
        if notices.len() != expected || !notices.iter().all(says) {
            let name = &after.name;
            return Err(Failure::new(format_args!(
                "{name} has {} such prices and the notices {notices:?}",
                differ.len()
            )));
        }
    }
    if changed == 0 {
        Err(Failure::new("no price is shown as the upstream tells it"))
    } else {
        Ok(())
    }
}

/// Rounded with its ceiling, or without an amount; the digits beside it.
fn as_told(price: &Price, case: Case, digits: &str) -> Outcome<()> {
    let rounded = case == Case::PriceBeyond;
    let amounts = price.amount.is_some() == rounded && price.ceiling.is_some() == rounded;
    if amounts && price.display_text == digits {
        return Ok(());
    }
    Err(Failure::new(format_args!("{digits} is shown as {price:?}")))
}

/// That a write which depends on the price is refused for that, also where it is only to be quoted, and
/// nothing is sold.
async fn refused<S: Subject>(stage: &Stage<'_, S>, request: Request, digits: &str) -> Outcome<()> {
    let moment = stage.moment().await;
    let mut quote = ready(request.clone());
    if let Some(frame) = quote.frame() {
        *frame.validate_only = true;
    }
    is_refused(&stage.caller.accepted(quote).await?, digits)?;
    is_refused(&ended(stage, request).await?, digits)?;
    stage.nothing_since(&moment, &[]).await
}

fn is_refused(operation: &Operation, digits: &str) -> Outcome<()> {
    match &operation.result {
        Some(Came::Error(error))
            if operation.done
                && error.reason == UNKNOWN
                && error.metadata.get(PRICE_DIGITS).is_some_and(|told| told == digits)
                && error.metadata.contains_key(PRICE_PATH) =>
        {
            Ok(())
        }
        _ => {
            let found = told(operation);
            Err(Failure::new(format_args!("expected {UNKNOWN} {digits}, got {found}")))
        }
    }
}

/// That a write which depends on the price ends, and not because of it.
async fn decided<S: Subject>(stage: &Stage<'_, S>, request: Request) -> Outcome<()> {
    let operation = ended(stage, request).await?;
    match &operation.result {
        Some(Came::Error(error)) if error.reason == UNKNOWN => {
            Err(Failure::new(format_args!("a number is not known: {}", told(&operation))))
        }
        _ if operation.done => Ok(()),
        _ => Err(Failure::new(format_args!("it does not end: {}", told(&operation)))),
    }
}

async fn ended<S: Subject>(stage: &Stage<'_, S>, request: Request) -> Outcome<Operation> {
    let operation = stage.caller.accepted(ready(request)).await?;
    stage.caller.rests(&operation.name).await
}

/// All rows of a read that shows prices.
async fn rows(caller: &Caller, request: &Request) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    let mut request = request.clone();
    loop {
        let next = match request.clone() {
            Request::ListProducts(it) => {
                let page: ListProductsResponse = caller.ask(Op::ListProducts, it).await?;
                rows.extend(page.products.iter().map(of_product));
                page.next_page_token
            }
            Request::ListRenewalOptions(it) => {
                let page: ListRenewalOptionsResponse =
                    caller.ask(Op::ListRenewalOptions, it).await?;
                rows.extend(page.renewal_options.iter().map(of_option));
                page.next_page_token
            }
            Request::ListOrders(it) => {
                let page: ListOrdersResponse = caller.ask(Op::ListOrders, it).await?;
                rows.extend(page.orders.iter().map(of_order));
                page.next_page_token
            }
            Request::GetOrder(it) => {
                let order: Order = caller.ask(Op::GetOrder, it).await?;
                rows.push(of_order(&order));
                String::new()
            }
            other => {
                let method = other.op().as_str_name();
                return Err(Failure::new(format_args!("{method} shows no prices here")));
            }
        };
        match request.page() {
            Some(page) if !next.is_empty() => *page.token = next,
            _ => return Ok(rows),
        }
    }
}

fn of_product(product: &Product) -> Row {
    let prices = product.offers.iter().map(|offer| offer.price.clone()).collect();
    Row { name: product.name.clone(), prices, notices: product.notices.clone() }
}

fn of_option(option: &RenewalOption) -> Row {
    let services: Vec<_> = option.services.iter().map(|it| it.service.as_str()).collect();
    let name = format!("{:?} {}", option.term, services.join(" "));
    Row { name, prices: vec![option.price.clone()], notices: option.notices.clone() }
}

fn of_order(order: &Order) -> Row {
    let due = order.required_action.as_ref().and_then(|action| action.amount_due.clone());
    // What an order costs is what is due, told once more.
    let total = order.price_with_tax.clone().or(due);
    let prices = vec![total, order.price_without_tax.clone(), order.tax.clone()];
    Row { name: order.name.clone(), prices, notices: order.notices.clone() }
}

#[cfg(test)]
mod tests {
    use super::{BEYOND, Case, NO_NUMBER, Row, compare};
    use crate::money::ToldPrice;
    use crate::v1::price::Tax;

    fn row(name: &str, digits: &[&str]) -> Row {
        let told: Vec<_> = digits.iter().map(|digits| ToldPrice::new("p", digits, "EUR")).collect();
        let prices = told.iter().map(|told| Some(told.price(Tax::Included))).collect();
        let notices = told.iter().filter_map(ToldPrice::notice).collect();
        Row { name: name.to_owned(), prices, notices }
    }

    #[test]
    fn only_the_price_may_have_changed() {
        fn check(after: &[Row], case: Case, expected: bool) {
            let digits = if case == Case::PriceBeyond { BEYOND } else { NO_NUMBER };
            let before = [row("a", &["1", "2"]), row("b", &["3"])];
            assert_eq!(compare(&before, after, case, digits).is_ok(), expected);
        }
        let good = || row("b", &["3"]);
        check(&[row("a", &["1", BEYOND]), good()], Case::PriceBeyond, true);
        check(&[row("a", &["1", NO_NUMBER]), good()], Case::PriceUnread, true);
        check(&[row("a", &["1", "2"]), good()], Case::PriceBeyond, false);
        check(&[row("a", &["1", NO_NUMBER])], Case::PriceUnread, false);
        check(&[row("a", &[NO_NUMBER, "2"]), row("b", &["4"])], Case::PriceUnread, false);
        check(&[row("a", &["1", NO_NUMBER]), good()], Case::PriceBeyond, false);
        let silent = Row { notices: Vec::new(), ..row("a", &["1", NO_NUMBER]) };
        check(&[silent, good()], Case::PriceUnread, false);
    }
}
