//! One row that the upstream tells in a way that cannot be read whole: the list shows it with its gap and
//! every other row as it was, another row is read, and another purchase ends.

use super::report::{Case, Score};
use super::request::Request;
use super::stage::Stage;
use super::{BadRow, Caller, Failure, Outcome, Subject};
use crate::op;
use crate::plugin::v1::Op;
use crate::rows::ROW_INCOMPLETE;
use crate::v1::{ListOrdersResponse, ListProductsResponse, ListServicesResponse, Notice};

/// What one row of a list shows.
#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    whole: String,
    gaps: Vec<Notice>,
}

pub(super) async fn run<S: Subject>(stage: &Stage<'_, S>, score: &mut Score) {
    stage.subject.calm().await;
    let (method, outcome) = match stage.subject.bad_row(&stage.caller).await {
        Ok(bad) => {
            let method = op::info(bad.shown.op()).map_or("", |info| info.method);
            (method, shown(stage, &bad).await)
        }
        Err(failure) => ("", Err(failure)),
    };
    score.note(Case::BadRow, method, outcome);
    stage.subject.calm().await;
}

async fn shown<S: Subject>(stage: &Stage<'_, S>, bad: &BadRow) -> Outcome<()> {
    let before = rows(&stage.caller, &bad.shown).await?;
    stage.subject.spoil(bad).await?;
    compare(&before, &rows(&stage.caller, &bad.shown).await?, &bad.name)?;
    for request in &bad.good {
        request.clone().send(&stage.caller).await?;
    }
    for request in &bad.free {
        stage.caller.perform(request.clone()).await?;
    }
    Ok(())
}

/// That one row alone has changed, `bad` where it is named, and says why.
fn compare(before: &[Row], after: &[Row], bad: &str) -> Outcome<()> {
    let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
    if names(before) != names(after) {
        let (before, after) = (names(before), names(after));
        return Err(Failure::new(format_args!("{before:?} became {after:?}")));
    }
    let pairs = before.iter().zip(after).filter(|(before, after)| before != after);
    let changed: Vec<&Row> = pairs.map(|(_, after)| after).collect();
    match changed.as_slice() {
        [one] if one.gaps.is_empty() => Err(Failure::new(format_args!("{one:?} says no gap"))),
        [one] if bad.is_empty() || one.name == bad => Ok(()),
        rows => Err(Failure::new(format_args!("expected {bad:?} to change, got {rows:?}"))),
    }
}

/// All rows of a list.
async fn rows(caller: &Caller, request: &Request) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    let mut request = request.clone();
    loop {
        let next = match request.clone() {
            Request::ListProducts(it) => {
                let page: ListProductsResponse = caller.ask(Op::ListProducts, it).await?;
                let shown = page.products.iter().map(|row| of(&row.name, row, &row.notices));
                rows.extend(shown);
                page.next_page_token
            }
            Request::ListServices(it) => {
                let page: ListServicesResponse = caller.ask(Op::ListServices, it).await?;
                let shown = page.services.iter().map(|row| of(&row.name, row, &row.notices));
                rows.extend(shown);
                page.next_page_token
            }
            Request::ListOrders(it) => {
                let page: ListOrdersResponse = caller.ask(Op::ListOrders, it).await?;
                let shown = page.orders.iter().map(|row| of(&row.name, row, &row.notices));
                rows.extend(shown);
                page.next_page_token
            }
            other => {
                let method = other.op().as_str_name();
                return Err(Failure::new(format_args!("{method} shows no rows here")));
            }
        };
        match request.page() {
            Some(page) if !next.is_empty() => *page.token = next,
            _ => return Ok(rows),
        }
    }
}

fn of(name: &str, row: &impl std::fmt::Debug, notices: &[Notice]) -> Row {
    let gaps = notices.iter().filter(|notice| notice.reason == ROW_INCOMPLETE);
    let gaps = gaps.cloned().collect();
    Row { name: name.to_owned(), whole: format!("{row:?}"), gaps }
}

#[cfg(test)]
mod tests {
    use super::{Notice, Row, compare};

    fn row(name: &str, whole: &str, gaps: usize) -> Row {
        let (name, whole) = (name.to_owned(), whole.to_owned());
        Row { name, whole, gaps: vec![Notice::default(); gaps] }
    }

    #[test]
    fn one_row_alone_may_change_and_says_why() {
        fn check(after: &[Row], expected: bool) {
            let before = [row("a", "1", 0), row("b", "2", 0)];
            assert_eq!(compare(&before, after, "a").is_ok(), expected, "{after:?}");
        }
        check(&[row("a", "0", 1), row("b", "2", 0)], true);
        check(&[row("a", "0", 0), row("b", "2", 0)], false);
        check(&[row("a", "1", 0), row("b", "2", 0)], false);
        check(&[row("a", "1", 0), row("b", "0", 1)], false);
        check(&[row("a", "0", 1), row("b", "0", 1)], false);
        check(&[row("b", "2", 0)], false);
        check(&[], false);
    }
}
