//! Gandi: an order of shares, found by comparing the account's operations with those before. Its
//! ledger tells products apart by name, quantity and term alone, so an order and the next are the
//! same, and one that is bought twice shows as a sale too many.

use std::process::Command;

use purveyor_sdk::v1::term::Kind;
use purveyor_sdk::v1::{CreateOrderRequest, Order as Wanted, OrderItem, Term};
use serde_json::{Value, json};
use xtask::configuration::Provider;

use super::{Entry, Order, Subject};
use crate::torture::call::Write;

/// What a wrong body orders more of.
const WRONG: usize = 1_000_000;

pub(super) struct Gandi;

impl Subject for Gandi {
    fn name(&self) -> &'static str {
        "gandi"
    }

    fn simulate(&self, command: &mut Command, accounts: &[usize]) {
        for account in accounts {
            command.args(["--api-key", &key(*account)]);
        }
        command.args(["--prepaid", "1000000000.00"]);
    }

    fn prepare(&self, _accounts: &[usize], _orders: usize) -> Vec<(&'static str, Value)> {
        vec![("/mode", json!({ "listing_lag_ms": 100 }))]
    }

    fn provider(&self, account: usize, url: &str) -> Provider {
        Provider::new("gandi", url).credential("api-key", &key(account))
    }

    fn sells(&self) -> &'static [&'static str] {
        &["hosting.product.create"]
    }

    fn lists(&self) -> &'static [&'static str] {
        &["operation.list"]
    }

    fn write(&self, order: &Order) -> Write {
        let item = OrderItem {
            product: format!("providers/{}/products/shares", order.provider),
            quantity: i32::try_from(quantity(order)).unwrap_or(i32::MAX),
            term: Some(Term {
                kind: Kind::Recurring.into(),
                period: "P1M".to_owned(),
                ..Term::default()
            }),
            ..OrderItem::default()
        };
        Write::Order(CreateOrderRequest {
            parent: format!("providers/{}", order.provider),
            order: Some(Wanted { items: vec![item], ..Wanted::default() }),
            ..CreateOrderRequest::default()
        })
    }

    fn holder(&self, account: usize) -> String {
        if account == 0 { "AB3917-GANDI".to_owned() } else { format!("SIM{account:04}-GANDI") }
    }

    fn asked(&self, order: &Order) -> String {
        format!("shares {} 1m", quantity(order))
    }

    fn sold(&self, entry: &Entry) -> Option<String> {
        let Entry { product_name, quantity, .. } = entry;
        let term = entry.duration.as_deref().unwrap_or_default();
        (entry.kind == "product_add").then(|| format!("{product_name} {quantity} {term}"))
    }

    fn item(&self, entry: &Entry) -> Option<String> {
        Some(entry.operation_id.clone())
    }

    fn tells_identity(&self) -> bool {
        true
    }
}

/// Pairs of orders are the same.
fn quantity(order: &Order) -> usize {
    1 + order.position / 2 + if order.wrong { WRONG } else { 0 }
}

fn key(account: usize) -> String {
    format!("torture{account:017}")
}
