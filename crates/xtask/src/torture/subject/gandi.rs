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
use crate::torture::faults::EFFECT_LAG_MS;
use crate::torture::options::Hazard;
use crate::torture::person::{Command as Act, Deed, Scene};

/// What a wrong body orders more of.
const WRONG: usize = 1_000_000;
/// A date that is far ahead.
const AHEAD: &str = "2099-01-01T00:00:00Z";
/// The upstream's fault for an operation that is not there.
const MISSING: i32 = 510_242;

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

    fn mode(&self, hazard: Hazard) -> Option<Value> {
        match hazard {
            Hazard::EffectLag => Some(json!({ "effect_lag_ms": EFFECT_LAG_MS })),
            // Nothing else can be cancelled than what waits.
            Hazard::Person => Some(json!({ "wait_ms": 150 })),
            _ => None,
        }
    }

    fn person(&self, deed: Deed, scene: &mut Scene<'_>) -> Option<Act> {
        let account = self.holder(scene.account);
        let act = |method: &str, params: Value| {
            Act::post("/person", json!({ "account": account, "method": method, "params": params }))
        };
        let added = |entry: &Entry| entry.kind == "product_add";
        let number = |id: &str| id.parse::<i32>().ok();
        match deed {
            Deed::Buys => {
                // What is new on an account of the gateway's own is the gateway's.
                let quantity = scene.shared.then(|| scene.dice.between(1, 2))?;
                let wanted =
                    json!([{ "product_name": "shares", "quantity": quantity, "duration": "1m" }]);
                let mut act = act("hosting.product.create", wanted);
                if scene.ahead_s.is_some() {
                    act.body["date_created"] = AHEAD.into();
                }
                Some(act.dated(scene.ahead_s.is_some()))
            }
            Deed::Renews => {
                let product = scene.recent(added)?.product_id.as_deref().and_then(number)?;
                Some(act("hosting.product.renew", json!([product, { "duration": "1m" }])))
            }
            Deed::Changes => {
                let bought = scene.recent(added)?;
                let product = bought.product_id.as_deref().and_then(number)?;
                let quantity = scene.dice.between(30, 40);
                let act = act("hosting.product.update", json!([product, { "quantity": quantity }]));
                Some(act.disguising(&bought.operation_id))
            }
            Deed::Cancels => {
                let operation = &scene.recent(added)?.operation_id;
                let act = act("operation.cancel", json!([number(operation)?]));
                Some(act.touching(operation))
            }
            Deed::Misses => {
                let missing = json!({ "kind": "fault", "code": MISSING, "text": "not found" });
                Some(Act::once("operation.info", missing))
            }
            Deed::TellsWord => {
                let path = format!("/operations/{}/word", scene.recent(added)?.operation_id);
                let told = Act::post(path.as_str(), json!({ "word": "HELD" }));
                Some(told.undone_by(path, json!({ "word": null })))
            }
            Deed::Pays | Deed::Renames | Deed::DatesAhead | Deed::CutsNames => None,
        }
    }

    fn undone(&self, entry: &Entry) -> Option<String> {
        (entry.kind == "refund").then(|| entry.operation_id.clone())
    }

    fn shows_duplicates(&self, shared: bool, may_be_lost: bool) -> bool {
        // What is new there may be anybody's.
        !(shared || may_be_lost)
    }

    fn shows_late(&self) -> bool {
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
