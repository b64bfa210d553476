//! One operation with everything that an operator needs to decide: what was asked, every attempt
//! with the upstream's own answer, what could be it, and the commands to type next. It must not
//! leave out what it was given.

use std::collections::BTreeSet;
use std::fmt::Write;

use jiff::Timestamp;
use purveyor_sdk::prost_types;
use purveyor_sdk::v1::operation::note::Decision;
use purveyor_sdk::v1::operation::{Attempt, Baseline, Note, Outcome, Result as Came, State};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{Effect, Operation, OrderItem, Price, Term, UpstreamRef};

use crate::api::operations::shown::BOUGHT_AS_WELL;

/// Everything, in the order in which it is asked for at three in the morning.
pub(crate) fn render(operation: &Operation, endpoint: &str) -> String {
    let mut page = Page::default();
    page.field("operation", &operation.name);
    page.field("state", state(operation));
    page.field("problem", operation.problem.as_ref().map_or("", |problem| &problem.reason));
    page.field("message", &operation.message);
    page.field("method", &operation.method);
    page.field("target", &operation.target);
    page.field("caller", &operation.caller);
    page.field("result", &result(operation));
    page.field("blocked by", &operation.blocked_by);
    page.field("upstream", &operation.upstream.as_ref().map(upstream).unwrap_or_default());
    page.time("accepted", operation.create_time.as_ref());
    page.time("changed", operation.update_time.as_ref());
    page.time("absence counts", operation.settle_time.as_ref());
    page.time("starts before", operation.start_before.as_ref());
    page.field("trace id", &operation.trace_id);
    page.field("etag", &operation.etag);
    page.list("what was asked for", asked_for(operation).into_iter());
    for attempt in &operation.attempts {
        page.attempt(attempt);
    }
    if let Some(baseline) = &operation.baseline {
        page.baseline(baseline);
    }
    let (bought_as_well, candidates): (Vec<_>, Vec<_>) = operation
        .candidates
        .iter()
        .partition(|candidate| candidate.message.starts_with(BOUGHT_AS_WELL));
    page.list(
        if operation.done { "what turned up late" } else { "what could be it" },
        candidates.iter().map(|candidate| upstream(candidate)),
    );
    page.list("what was bought too often", bought_as_well.iter().map(|it| upstream(it)));
    if !operation.notes.is_empty() {
        page.heading("what operators said");
        for note in &operation.notes {
            let time = time(note.note_time.as_ref());
            page.line(&format!("{time} {}: {}{}", note.actor, note.text, decided(note)));
        }
        if operation.notes.last().is_some_and(|note| note.waits) {
            let until = self::time(operation.settle_time.as_ref());
            page.line(&format!(
                "the last word waits until {until}: look again by then; what is found overrules it"
            ));
        }
    }
    if operation.state() == State::NeedsOperator {
        page.resolutions(operation, endpoint);
    }
    page.text
}

/// The state without its prefix, as the documents write it.
pub(crate) fn state(operation: &Operation) -> &'static str {
    operation.state().as_str_name().trim_start_matches("STATE_")
}

/// A time in UTC, or `-` when there is none.
pub(crate) fn time(time: Option<&prost_types::Timestamp>) -> String {
    let known = time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
    known.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

/// A text without its line breaks, and without what could deceive in a terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.text.push_str("  ");
        self.text.push_str(&one_line(text));
        self.text.push('\n');
    }

    fn heading(&mut self, text: &str) {
        self.text.push('\n');
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Lines under a heading; none, no heading.
    fn list(&mut self, heading: &str, lines: impl ExactSizeIterator<Item = String>) {
        if lines.len() > 0 {
            self.heading(heading);
            lines.for_each(|line| self.line(&line));
        }
    }

    /// A named value; one that is empty says nothing and is left out.
    fn field(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let value = one_line(value);
            // Writing to a String cannot fail.
            let _ = writeln!(self.text, "{name:<16}{value}");
        }
    }

    fn time(&mut self, name: &str, value: Option<&prost_types::Timestamp>) {
        if value.is_some() {
            self.field(name, &time(value));
        }
    }

    fn attempt(&mut self, attempt: &Attempt) {
        self.heading(&format!("attempt {}: {}", attempt.number, outcome(attempt)));
        self.line(&format!("call {} ({})", attempt.call, effect(attempt.effect())));
        self.line(&format!("permit given {}", time(attempt.send_time.as_ref())));
        for (name, value) in [
            ("seen", &attempt.message),
            ("upstream id", &attempt.upstream_id),
            ("plugin", &attempt.plugin_version),
            ("plugin sha-256", &attempt.plugin_sha256),
        ] {
            if !value.is_empty() {
                self.line(&format!("{name} {value}"));
            }
        }
        if attempt.answer_status != 0 {
            let end = if attempt.answer.is_empty() { "" } else { ":" };
            let status = attempt.answer_status;
            self.line(&format!("the upstream answered with status {status}{end}"));
        }
        for line in attempt.answer.lines() {
            self.line(&format!("| {line}"));
        }
    }

    fn baseline(&mut self, baseline: &Baseline) {
        self.heading("what was there before the last attempt");
        if !baseline.highest_id.is_empty() {
            self.line(&format!("everything up to {}", baseline.highest_id));
        }
        let count = baseline.present_count;
        if count > 0 || baseline.highest_id.is_empty() {
            self.line(&format!("{count} of the kind: {}", baseline.present_ids.join(" ")));
        }
        if !baseline.similarity.is_empty() {
            self.line(&format!("cannot be told apart from others of: {}", baseline.similarity));
        }
    }

    fn resolutions(&mut self, operation: &Operation, endpoint: &str) {
        let id = operation.name.trim_start_matches("operations/");
        let command = format!(
            "purveyor operations resolve {id} --endpoint {endpoint} --etag {} --note 'WHAT YOU SAW'",
            operation.etag
        );
        self.heading("look at the provider whether it was done, then one of");
        self.line(&format!("{command} --executed UPSTREAM_ID"));
        self.line(&format!("{command} --not-executed"));
        self.line(&format!("{command} --not-executed --try-again"));
        if operation.settle_time.is_some() {
            let when = time(operation.settle_time.as_ref());
            self.line(&format!(
                "--not-executed counts from {when}; with --at-own-risk at once, and may buy twice"
            ));
        }
    }
}

/// What was asked for, and what it costs as far as that is told.
fn asked_for(operation: &Operation) -> Vec<String> {
    let term = |term: Option<&Term>| {
        let period = term.map(|term| term.period.as_str()).filter(|period| !period.is_empty());
        period.map(|period| format!(" for {period}")).unwrap_or_default()
    };
    match &operation.result {
        Some(Came::Order(order)) => {
            let line = |item: &OrderItem| {
                let cost = item.price.as_ref().map(|price| format!(", {}", cost(price)));
                let (quantity, product) = (item.quantity.max(1), &item.product);
                let name = match item.display_name.as_str() {
                    "" => String::new(),
                    name => format!(" {name:?}"),
                };
                let cost = cost.unwrap_or_default();
                format!("{quantity} x {product}{}{name}{cost}", term(item.term.as_ref()))
            };
            let mut lines: Vec<_> = order.items.iter().map(line).collect();
            let told = order.price_with_tax.as_ref().or(order.price_without_tax.as_ref());
            lines.push(format!("price: {}", told.map_or("not told".to_owned(), cost)));
            lines
        }
        Some(Came::Renewal(renewal)) => {
            let services = renewal.services.iter().map(|service| service.service.as_str());
            let services: BTreeSet<&str> = services
                .chain([renewal.service.as_str()])
                .filter(|name| !name.is_empty())
                .collect();
            let mut lines: Vec<_> = services
                .into_iter()
                .map(|name| format!("renew {name}{}", term(renewal.term.as_ref())))
                .collect();
            let price = renewal.price.as_ref().map_or("not told".to_owned(), cost);
            lines.push(format!("price: {price}"));
            lines
        }
        _ => Vec::new(),
    }
}

fn cost(price: &Price) -> String {
    let digits = &price.display_text;
    let amount = match (&price.amount, &price.ceiling) {
        (None, _) => digits.clone(),
        (Some(amount), None) => amount.to_string(),
        // Where it is rounded, the exact digits stand beside it.
        (Some(amount), Some(_)) => format!("{amount}, exactly {digits}"),
    };
    match price.tax() {
        Tax::Unspecified => amount,
        Tax::Excluded => format!("{amount} without tax"),
        Tax::Included => format!("{amount} with tax"),
    }
}

/// What an operator decided, after what they saw.
fn decided(note: &Note) -> String {
    let decision = match note.decision() {
        Decision::Unspecified => return String::new(),
        Decision::Executed => "executed",
        Decision::NotExecuted => "not executed",
        Decision::TryAgain => "not executed, try again",
    };
    let risk = if note.at_own_risk { ", at own risk" } else { "" };
    let overruled = if note.overruled { ", overruled by what was found" } else { "" };
    format!(" ({decision}{risk}{overruled})")
}

fn result(operation: &Operation) -> String {
    match &operation.result {
        None => String::new(),
        Some(Came::Error(status)) => format!("error: {}", status.message),
        Some(Came::Product(product)) => product.name.clone(),
        Some(Came::Order(order)) => order.name.clone(),
        Some(Came::Service(service)) => service.name.clone(),
        Some(Came::Renewal(renewal)) => renewal.name.clone(),
        Some(Came::Deleted(name)) => format!("{name} is gone"),
        Some(Came::Quote(_)) => "a quote".to_owned(),
    }
}

fn outcome(attempt: &Attempt) -> &'static str {
    match attempt.outcome() {
        Outcome::Unspecified => "under way, or cut off by a crash",
        known => known.as_str_name().trim_start_matches("OUTCOME_"),
    }
}

fn effect(effect: Effect) -> &'static str {
    effect.as_str_name().trim_start_matches("EFFECT_")
}

/// `order 4711 (WAIT): waits for the payment`, of which any part may be missing.
fn upstream(reference: &UpstreamRef) -> String {
    let UpstreamRef { ids, r#type, state, message } = reference;
    let mut text = [r#type.as_str(), &ids.join(", ")].join(" ").trim().to_owned();
    for part in [
        if state.is_empty() { String::new() } else { format!(" ({state})") },
        if message.is_empty() { String::new() } else { format!(": {message}") },
    ] {
        text.push_str(&part);
    }
    text
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::v1::{Money, Order, Status};

    use super::*;

    fn waiting() -> Operation {
        let lost = Attempt {
            number: 1,
            call: "product.create".to_owned(),
            outcome: Outcome::Unknown.into(),
            effect: Effect::Spend.into(),
            send_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
            message: "the answer ended early".to_owned(),
            plugin_version: "acme 1.0.0".to_owned(),
            answer: "HTTP\n\u{1b}[31mred".to_owned(),
            answer_status: 200,
            ..Attempt::default()
        };
        let candidate = UpstreamRef {
            ids: vec!["4711".to_owned()],
            r#type: "order".to_owned(),
            state: "WAIT".to_owned(),
            ..UpstreamRef::default()
        };
        let duplicate = UpstreamRef {
            ids: vec!["4712".to_owned()],
            message: BOUGHT_AS_WELL.to_owned(),
            ..UpstreamRef::default()
        };
        let disk = OrderItem {
            product: "providers/acme/products/disk".to_owned(),
            quantity: 2,
            term: Some(Term { period: "P1M".to_owned(), ..Term::default() }),
            ..OrderItem::default()
        };
        let amount = Some(Money { currency_code: "EUR".to_owned(), units: 12, nanos: 500_000_000 });
        let price = Price { amount, tax: Tax::Included.into(), ..Price::default() };
        let order = Order {
            name: "providers/acme/orders/a1".to_owned(),
            items: vec![disk],
            price_with_tax: Some(price),
            ..Order::default()
        };
        let problem = Status { reason: "DUPLICATE_DETECTED".to_owned(), ..Status::default() };
        let baseline = Baseline {
            present_ids: vec!["4709".to_owned(), "4710".to_owned()],
            present_count: 2,
            similarity: "shares 2".to_owned(),
            highest_id: "4708".to_owned(),
        };
        let note = Note {
            note_time: Some(prost_types::Timestamp { seconds: 1_800_000_060, nanos: 0 }),
            actor: "ops".to_owned(),
            text: "not in their pages".to_owned(),
            decision: Decision::TryAgain.into(),
            waits: true,
            ..Note::default()
        };
        Operation {
            name: "operations/a1".to_owned(),
            state: State::NeedsOperator.into(),
            problem: Some(problem),
            baseline: Some(baseline),
            notes: vec![note],
            method: "Orders.CreateOrder".to_owned(),
            message: "several orders could be it".to_owned(),
            attempts: vec![lost],
            candidates: vec![candidate, duplicate],
            settle_time: Some(prost_types::Timestamp { seconds: 1_800_000_120, nanos: 0 }),
            result: Some(Came::Order(order)),
            etag: "3".to_owned(),
            ..Operation::default()
        }
    }

    #[test]
    fn an_operator_is_shown_everything_and_what_to_type() {
        assert_eq!(
            render(&waiting(), "http://127.0.0.1:1"),
            "\
operation       operations/a1
state           NEEDS_OPERATOR
problem         DUPLICATE_DETECTED
message         several orders could be it
method          Orders.CreateOrder
result          providers/acme/orders/a1
absence counts  2027-01-15T08:02:00Z
etag            3

what was asked for
  2 x providers/acme/products/disk for P1M
  price: 12.5 EUR with tax

attempt 1: UNKNOWN
  call product.create (SPEND)
  permit given 2027-01-15T08:00:00Z
  seen the answer ended early
  plugin acme 1.0.0
  the upstream answered with status 200:
  | HTTP
  |  [31mred

what was there before the last attempt
  everything up to 4708
  2 of the kind: 4709 4710
  cannot be told apart from others of: shares 2

what could be it
  order 4711 (WAIT)

what was bought too often
  4712: was bought for this operation as well

what operators said
  2027-01-15T08:01:00Z ops: not in their pages (not executed, try again)
  the last word waits until 2027-01-15T08:02:00Z: look again by then; what is found overrules it

look at the provider whether it was done, then one of
  purveyor operations resolve a1 --endpoint http://127.0.0.1:1 --etag 3 --note 'WHAT YOU SAW' --executed UPSTREAM_ID
  purveyor operations resolve a1 --endpoint http://127.0.0.1:1 --etag 3 --note 'WHAT YOU SAW' --not-executed
  purveyor operations resolve a1 --endpoint http://127.0.0.1:1 --etag 3 --note 'WHAT YOU SAW' --not-executed --try-again
  --not-executed counts from 2027-01-15T08:02:00Z; with --at-own-risk at once, and may buy twice
"
        );
    }

    #[test]
    fn a_done_operation_offers_no_resolution() {
        let done = Operation { state: State::Succeeded.into(), ..waiting() };
        assert!(!render(&done, "http://127.0.0.1:1").contains("resolve"));
    }
}
