//! Gandi: shares by the month, changed, renewed, ended, and cancelled while the upstream has not begun.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use purveyor_sdk::Period;
use purveyor_sdk::conformance::{
    BadRow, Caller, Case, Disturbance, Failure, Happening, Outcome, Priced, Rejection, Report,
    Request, Sale, Subject, Violation, run,
};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::prost_types::{FieldMask, Struct, Value, value};
use purveyor_sdk::v1::operation::{Result as Came, State};
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{
    CancelOrderRequest, CheckProviderRequest, CreateOrderRequest, CreateRenewalRequest,
    GetOrderRequest, GetProductRequest, GetRenewalRequest, GetServiceRequest, ListOrdersRequest,
    ListProductsRequest, ListRenewalOptionsRequest, ListRenewalsRequest, ListServicesRequest,
    Money, Operation, Order, OrderItem, Payment, Renewal, Service, ServiceRef, Term,
    TerminateServiceRequest, UpdateServiceRequest,
};
use purveyor_simulators::gandi::{AccountSeed, Gandi as Upstream, Mode, Options, PersonCommand};
use purveyor_simulators::{Cents, FaultKind};
use serde_json::json;
use xtask::artifacts::Artifacts;
use xtask::configuration::Provider;

use crate::bench::{self, Bench, Calls, FOR_GOOD_MS, UPSTREAMS, milliseconds};

const API_KEY: &str = "conformanceconformance00";

/// Long enough to hold an order before its billing. The gateway asks for it again when that is over.
const UNBILLED_MS: u64 = 8000;

/// Longer than an answer is waited for. The upstream tells how long it takes, and is asked again then.
const UNDER_WAY_MS: u64 = 3000;

const CALLS: Calls = Calls {
    names: &[
        ("product.create", "hosting.product.create"),
        ("product.renew", "hosting.product.renew"),
        ("product.update", "hosting.product.update"),
        ("product.delete", "hosting.product.delete"),
    ],
    // Neither the caller's mistake nor the server's.
    unknown_word: || fault(610_150),
    undeclared: || FaultKind::Status { status: 400 },
    echo: 610_150,
    credentials: &[API_KEY],
    rate_limit: || Some(fault(510_135)),
};

/// The catalogue's products, the services that every account holds for nothing, and the terms that
/// anything is renewed for.
const PRODUCTS: usize = 5;
const FREE_SERVICES: usize = 2;
/// The order of long ago that every account begins with.
const OLD_ORDERS: usize = 1;
const TERMS: usize = 2;

struct Gandi(Bench<Upstream>, Held);

/// Orders that are held before their billing.
#[derive(Default)]
struct Held(Mutex<Vec<i32>>);

/// Runs the suite.
pub(crate) async fn show(artifacts: &Artifacts) -> Result<Report> {
    let mut upstreams = Vec::new();
    for _ in 0..UPSTREAMS {
        let account = AccountSeed {
            api_key: API_KEY.to_owned(),
            handle: "CF0001-GANDI".to_owned(),
            prepaid: Cents::new(100_000_000),
            ..AccountSeed::default()
        };
        let options = Options { accounts: vec![account], ..Options::default() };
        upstreams.push(Upstream::start(options).await.context("the simulator does not start")?);
    }
    let provider = |upstream: &purveyor_simulators::Simulator<Upstream>| {
        // Every upstream knows the account by one name and counts its objects from one number.
        let provider = Provider::new("gandi", upstream.url()).account("separate");
        let provider = provider.setting("prices_include_tax", true);
        bench::timed(provider.credential("api-key", API_KEY))
    };
    let (_gateway, benches) = bench::serve(artifacts, upstreams, provider, CALLS)?;
    let subjects: Vec<Gandi> =
        benches.into_iter().map(|bench| Gandi(bench, Held::default())).collect();
    Ok(run(&subjects).await)
}

impl Subject for Gandi {
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
                let name = caller.name("products", "shares");
                GetProductRequest { name, ..Default::default() }.into()
            }
            Op::CreateOrder => purchase(caller).into(),
            Op::GetOrder => GetOrderRequest { name: ordered(caller).await?.target }.into(),
            Op::ListOrders => ListOrdersRequest { parent, ..Default::default() }.into(),
            Op::CancelOrder => {
                let name = self.waiting(caller).await?.target;
                CancelOrderRequest { name, ..Default::default() }.into()
            }
            Op::GetService => GetServiceRequest { name: bought(caller).await?.name }.into(),
            Op::ListServices => ListServicesRequest { parent, ..Default::default() }.into(),
            Op::UpdateService => quantity(&bought(caller).await?, 3).into(),
            Op::TerminateService => {
                let name = bought(caller).await?.name;
                TerminateServiceRequest { name, ..Default::default() }.into()
            }
            Op::ListRenewalOptions => {
                let parent = bought(caller).await?.name;
                ListRenewalOptionsRequest { parent, ..Default::default() }.into()
            }
            Op::CreateRenewal => renewal(caller, &bought(caller).await?).into(),
            Op::GetRenewal => GetRenewalRequest { name: renewed(caller).await?.target }.into(),
            Op::ListRenewals => ListRenewalsRequest { parent, ..Default::default() }.into(),
            _ => return Ok(None),
        }))
    }

    async fn violations(&self, caller: &Caller, op: Op) -> Outcome<Vec<Violation>> {
        Ok(match op {
            Op::CreateOrder => {
                let mut turbo = purchase(caller);
                let value = Value { kind: Some(value::Kind::BoolValue(true)) };
                let fields = [("turbo".to_owned(), value)].into();
                item(&mut turbo)?.options = Some(Struct { fields });
                let mut none = purchase(caller);
                item(&mut none)?.quantity = 0;
                let mut quarter = purchase(caller);
                item(&mut quarter)?.term = months(3);
                vec![
                    Violation::new(turbo, "order.items[0].options.turbo"),
                    Violation::new(none, "order.items[0].quantity"),
                    Violation::new(quarter, "order.items[0].term"),
                ]
            }
            Op::UpdateService => {
                let service = bought(caller).await?;
                let mut renamed = quantity(&service, 3);
                renamed.update_mask = Some(FieldMask { paths: vec!["display_name".to_owned()] });
                vec![
                    Violation::new(quantity(&service, -1), "service.quantity"),
                    Violation::new(renamed, "update_mask"),
                ]
            }
            Op::CreateRenewal => {
                let mut quarter = renewal(caller, &bought(caller).await?);
                quarter.renewal.get_or_insert_default().term = months(3);
                vec![Violation::new(quarter, "renewal.term")]
            }
            Op::CancelOrder => {
                let name = caller.name("orders", "1");
                let request = CancelOrderRequest { name, policy: 2, ..Default::default() };
                vec![Violation::new(request, "policy")]
            }
            _ => Vec::new(),
        })
    }

    async fn rejection(&self, caller: &Caller, op: Op) -> Outcome<Option<Rejection>> {
        let (call, code, reason) = match op {
            Op::CreateOrder => ("product.create", 521_163, "INSUFFICIENT_CREDIT"),
            Op::CancelOrder => ("operation.cancel", 535_160, "UPSTREAM_REJECTED"),
            Op::UpdateService => ("product.update", 535_160, "UPSTREAM_REJECTED"),
            Op::TerminateService => ("product.delete", 535_160, "UPSTREAM_REJECTED"),
            Op::CreateRenewal => ("product.renew", 521_163, "INSUFFICIENT_CREDIT"),
            _ => return Ok(None),
        };
        let request = self.sample(caller, op).await?;
        self.0.fail(call, fault(code));
        Ok(request.map(|request| Rejection { request, reason: reason.to_owned() }))
    }

    async fn again(&self, caller: &Caller, op: Op) -> Outcome<Option<Request>> {
        if op != Op::CreateOrder {
            return Ok(None);
        }
        let name = bought(caller).await?.name;
        caller.perform(TerminateServiceRequest { name, ..Default::default() }).await?;
        Ok(Some(purchase(caller).into()))
    }

    async fn leaf(&self, caller: &Caller, _: Op, path: &str) -> Outcome<Option<Request>> {
        if path != "quantity" {
            return Ok(None);
        }
        let update = quantity(&bought(caller).await?, 3);
        Ok(Some(UpdateServiceRequest { update_mask: None, ..update }.into()))
    }

    async fn populate(&self, caller: &Caller, op: Op) -> Outcome<usize> {
        Ok(match op {
            Op::ListProducts => PRODUCTS,
            Op::ListOrders => {
                for _ in 0..3 {
                    ordered(caller).await?;
                }
                OLD_ORDERS + 3
            }
            Op::ListServices => {
                bought(caller).await?;
                FREE_SERVICES + 1
            }
            Op::ListRenewals => {
                let service = bought(caller).await?;
                for _ in 0..3 {
                    let name = service.name.clone();
                    let now = caller.ask(Op::GetService, GetServiceRequest { name }).await?;
                    caller.perform(renewal(caller, &now)).await?;
                }
                3
            }
            _ => TERMS,
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
            // What does not name its product is tied to nothing once it has failed.
            Disturbance::LoseUnderWay => {
                Mode { run_ms: UNDER_WAY_MS, operations_name_product: true, ..Mode::default() }
            }
            _ => return self.0.disturb(call, disturbance),
        };
        self.0.upstream.set_mode(mode).map_err(Failure::new)?;
        match disturbance {
            Disturbance::EffectLag(_) => Ok(true),
            _ => self.0.disturb(call, disturbance),
        }
    }

    /// What a unit of disk costs a month.
    async fn priced(&self, caller: &Caller) -> Outcome<Option<Priced>> {
        let (parent, limit) = (caller.parent(), Money::parse("EUR", "1000").ok());
        let of_disk = |limit: Option<Money>| -> Outcome<Request> {
            let mut request = CreateOrderRequest { max_price: limit, ..purchase(caller) };
            item(&mut request)?.product = caller.name("products", "disk");
            Ok(request.into())
        };
        let other = CreateOrderRequest { max_price: limit.clone(), ..purchase(caller) };
        Ok(Some(Priced {
            digits: "0.12".to_owned(),
            shown: ListProductsRequest { parent, ..Default::default() }.into(),
            free: vec![other.into(), of_disk(None)?],
            bound: vec![of_disk(limit)?],
        }))
    }

    async fn misprice(&self, priced: &Priced, digits: &str) -> Outcome<()> {
        let from = format!("<double>{}</double>", priced.digits);
        self.0.respell("catalog.list", &from, &format!("<string>{digits}</string>"));
        Ok(())
    }

    async fn bad_row(&self, caller: &Caller) -> Outcome<BadRow> {
        let good = GetServiceRequest { name: bought(caller).await?.name }.into();
        let shown = ListServicesRequest { parent: caller.parent(), ..Default::default() }.into();
        // The first product is free and has no end.
        let (name, text) = (String::new(), "<string></string>".to_owned());
        Ok(BadRow { name, text, shown, good: vec![good], free: vec![purchase(caller).into()] })
    }

    async fn spoil(&self, bad: &BadRow) -> Outcome<()> {
        let end = |value: &str| format!("<name>date_end</name>\n<value>{value}</value>");
        let zero = "<dateTime.iso8601>00000000T00:00:00</dateTime.iso8601>";
        self.0.respell("hosting.account.info", &end(&bad.text), &end(zero));
        Ok(())
    }

    async fn happens(&self, happening: Happening<'_>) -> Outcome<()> {
        let upstream = &self.0.upstream;
        let happened = match happening {
            Happening::Fails(sale) => {
                upstream.set_step(number(&sale.id)?, "ERROR", Some("it broke"))
            }
            Happening::Ended(sale) => self.ended(sale)?,
            Happening::BoughtAhead => self.bought_ahead(),
            Happening::NotFoundOnce(_) => {
                self.0.fail("operation.info", fault(510_242));
                Ok(())
            }
            Happening::ListingsLack => {
                upstream.set_mode(Mode { listing_lag_ms: FOR_GOOD_MS, ..Mode::default() })
            }
            Happening::Renamed(_) => Err("nothing has a name".to_owned()),
        };
        happened.map_err(Failure::new)
    }

    fn omits(&self, op: Op, case: Case) -> Option<&'static str> {
        match (case, op) {
            (Case::MarkCut | Case::Renamed, _) => Some("what is sold bears no mark of ours"),
            (Case::RefusedAfter, _) => Some("the call itself takes the money, or is refused"),
            (Case::EffectNever | Case::EffectLags | Case::FoundFailed, Op::CancelOrder) => Some(
                "a cancellation is no operation, and the word of the one it ends is its effect",
            ),
            _ => None,
        }
    }

    async fn struck(&self) -> bool {
        self.0.struck()
    }

    async fn calm(&self) {
        self.0.calm();
        for id in self.1.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // What was cancelled cannot go on.
            let _ = self.0.upstream.set_step(id, "DONE", None);
        }
        // The time zone is the one that it had.
        let _ = self.0.upstream.set_mode(Mode::default());
    }
}

impl Gandi {
    /// A person deletes the product that a sale was about.
    fn ended(&self, sale: &Sale) -> Outcome<Result<(), String>> {
        let mut ledger = self.0.upstream.ledger().into_iter();
        let entry = ledger.find(|entry| entry.sale.operation_id == sale.id);
        let product = entry.and_then(|entry| entry.sale.product_id);
        let product = number(&product.ok_or_else(|| Failure::new("the sale has no product"))?)?;
        let (method, params) = ("hosting.product.delete".to_owned(), vec![json!(product)]);
        let command = PersonCommand { method, params, ..PersonCommand::default() };
        Ok(self.0.upstream.person(command).map(drop))
    }

    /// A person buys what [`purchase`] buys.
    fn bought_ahead(&self) -> Result<(), String> {
        let bought = json!({ "product_name": "shares", "quantity": 2, "duration": "1m" });
        let command = PersonCommand {
            method: "hosting.product.create".to_owned(),
            params: vec![bought],
            date_created: Some(Timestamp::now() + SignedDuration::from_hours(24)),
            ..PersonCommand::default()
        };
        self.0.upstream.person(command).map(drop)
    }

    /// An order that the upstream has taken and not begun.
    async fn waiting(&self, caller: &Caller) -> Outcome<Operation> {
        let mode = Mode { bill_ms: UNBILLED_MS, ..Mode::default() };
        self.0.upstream.set_mode(mode).map_err(Failure::new)?;
        let order = caller.begin(purchase(caller), State::WaitingUpstream).await?;
        let id = number(order.upstream.as_ref().map_or("", |upstream| upstream.id()))?;
        self.0.upstream.set_step(id, "BILL", None).map_err(Failure::new)?;
        self.1.0.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        Ok(order)
    }
}

fn number(id: &str) -> Outcome<i32> {
    id.parse().map_err(Failure::new)
}

fn fault(code: i32) -> FaultKind {
    FaultKind::Fault { code, text: format!("Error on object : {code}") }
}

fn months(months: u32) -> Option<Term> {
    Some(Term::recurring(Period::Months(months), ""))
}

fn purchase(caller: &Caller) -> CreateOrderRequest {
    let item = OrderItem {
        product: caller.name("products", "shares"),
        quantity: 2,
        term: months(1),
        ..OrderItem::default()
    };
    let order = Some(Order { items: vec![item], ..Order::default() });
    CreateOrderRequest { parent: caller.parent(), order, ..CreateOrderRequest::default() }
}

fn item(request: &mut CreateOrderRequest) -> Outcome<&mut OrderItem> {
    let item = request.order.as_mut().and_then(|order| order.items.first_mut());
    item.ok_or_else(|| Failure::new("the order has no item"))
}

async fn ordered(caller: &Caller) -> Outcome<Operation> {
    caller.perform(purchase(caller)).await
}

/// A service of the caller's own, as it is read.
async fn bought(caller: &Caller) -> Outcome<Service> {
    let operation = ordered(caller).await?;
    let Some(Came::Order(order)) = operation.result else {
        return Err(Failure::new("the operation shows no order"));
    };
    let service = order.items.first().and_then(|item| item.services.first());
    let name = service.ok_or_else(|| Failure::new("the order names no service"))?.clone();
    Ok(caller.ask(Op::GetService, GetServiceRequest { name }).await?)
}

fn quantity(service: &Service, quantity: i32) -> UpdateServiceRequest {
    let service = Service { name: service.name.clone(), quantity, ..Service::default() };
    UpdateServiceRequest { service: Some(service), ..UpdateServiceRequest::default() }
}

/// A month more, paid as the account pays.
fn renewal(caller: &Caller, service: &Service) -> CreateRenewalRequest {
    let guard = ServiceRef {
        service: service.name.clone(),
        expected_expire_time: service.expire_time,
        ..ServiceRef::default()
    };
    let renewal = Renewal {
        service: service.name.clone(),
        services: vec![guard],
        term: months(1),
        ..Renewal::default()
    };
    CreateRenewalRequest {
        parent: caller.parent(),
        renewal: Some(renewal),
        payment: Some(Payment { choice: Some(Choice::DefaultMethod(true)) }),
        ..CreateRenewalRequest::default()
    }
}

async fn renewed(caller: &Caller) -> Outcome<Operation> {
    let service = bought(caller).await?;
    caller.perform(renewal(caller, &service)).await
}
