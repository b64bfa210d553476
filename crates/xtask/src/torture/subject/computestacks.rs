//! ComputeStacks: a product with a price, which takes three steps; found by comparing the catalogue with
//! what it was. A catalogue is its controller's and not an account's, so every account is a controller
//! of its own. A product that is made twice has the same label twice.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use http::Method;
use purveyor_sdk::v1::operation::Result as Made;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::product::{Offer, Package, Shape};
use purveyor_sdk::v1::term::Kind;
use purveyor_sdk::v1::{
    CreateProductRequest, DeleteProductRequest, Money, Operation, Price, Product, Term,
};
use serde_json::{Value, json};
use xtask::configuration::Provider;

use super::{Entry, Order, Subject};
use crate::torture::call::Write;
use crate::torture::options::Hazard;
use crate::torture::person::{Command as Act, Deed, Scene};

/// An identifier comes back when no window of anybody who saw its earlier product is open any more. One
/// that comes back sooner is for a person to judge: a listing does not tell the two products apart.
const REUSED_AFTER: Duration = Duration::from_secs(10);

pub(super) struct ComputeStacks;

impl Subject for ComputeStacks {
    fn name(&self) -> &'static str {
        "computestacks"
    }

    fn simulators(&self, accounts: usize) -> usize {
        accounts
    }

    fn simulate(&self, command: &mut Command, accounts: &[usize]) {
        for account in accounts {
            command.args(["--user", &format!("{}:{}", self.holder(*account), password(*account))]);
        }
    }

    fn prepare(&self, _accounts: &[usize], _orders: usize) -> Vec<(&'static str, Value)> {
        vec![("/mode", json!({ "listing_lag_ms": 100 }))]
    }

    fn provider(&self, account: usize, url: &str) -> Provider {
        let regions: toml::Table = [("fra".to_owned(), toml::Value::from(1))].into_iter().collect();
        let credential = format!("{}:{}", self.holder(account), password(account));
        Provider::new("computestacks", url)
            .credential("api-credential", &credential)
            .setting("billing_plan", 1)
            .setting("regions", regions)
    }

    fn sells(&self) -> &'static [&'static str] {
        &["POST /api/admin/products"]
    }

    fn lists(&self) -> &'static [&'static str] {
        &["GET /api/admin/products"]
    }

    fn write(&self, order: &Order) -> Write {
        let amount = Money { currency_code: "EUR".to_owned(), units: 6, nanos: 0 };
        let offer = Offer {
            term: Some(Term { kind: Kind::Metered.into(), ..Term::default() }),
            price: Some(Price {
                amount: Some(amount),
                tax: Tax::Unspecified.into(),
                ..Price::default()
            }),
            regions: vec!["fra".to_owned()],
            ..Offer::default()
        };
        let package = Package {
            cpu_cores: Some("2.50".to_owned()),
            memory_mb: Some(1536),
            storage_gb: Some(18),
            ..Package::default()
        };
        let product = Product {
            display_name: label(order),
            group: "torture".to_owned(),
            shape: Some(Shape::Package(package)),
            offers: vec![offer],
            ..Product::default()
        };
        Write::Product(CreateProductRequest {
            parent: format!("providers/{}", order.provider),
            product: Some(product),
            ..CreateProductRequest::default()
        })
    }

    fn holder(&self, account: usize) -> String {
        format!("stacks-{account}")
    }

    fn asked(&self, order: &Order) -> String {
        label(order)
    }

    fn sold(&self, entry: &Entry) -> Option<String> {
        (entry.kind == "product_add").then(|| entry.product_name.clone())
    }

    fn end(&self, operation: &Operation) -> Option<Write> {
        let Some(Made::Product(product)) = &operation.result else { return None };
        Some(Write::Deletion(DeleteProductRequest {
            name: product.name.clone(),
            ..DeleteProductRequest::default()
        }))
    }

    fn ended(&self, entry: &Entry) -> Option<String> {
        (entry.kind == "product_delete").then(|| entry.operation_id.clone())
    }

    fn reuse_ids(&self) -> Option<(&'static str, Value)> {
        let after = REUSED_AFTER.as_millis();
        Some(("/mode", json!({ "reuse_ids": true, "reuse_ids_after_ms": after })))
    }

    fn reused_after(&self) -> Duration {
        REUSED_AFTER
    }

    fn tells_account(&self) -> bool {
        true
    }

    fn refuses(&self) -> bool {
        true
    }

    fn mode(&self, hazard: Hazard) -> Option<Value> {
        // A list lags as an effect does, and has to keep to what is said of lists.
        (hazard == Hazard::EffectLag).then(|| json!({ "effect_lag_ms": 200 }))
    }

    fn shows_duplicates(&self, shared: bool, may_be_lost: bool) -> bool {
        // What is new there may be anybody's.
        !(shared || may_be_lost)
    }

    fn later_step(&self, call: &str) -> Option<&'static str> {
        match call {
            "billing_resources.create" => Some("billing_resource_add"),
            "billing_resource_prices.create" => Some("price_rule_add"),
            _ => None,
        }
    }

    fn person(&self, deed: Deed, scene: &mut Scene<'_>) -> Option<Act> {
        let added = |entry: &Entry| entry.kind == "product_add";
        let product = |method: Method, entry: &Entry, body: Value| {
            let path = format!("/person/products/{}", entry.operation_id);
            Some(Act { method, ..Act::post(path, body) })
        };
        match deed {
            Deed::Buys => {
                // What is new on an account of the gateway's own is the gateway's.
                let alike = scene.shared.then(|| scene.dice.roll(3))?;
                let label = format!("torture {alike}");
                let package = json!({
                    "cpu": "2.50", "memory": 1536, "storage": 18, "bandwidth": 0,
                });
                let product =
                    json!({ "label": label, "group": "torture", "package_attributes": package });
                let ahead = scene.ahead_s.unwrap_or_default();
                let made = json!({ "product": product, "ahead_seconds": ahead });
                Some(Act::post("/person/products", made).dated(ahead > 0))
            }
            Deed::Renames => {
                let renamed = json!({ "product": { "label": "renamed" } });
                let bought = scene.recent(added)?;
                product(Method::PATCH, bought, renamed)
                    .map(|act| act.disguising(&bought.operation_id))
            }
            // What callers have bought they end themselves.
            Deed::Cancels => {
                let ours: BTreeSet<&str> =
                    scene.ours.iter().map(|entry| entry.operation_id.as_str()).collect();
                let own = |it: &Entry| added(it) && !ours.contains(it.operation_id.as_str());
                product(Method::DELETE, scene.own(own)?, json!({}))
            }
            Deed::Misses => {
                let missing = json!({ "kind": "fault", "code": 404, "text": "" });
                Some(Act::once("GET /api/admin/products/{id}", missing))
            }
            _ => None,
        }
    }
}

/// Pairs of orders are the same, but for a wrong body.
fn label(order: &Order) -> String {
    let kind = if order.wrong { "wrong" } else { "torture" };
    format!("{kind} {}", order.position / 2)
}

fn password(account: usize) -> String {
    format!("secret-{account}")
}
