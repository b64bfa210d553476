//! OVHcloud: a renewal, which is an unpaid order and then its payment; the order's own status tells what
//! became of the payment. Every order renews a service of its own, so one that is paid twice is two
//! paid orders of one service.

use std::process::Command;

use prost_types::Timestamp;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::term::Kind;
use purveyor_sdk::v1::{CreateRenewalRequest, Payment, PaymentMethod, Renewal, ServiceRef, Term};
use serde_json::{Value, json};
use xtask::configuration::Provider;

use super::{Entry, Order, Subject};
use crate::torture::call::Write;
use crate::torture::faults::EFFECT_LAG_MS;
use crate::torture::options::Hazard;
use crate::torture::person::{Command as Act, Deed, Scene};

/// How far apart the numbers of two accounts' services are.
const NUMBERS: usize = 1_000_000;
/// Where the numbers of the services begin that are renewed.
const FIRST: usize = 500_000;
/// The day on which every service ends, and the same in seconds.
const EXPIRES: (&str, i64) = ("2099-03-31", 4_078_598_400);

pub(super) struct Ovh;

impl Subject for Ovh {
    fn name(&self) -> &'static str {
        "ovh"
    }

    fn simulate(&self, command: &mut Command, _accounts: &[usize]) {
        // One has to be there; those that buy come over the control API, with their services.
        command.args(["--keys", "nobody:nobody:nobody"]);
    }

    fn prepare(&self, accounts: &[usize], orders: usize) -> Vec<(&'static str, Value)> {
        let rule = |method: &str| json!({ "method": method, "path": "/*" });
        let rules = ["GET", "POST", "PUT", "DELETE"].map(rule);
        let account = |account: &usize| {
            let [application, secret, consumer] = keys(*account);
            let services: Vec<Value> =
                (0..orders).map(|position| service(*account, position)).collect();
            let seed = json!({
                "nichandle": self.holder(*account),
                "application_key": application,
                "application_secret": secret,
                "consumer_key": consumer,
                "rules": rules,
                "means": [{ "kind": "paypal", "id": 1234, "method_id": 701_234, "is_default": true }],
                "services": services,
            });
            ("/accounts", seed)
        };
        accounts.iter().map(account).collect()
    }

    fn provider(&self, account: usize, url: &str) -> Provider {
        let [application, secret, consumer] = keys(account);
        Provider::new("ovh", url)
            .credential("application-key", &application)
            .credential("application-secret", &secret)
            .credential("consumer-key", &consumer)
    }

    fn sells(&self) -> &'static [&'static str] {
        &["POST /me/order/{orderId}/payWithRegisteredPaymentMean"]
    }

    fn lists(&self) -> &'static [&'static str] {
        &["GET /me/order", "GET /me/order/{orderId}/status", "POST /service/{serviceId}/renew"]
    }

    fn write(&self, order: &Order) -> Write {
        let service = format!(
            "providers/{}/services/{}",
            order.provider,
            number(order.account, order.position)
        );
        let expires = Timestamp { seconds: EXPIRES.1, nanos: 0 };
        let reference = ServiceRef {
            service: service.clone(),
            expected_expire_time: Some(expires),
            ..ServiceRef::default()
        };
        // Another body renews the same for longer, which is another price and another order.
        let period = if order.wrong { "P1Y" } else { "P3M" };
        let renewal = Renewal {
            service,
            services: vec![reference],
            term: Some(Term {
                kind: Kind::Recurring.into(),
                period: period.to_owned(),
                ..Term::default()
            }),
            ..Renewal::default()
        };
        let paypal = PaymentMethod {
            r#type: "paypal".to_owned(),
            id: "1234".to_owned(),
            ..PaymentMethod::default()
        };
        Write::Renewal(CreateRenewalRequest {
            parent: format!("providers/{}", order.provider),
            renewal: Some(renewal),
            payment: Some(Payment { choice: Some(Choice::Method(paypal)) }),
            ..CreateRenewalRequest::default()
        })
    }

    fn holder(&self, account: usize) -> String {
        format!("to{account:04}-ovh")
    }

    fn asked(&self, order: &Order) -> String {
        let period = if order.wrong { "P1Y" } else { "P3M" };
        format!("{} for {period}", number(order.account, order.position))
    }

    fn sold(&self, entry: &Entry) -> Option<String> {
        let services = entry.product_id.as_deref().unwrap_or_default();
        let period = entry.duration.as_deref().unwrap_or_default();
        (entry.kind == "order_paid").then(|| format!("{services} for {period}"))
    }

    fn shows_duplicates(&self, _shared: bool, may_be_lost: bool) -> bool {
        // An order that the store does not know may be a person's.
        !may_be_lost
    }

    fn renews(&self) -> bool {
        true
    }

    fn tells_identity(&self) -> bool {
        true
    }

    fn mode(&self, hazard: Hazard) -> Option<Value> {
        (hazard == Hazard::EffectLag).then(|| json!({ "effect_lag_ms": EFFECT_LAG_MS }))
    }

    fn person(&self, deed: Deed, scene: &mut Scene<'_>) -> Option<Act> {
        let happens = |what: Value| Act::post("/happenings", what);
        let drawn = |entry: &Entry| entry.kind == "order_unpaid";
        let number = |id: &str| id.parse::<i64>().ok();
        match deed {
            Deed::Renews => {
                let service = scene.recent(drawn)?.product_id.clone()?;
                let pays = scene.dice.percent(50);
                let ahead_s = scene.ahead_s.unwrap_or_default();
                let services = [number(&service)?];
                let renewal = json!({
                    "kind": "renew", "services": services, "duration": "P3M",
                    "pays": pays, "ahead_s": ahead_s,
                });
                Some(happens(renewal).touching(service).dated(ahead_s > 0))
            }
            Deed::Pays | Deed::Cancels => {
                // Of callers or of a person, whichever there is.
                let chosen = match scene.dice.percent(50) {
                    true => scene.recent(drawn).or_else(|| scene.own(drawn)),
                    false => scene.own(drawn).or_else(|| scene.recent(drawn)),
                };
                let Entry { operation_id: order, product_id, .. } = chosen?;
                let kind = if deed == Deed::Pays { "pay" } else { "cancel" };
                let done = happens(json!({ "kind": kind, "order": number(order)? }));
                Some(product_id.iter().fold(done.touching(order), Act::touching))
            }
            Deed::Renames => {
                let service = number(scene.recent(drawn)?.product_id.as_deref()?)?;
                Some(happens(json!({ "kind": "rename", "service": service, "name": "renamed" })))
            }
            Deed::Misses => {
                let missing = json!({ "kind": "fault", "code": 404, "text": "not found" });
                Some(Act::once("GET /me/order/{orderId}/status", missing))
            }
            Deed::TellsWord => {
                let told = Act::post("/mode", json!({ "status_word": "enAttente" }));
                Some(told.undone_by("/mode", json!({ "status_word": "" })))
            }
            Deed::Buys | Deed::Changes | Deed::DatesAhead | Deed::CutsNames => None,
        }
    }

    fn target(&self, order: &Order) -> Option<String> {
        Some(number(order.account, order.position).to_string())
    }

    fn undone(&self, entry: &Entry) -> Option<String> {
        (entry.kind == "refund").then(|| entry.operation_id.clone())
    }

    fn shows_late(&self) -> bool {
        true
    }
}

fn service(account: usize, position: usize) -> Value {
    let id = number(account, position);
    json!({
        "id": id,
        "name": format!("vps{id}.ovh.net"),
        "route": "/vps/{serviceName}",
        "service_type": "VPS SSD 1",
        "plan": "vps-ssd-1",
        "created": "2024-03-31",
        "expires": EXPIRES.0,
        "prices": { "P3M": "14.97", "P1Y": "59.88" },
    })
}

fn number(account: usize, position: usize) -> usize {
    (account + 1) * NUMBERS + FIRST + position
}

/// Application key, application secret and consumer key.
fn keys(account: usize) -> [String; 3] {
    ["application", "secret", "consumer"].map(|key| format!("{key}{account:04}"))
}
