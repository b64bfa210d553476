//! RackNap: a billing record of a service. The upstream shows nothing of what it sold, so whatever is
//! uncertain is left to a person; and never repeated. Every order of an account has another quantity.

use std::process::Command;

use purveyor_sdk::v1::operation::Result as Made;
use purveyor_sdk::v1::term::Kind;
use purveyor_sdk::v1::{
    CreateOrderRequest, Date, Money, Operation, Order as Wanted, OrderItem, OrderPricing, Term,
    TerminateServiceRequest,
};
use serde_json::{Value, json};
use xtask::configuration::Provider;

use super::{Entry, Order, Subject};
use crate::torture::call::Write;
use crate::torture::person::{Command as Act, Deed, Scene};

/// What a wrong body orders more of.
const WRONG: usize = 1_000_000;
/// The simulator's plan.
const PLAN: usize = 172;

pub(super) struct RackNap;

impl Subject for RackNap {
    fn name(&self) -> &'static str {
        "racknap"
    }

    fn simulate(&self, command: &mut Command, accounts: &[usize]) {
        for account in accounts {
            command.args(["--token", &token(*account)]);
        }
    }

    fn prepare(&self, _accounts: &[usize], _orders: usize) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    fn provider(&self, account: usize, url: &str) -> Provider {
        let currencies: toml::Table =
            [("INR".to_owned(), toml::Value::from(1))].into_iter().collect();
        let provider = Provider::new("racknap", url).credential("token", &token(account));
        provider.setting("currencies", currencies).setting("prices_include_tax", true)
    }

    fn sells(&self) -> &'static [&'static str] {
        &["create"]
    }

    fn lists(&self) -> &'static [&'static str] {
        &[]
    }

    fn write(&self, order: &Order) -> Write {
        let rupees = |units| Some(Money { currency_code: "INR".to_owned(), units, nanos: 0 });
        let item = OrderItem {
            product: format!("providers/{}/products/{PLAN}", order.provider),
            quantity: i32::try_from(quantity(order)).unwrap_or(i32::MAX),
            term: Some(Term {
                kind: Kind::Recurring.into(),
                period: "P1M".to_owned(),
                ..Term::default()
            }),
            pricing: Some(OrderPricing {
                recurring_amount: rupees(500),
                purchase_amount: rupees(500),
                first_plan_price: rupees(500),
                recurring_plan_price: rupees(500),
                first_payment: rupees(500),
            }),
            start_date: Some(Date { year: 2026, month: 1, day: 31 }),
            ..OrderItem::default()
        };
        Write::Order(CreateOrderRequest {
            parent: format!("providers/{}", order.provider),
            order: Some(Wanted {
                customer: "652".to_owned(),
                items: vec![item],
                ..Wanted::default()
            }),
            ..CreateOrderRequest::default()
        })
    }

    fn holder(&self, account: usize) -> String {
        if account == 0 { "racknap".to_owned() } else { format!("racknap-{account}") }
    }

    fn asked(&self, order: &Order) -> String {
        format!("{} of a plan", quantity(order))
    }

    fn sold(&self, entry: &Entry) -> Option<String> {
        (entry.kind == "service_create").then(|| format!("{} of a plan", entry.quantity))
    }

    fn item(&self, entry: &Entry) -> Option<String> {
        Some(entry.operation_id.clone())
    }

    fn end(&self, operation: &Operation) -> Option<Write> {
        let Some(Made::Order(order)) = &operation.result else { return None };
        let name = order.items.first()?.services.first()?.clone();
        Some(Write::Termination(TerminateServiceRequest {
            name,
            ..TerminateServiceRequest::default()
        }))
    }

    fn ended(&self, entry: &Entry) -> Option<String> {
        (entry.kind == "service_terminate").then(|| entry.operation_id.clone())
    }

    fn reuse_ids(&self) -> Option<(&'static str, Value)> {
        Some(("/mode", json!({ "reuse_ids": true })))
    }

    fn person(&self, deed: Deed, scene: &mut Scene<'_>) -> Option<Act> {
        match deed {
            Deed::Buys => {
                let account = self.holder(scene.account);
                Some(Act::post("/services", json!({ "account": account, "planid": PLAN })))
            }
            Deed::TellsWord => {
                let mut word = json!({ "kind": "word", "word": "Completed" });
                word["committed"] = scene.dice.percent(50).into();
                Some(Act::once("create", word))
            }
            _ => None,
        }
    }

    fn asks_a_person(&self) -> bool {
        true
    }

    fn shows_duplicates(&self, _shared: bool, _may_be_lost: bool) -> bool {
        false
    }
}

fn quantity(order: &Order) -> usize {
    1 + order.position + if order.wrong { WRONG } else { 0 }
}

fn token(account: usize) -> String {
    format!("torture-{account:016}")
}
