//! Klikk: servers, one an item, and their cancellation at the end of a period.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use purveyor_sdk::conformance::{
    BadRow, Caller, Case, Disturbance, Failure, Happening, Outcome, Priced, Rejection, Report,
    Request, Sale, Subject, Violation, run,
};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::prost_types::{Struct, Value};
use purveyor_sdk::v1::operation::Result as Came;
use purveyor_sdk::v1::{
    CancelOrderRequest, CancelPolicy, CheckProviderRequest, CreateOrderRequest, GetOrderRequest,
    GetProductRequest, GetServiceRequest, ListOrdersRequest, ListProductsRequest,
    ListServicesRequest, Operation, Order, OrderItem,
};
use purveyor_simulators::klikk::{AccountSeed, Klikk as Upstream, Mode, Options};
use purveyor_simulators::{Cents, FaultKind, Simulator};
use xtask::artifacts::Artifacts;
use xtask::configuration::Provider;

use crate::bench::{self, Bench, Calls, FOR_GOOD_MS, UPSTREAMS, milliseconds};

const ACCOUNT_TOKEN: &str = "conformanceconformance00";

/// The upstream documents no answer to too many requests.
const CALLS: Calls = Calls {
    names: &[],
    unknown_word: || FaultKind::Fault { code: 400, text: "Betaling mislukt".to_owned() },
    undeclared: || FaultKind::Fault { code: 400, text: "Ukjent feil".to_owned() },
    echo: 400,
    credentials: &[ACCOUNT_TOKEN],
    rate_limit: || None,
};

/// The upstream documents no word of refusal, so the operator says one.
const REFUSED: &str = "Ugyldig bestilling";

/// Characters of a name that leave nothing of our mark.
const UNMARKED: usize = 11;

/// What an account begins with, and what all cases together leave of it.
const FULL_CREDIT: Cents = Cents::new(1_000_000_000);
const CREDIT: Cents = Cents::new(500_000_000);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The configured catalogue's products.
const PRODUCTS: [&str; 2] = ["VPS", "Backup"];

struct Klikk(Bench<Upstream>);

/// Runs the suite.
pub(crate) async fn show(artifacts: &Artifacts) -> Result<Report> {
    let mut upstreams = Vec::new();
    for _ in 0..UPSTREAMS {
        let account = AccountSeed {
            account_token: ACCOUNT_TOKEN.to_owned(),
            credit: FULL_CREDIT,
            ..AccountSeed::default()
        };
        let options = Options { accounts: vec![account], ..Options::default() };
        upstreams.push(Upstream::start(options).await.context("the simulator does not start")?);
    }
    let provider = |upstream: &Simulator<Upstream>| {
        // The upstream tells no products. A page has an end only where there are two.
        let configured = toml::Table::from_iter(
            PRODUCTS.map(|name| (name.to_owned(), toml::Value::Table(toml::Table::new()))),
        );
        let provider = Provider::new("klikk", upstream.url()).setting("products", configured);
        let provider = provider.refusal_word(REFUSED);
        bench::timed(provider.credential("account-token", ACCOUNT_TOKEN))
    };
    let (_gateway, benches) = bench::serve(artifacts, upstreams, provider, CALLS)?;
    let subjects: Vec<Klikk> = benches.into_iter().map(Klikk).collect();
    Ok(run(&subjects).await)
}

impl Subject for Klikk {
    fn gateway(&self) -> String {
        self.0.gateway.clone()
    }

    fn provider(&self) -> String {
        self.0.provider.clone()
    }

    async fn sample(&self, caller: &Caller, op: Op) -> Outcome<Option<Request>> {
        let parent = caller.parent();
        Ok(Some(match op {
            Op::CheckProvider => CheckProviderRequest { name: parent }.into(),
            Op::ListProducts => ListProductsRequest { parent, ..Default::default() }.into(),
            Op::GetProduct => {
                let name = caller.name("products", "VPS");
                GetProductRequest { name, ..Default::default() }.into()
            }
            Op::CreateOrder => purchase(caller).into(),
            Op::GetOrder => GetOrderRequest { name: ordered(caller).await?.target }.into(),
            Op::ListOrders => ListOrdersRequest { parent, ..Default::default() }.into(),
            Op::CancelOrder => {
                let name = ordered(caller).await?.target;
                CancelOrderRequest { name, ..Default::default() }.into()
            }
            Op::GetService => GetServiceRequest { name: bought(caller).await? }.into(),
            Op::ListServices => ListServicesRequest { parent, ..Default::default() }.into(),
            _ => return Ok(None),
        }))
    }

    async fn violations(&self, caller: &Caller, op: Op) -> Outcome<Vec<Violation>> {
        Ok(match op {
            Op::CreateOrder => {
                let mut turbo = purchase(caller);
                let truth = Value { kind: Some(Kind::BoolValue(true)) };
                options(&mut turbo)?.fields.insert("turbo".to_owned(), truth);
                let mut without = purchase(caller);
                options(&mut without)?.fields.remove("os");
                let mut none = purchase(caller);
                item(&mut none)?.quantity = 0;
                vec![
                    Violation::new(turbo, "order.items[0].options.turbo"),
                    Violation::new(without, "order.items[0].options.os"),
                    Violation::new(none, "order.items[0].quantity"),
                ]
            }
            Op::CancelOrder => {
                let (name, policy) = (caller.name("orders", "1"), CancelPolicy::Immediately.into());
                vec![Violation::new(
                    CancelOrderRequest { name, policy, ..Default::default() },
                    "policy",
                )]
            }
            _ => Vec::new(),
        })
    }

    async fn rejection(&self, caller: &Caller, op: Op) -> Outcome<Option<Rejection>> {
        let call = match op {
            Op::CreateOrder => "order_create",
            Op::CancelOrder => "order_cancel",
            _ => return Ok(None),
        };
        let request = self.sample(caller, op).await?;
        self.0.fail(call, FaultKind::Fault { code: 400, text: REFUSED.to_uppercase() });
        let reason = "UPSTREAM_REJECTED".to_owned();
        Ok(request.map(|request| Rejection { request, reason }))
    }

    async fn again(&self, caller: &Caller, op: Op) -> Outcome<Option<Request>> {
        if op != Op::CreateOrder {
            return Ok(None);
        }
        let name = ordered(caller).await?.target;
        caller.perform(CancelOrderRequest { name, ..Default::default() }).await?;
        Ok(Some(purchase(caller).into()))
    }

    async fn populate(&self, caller: &Caller, op: Op) -> Outcome<usize> {
        Ok(match op {
            Op::ListOrders | Op::ListServices => {
                for _ in 0..3 {
                    ordered(caller).await?;
                }
                3
            }
            Op::ListProducts => PRODUCTS.len(),
            _ => 0,
        })
    }

    async fn sales(&self) -> Vec<Sale> {
        self.0.sales()
    }

    async fn requests(&self) -> BTreeMap<String, u64> {
        self.0.requests()
    }

    async fn open_connections(&self) -> u64 {
        self.0.upstream.connections().open
    }

    async fn disturb(&self, call: &str, disturbance: Disturbance) -> Outcome<bool> {
        let mode = match disturbance {
            Disturbance::EffectLag(lag) => {
                Mode { effect_lag_ms: milliseconds(lag), ..Mode::default() }
            }
            Disturbance::LoseUnderWay => Mode { delivery_ms: FOR_GOOD_MS, ..Mode::default() },
            Disturbance::CutMark => Mode { name_limit: Some(UNMARKED), ..Mode::default() },
            _ => return self.0.disturb(call, disturbance),
        };
        self.0.upstream.set_mode(mode);
        match disturbance {
            Disturbance::EffectLag(_) => Ok(true),
            Disturbance::CutMark => self.0.disturb(call, Disturbance::LoseAfterCommit),
            _ => self.0.disturb(call, disturbance),
        }
    }

    /// What is due for an order that the credit is not enough for. Nothing else tells a price.
    async fn priced(&self, caller: &Caller) -> Outcome<Option<Priced>> {
        self.credit(Cents::ZERO)?;
        let name = ordered(caller).await?.target;
        let free = vec![purchase(caller).into()];
        let shown = GetOrderRequest { name }.into();
        Ok(Some(Priced { digits: "75.00".to_owned(), shown, free, bound: Vec::new() }))
    }

    async fn misprice(&self, priced: &Priced, digits: &str) -> Outcome<()> {
        let due = |digits: &str| format!(r#""amount_due":"{digits}""#);
        for call in ["order_create", "order_status", "order_list"] {
            self.0.respell(call, &due(&priced.digits), &due(digits));
        }
        Ok(())
    }

    async fn bad_row(&self, caller: &Caller) -> Outcome<BadRow> {
        let Some(Came::Order(bad)) = ordered(caller).await?.result else {
            return Err(Failure::new("the operation shows no order"));
        };
        let item = bad.items.first().map(|item| item.id.clone()).unwrap_or_default();
        let good = GetOrderRequest { name: ordered(caller).await?.target }.into();
        let shown = ListOrdersRequest { parent: caller.parent(), ..Default::default() }.into();
        let text = format!(r#""id":{item},"#);
        let free = vec![purchase(caller).into()];
        Ok(BadRow { name: bad.name, text, shown, good: vec![good], free })
    }

    async fn spoil(&self, bad: &BadRow) -> Outcome<()> {
        // An object with a member twice is none.
        self.0.respell("order_list", &bad.text, &bad.text.repeat(2));
        Ok(())
    }

    async fn happens(&self, happening: Happening<'_>) -> Outcome<()> {
        let upstream = &self.0.upstream;
        let order = |sale: &Sale| sale.id.parse::<u64>().map_err(Failure::new);
        let happened = match happening {
            Happening::Fails(sale) => upstream.set_status(order(sale)?, None, 500, "Failed"),
            Happening::Renamed(sale) => upstream.person_renames(order(sale)?, None, "renamed"),
            Happening::Ended(sale) => upstream.vanish(order(sale)?, None, true),
            Happening::BoughtAhead => {
                upstream.person_buys(ACCOUNT_TOKEN, &["conformance"], DAY).map(drop)
            }
            Happening::NotFoundOnce(_) => {
                let text = "Order not found".to_owned();
                self.0.fail("order_status", FaultKind::Fault { code: 404, text });
                Ok(())
            }
            Happening::ListingsLack => {
                upstream.set_mode(Mode { listing_lag_ms: FOR_GOOD_MS, ..Mode::default() });
                Ok(())
            }
        };
        happened.map_err(Failure::new)
    }

    fn omits(&self, op: Op, case: Case) -> Option<&'static str> {
        match (case, op) {
            (Case::RefusedAfter, _) => {
                Some("the call itself takes the credit, or asks for payment")
            }
            (Case::FoundFailed, Op::CancelOrder) => Some("a cancellation has no state of failure"),
            _ => None,
        }
    }

    async fn struck(&self) -> bool {
        self.0.struck()
    }

    async fn calm(&self) {
        self.0.calm();
        self.0.upstream.set_mode(Mode::default());
        if self.0.upstream.credit(ACCOUNT_TOKEN) < Some(CREDIT) {
            // There is such an account.
            let _ = self.credit(FULL_CREDIT);
        }
    }
}

impl Klikk {
    fn credit(&self, credit: Cents) -> Outcome<()> {
        let account_token = ACCOUNT_TOKEN.to_owned();
        let account = AccountSeed { account_token, credit, ..AccountSeed::default() };
        self.0.upstream.put_account(account).map_err(Failure::new)
    }
}

/// One small server.
fn purchase(caller: &Caller) -> CreateOrderRequest {
    let quantities = [
        ("quantity_ram_gb", 0.5),
        ("quantity_cpu", 1.0),
        ("quantity_storage_gb", 25.0),
        ("os", 2.0),
    ];
    let fields = quantities.map(|(name, quantity)| {
        (name.to_owned(), Value { kind: Some(Kind::NumberValue(quantity)) })
    });
    let item = OrderItem {
        product: caller.name("products", "VPS"),
        quantity: 1,
        display_name: "conformance".to_owned(),
        options: Some(Struct { fields: fields.into() }),
        ..OrderItem::default()
    };
    let order = Some(Order { items: vec![item], ..Order::default() });
    CreateOrderRequest { parent: caller.parent(), order, ..CreateOrderRequest::default() }
}

fn item(request: &mut CreateOrderRequest) -> Outcome<&mut OrderItem> {
    let item = request.order.as_mut().and_then(|order| order.items.first_mut());
    item.ok_or_else(|| Failure::new("the order has no item"))
}

fn options(request: &mut CreateOrderRequest) -> Outcome<&mut Struct> {
    Ok(item(request)?.options.get_or_insert_default())
}

async fn ordered(caller: &Caller) -> Outcome<Operation> {
    caller.perform(purchase(caller)).await
}

/// The name of a service of the caller's own.
async fn bought(caller: &Caller) -> Outcome<String> {
    let Some(Came::Order(order)) = ordered(caller).await?.result else {
        return Err(Failure::new("the operation shows no order"));
    };
    let service = order.items.first().and_then(|item| item.services.first());
    Ok(service.ok_or_else(|| Failure::new("the order names no service"))?.clone())
}
