//! Klikk: an order of one server, found by the mark in its name. Its ledger tells servers apart by their
//! price, which depends on the storage, so every order of an account is of another size.

use std::process::Command;

use prost_types::value::Kind;
use prost_types::{Struct, Value as Member};
use purveyor_sdk::v1::{CreateOrderRequest, Order as Wanted, OrderItem};
use serde_json::{Value, json};
use xtask::configuration::Provider;

use super::{Entry, Order, Subject};
use crate::torture::call::Write;
use crate::torture::faults::{EFFECT_LAG_MS, Hidden};
use crate::torture::options::Hazard;
use crate::torture::person::{Command as Act, Deed, Scene};

/// What a server costs a month without its storage, and how much more with each GB of it.
const WITHOUT_STORAGE: usize = 70;
/// What a wrong body orders more of.
const WRONG: usize = 500_000;
/// Characters of a name that are kept where names are cut: too few for a mark.
const NAME_LIMIT: usize = 16;

pub(super) struct Klikk;

impl Subject for Klikk {
    fn name(&self) -> &'static str {
        "klikk"
    }

    fn simulate(&self, command: &mut Command, accounts: &[usize]) {
        for account in accounts {
            command.args(["--account-token", &token(*account)]);
        }
        command.args(["--credit", "1000000000.00", "--listing-lag-ms", "100"]);
    }

    fn prepare(&self, _accounts: &[usize], _orders: usize) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    fn provider(&self, account: usize, url: &str) -> Provider {
        Provider::new("klikk", url).credential("account-token", &token(account))
    }

    fn sells(&self) -> &'static [&'static str] {
        &["order_create"]
    }

    fn lists(&self) -> &'static [&'static str] {
        &["order_list"]
    }

    fn write(&self, order: &Order) -> Write {
        let number = |number: usize| Member { kind: Some(Kind::NumberValue(number as f64)) };
        let os = Member { kind: Some(Kind::StringValue("debian".to_owned())) };
        let options = [
            ("quantity_ram_gb", number(1)),
            ("quantity_cpu", number(1)),
            ("quantity_storage_gb", number(storage(order))),
            ("os", os),
        ];
        let fields = options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let item = OrderItem {
            product: format!("providers/{}/products/VPS", order.provider),
            quantity: 1,
            display_name: format!("torture {}", order.number),
            options: Some(Struct { fields }),
            ..OrderItem::default()
        };
        Write::Order(CreateOrderRequest {
            parent: format!("providers/{}", order.provider),
            order: Some(Wanted { items: vec![item], ..Wanted::default() }),
            ..CreateOrderRequest::default()
        })
    }

    fn holder(&self, account: usize) -> String {
        format!("profile-{account}")
    }

    fn asked(&self, order: &Order) -> String {
        format!("VPS for {}.00", WITHOUT_STORAGE + storage(order))
    }

    fn sold(&self, entry: &Entry) -> Option<String> {
        let sale = matches!(entry.kind.as_str(), "order_item" | "order_item_invoiced");
        sale.then(|| format!("{} for {}", entry.product_name, entry.amount))
    }

    fn item(&self, entry: &Entry) -> Option<String> {
        entry.product_id.clone()
    }

    fn hide(&self, hidden: Hidden) -> Option<(&'static str, Value)> {
        let ms = hidden.time.as_millis();
        let status_ms = if hidden.from_status { ms } else { 0 };
        Some(("/mode", json!({ "listing_lag_ms": ms, "status_lag_ms": status_ms })))
    }

    fn mode(&self, hazard: Hazard) -> Option<Value> {
        match hazard {
            Hazard::EffectLag => {
                Some(json!({ "effect_lag_ms": EFFECT_LAG_MS, "lag_installs": true }))
            }
            Hazard::CutNames => Some(json!({ "name_limit": NAME_LIMIT })),
            _ => None,
        }
    }

    fn person(&self, deed: Deed, scene: &mut Scene<'_>) -> Option<Act> {
        let mut order = |what: &str, body: Value| {
            let id = &scene.recent(|entry| entry.kind == "order_item")?.operation_id;
            Some((Act::post(format!("/orders/{id}/{what}"), body), id))
        };
        match deed {
            Deed::Buys => {
                let ahead_ms = scene.ahead_s.unwrap_or_default() * 1000;
                let token = token(scene.account);
                let wanted =
                    json!({ "account_token": token, "names": ["torture"], "ahead_ms": ahead_ms });
                Some(Act::post("/orders", wanted).dated(ahead_ms > 0))
            }
            Deed::Renames => {
                let (act, id) = order("rename", json!({ "name": "renamed [by hand]" }))?;
                Some(act.disguising(id))
            }
            Deed::Cancels => order("cancel", json!({})).map(|(act, id)| act.disguising(id)),
            Deed::Misses => {
                let missing = json!({ "kind": "fault", "code": 404, "text": "Order not found" });
                Some(Act::once("order_status", missing))
            }
            Deed::TellsWord => {
                Some(Act::once("order_status", json!({ "kind": "word", "word": "klart" })))
            }
            Deed::CutsNames => {
                let cut = Act::post("/mode", json!({ "name_limit": NAME_LIMIT }));
                Some(cut.undone_by("/mode", json!({ "name_limit": null })))
            }
            Deed::Renews | Deed::Changes | Deed::Pays | Deed::DatesAhead => None,
        }
    }

    fn shows_late(&self) -> bool {
        true
    }
}

fn storage(order: &Order) -> usize {
    1 + order.position + if order.wrong { WRONG } else { 0 }
}

fn token(account: usize) -> String {
    format!("torture{account:017}")
}
