//! RackNap: records of services by the month, suspended, resumed, ended and adopted. Nothing of them can
//! be read upstream, so that a lost record is a person's business.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use purveyor_sdk::Period;
use purveyor_sdk::conformance::{
    BadRow, Caller, Disturbance, Failure, Outcome, Priced, Rejection, Report, Request, Sale,
    Subject, Violation, run,
};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::prost_types::{Struct, Value, value};
use purveyor_sdk::v1::operation::Result as Came;
use purveyor_sdk::v1::{
    AdoptServiceRequest, CreateOrderRequest, Date, GetOrderRequest, GetProductRequest,
    GetServiceRequest, ListOrdersRequest, ListProductsRequest, ListServicesRequest, Money,
    Operation, Order, OrderItem, OrderPricing, ResumeServiceRequest, Service,
    SuspendServiceRequest, Term, TerminateServiceRequest, UpstreamRef,
};
use purveyor_simulators::racknap::{AccountSeed, Mode, Options, RackNap as Upstream};
use purveyor_simulators::{FaultKind, Simulator};
use xtask::artifacts::Artifacts;
use xtask::configuration::Provider;

use crate::bench::{self, Bench, Calls, UPSTREAMS};

const TOKEN: &str = "conformanceconformance00";

/// The account's name in the ledger.
const ACCOUNT: &str = "conformance";

/// The upstream documents no answer to too many requests.
const CALLS: Calls = Calls {
    names: &[
        ("service/create", "create"),
        ("service/suspend", "suspend"),
        ("service/unsuspend", "unsuspend"),
        ("service/terminate", "terminate"),
        ("service/planDetail", "planDetail"),
        ("service/cloud_linux_vps_details", "cloud_linux_vps_details"),
    ],
    unknown_word: || FaultKind::Word { word: "Completed".into(), status: 200 },
    undeclared: || FaultKind::Status { status: 400 },
    echo: 400,
    credentials: &[TOKEN],
    rate_limit: || None,
};

struct RackNap(Bench<Upstream>);

/// Runs the suite.
pub(crate) async fn show(artifacts: &Artifacts) -> Result<Report> {
    let mut upstreams = Vec::new();
    for _ in 0..UPSTREAMS {
        let account = AccountSeed {
            token: TOKEN.to_owned(),
            name: ACCOUNT.to_owned(),
            ..AccountSeed::default()
        };
        let options = Options { accounts: vec![account], ..Options::default() };
        upstreams.push(Upstream::start(options).await.context("the simulator does not start")?);
    }
    let provider = |upstream: &Simulator<Upstream>| {
        let currencies = toml::Table::from_iter([("INR".to_owned(), toml::Value::from(1))]);
        let provider = Provider::new("racknap", upstream.url())
            .credential("token", TOKEN)
            .setting("currencies", currencies)
            .setting("plans", vec![172, 24]);
        bench::timed(provider)
    };
    let (_gateway, benches) = bench::serve(artifacts, upstreams, provider, CALLS)?;
    let subjects: Vec<RackNap> = benches.into_iter().map(RackNap).collect();
    Ok(run(&subjects).await)
}

impl Subject for RackNap {
    fn gateway(&self) -> String {
        self.0.gateway.clone()
    }

    fn provider(&self) -> String {
        self.0.provider.clone()
    }

    async fn sample(&self, caller: &Caller, op: Op) -> Outcome<Option<Request>> {
        let parent = caller.parent();
        Ok(Some(match op {
            Op::ListProducts => ListProductsRequest { parent, ..Default::default() }.into(),
            Op::GetProduct => {
                let name = caller.name("products", "172");
                GetProductRequest { name, ..Default::default() }.into()
            }
            Op::CreateOrder => purchase(caller).into(),
            Op::GetOrder => GetOrderRequest { name: ordered(caller).await?.target }.into(),
            Op::ListOrders => ListOrdersRequest { parent, ..Default::default() }.into(),
            Op::GetService => GetServiceRequest { name: bought(caller).await? }.into(),
            Op::ListServices => ListServicesRequest { parent, ..Default::default() }.into(),
            Op::AdoptService => self.made_elsewhere(parent)?.into(),
            Op::SuspendService => suspension(bought(caller).await?).into(),
            Op::ResumeService => {
                let name = bought(caller).await?;
                caller.perform(suspension(name.clone())).await?;
                ResumeServiceRequest { name, ..Default::default() }.into()
            }
            Op::TerminateService => {
                let name = bought(caller).await?;
                TerminateServiceRequest { name, ..Default::default() }.into()
            }
            _ => return Ok(None),
        }))
    }

    async fn violations(&self, caller: &Caller, op: Op) -> Outcome<Vec<Violation>> {
        if op != Op::CreateOrder {
            return Ok(Vec::new());
        }
        let mut colored = purchase(caller);
        let value = Value { kind: Some(value::Kind::StringValue("red".to_owned())) };
        let fields = [("color".to_owned(), value)].into();
        item(&mut colored)?.options = Some(Struct { fields });
        let mut none = purchase(caller);
        item(&mut none)?.quantity = 0;
        let mut termless = purchase(caller);
        item(&mut termless)?.term = None;
        let mut two = purchase(caller);
        let items = &mut two.order.get_or_insert_default().items;
        items.extend_from_within(..);
        Ok(vec![
            Violation::new(colored, "order.items[0].options.color"),
            Violation::new(none, "order.items[0].quantity"),
            Violation::new(termless, "order.items[0].term"),
            Violation::new(two, "order.items"),
        ])
    }

    async fn rejection(&self, caller: &Caller, op: Op) -> Outcome<Option<Rejection>> {
        let call = match op {
            Op::CreateOrder => "service/create",
            Op::SuspendService => "service/suspend",
            Op::ResumeService => "service/unsuspend",
            Op::TerminateService => "service/terminate",
            _ => return Ok(None),
        };
        let request = self.sample(caller, op).await?;
        self.0.fail(call, FaultKind::Fault { code: 3001, text: "It is not allowed.".to_owned() });
        let reason = "UPSTREAM_REJECTED".to_owned();
        Ok(request.map(|request| Rejection { request, reason }))
    }

    async fn again(&self, caller: &Caller, op: Op) -> Outcome<Option<Request>> {
        if op != Op::CreateOrder {
            return Ok(None);
        }
        let name = bought(caller).await?;
        caller.perform(TerminateServiceRequest { name, ..Default::default() }).await?;
        self.0.upstream.set_mode(Mode { reuse_ids: true, ..Mode::default() });
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
            _ => 2,
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
        self.0.disturb(call, disturbance)
    }

    /// What the first plan costs in its first month. What an order costs, its caller says.
    async fn priced(&self, caller: &Caller) -> Outcome<Option<Priced>> {
        let parent = caller.parent();
        Ok(Some(Priced {
            digits: "48.00".to_owned(),
            shown: ListProductsRequest { parent, ..Default::default() }.into(),
            free: vec![purchase(caller).into()],
            bound: Vec::new(),
        }))
    }

    async fn misprice(&self, priced: &Priced, digits: &str) -> Outcome<()> {
        let from = format!(r#""first_plan_price":{}"#, priced.digits);
        self.0.respell("service/planDetail", &from, &format!(r#""first_plan_price":"{digits}""#));
        Ok(())
    }

    async fn bad_row(&self, caller: &Caller) -> Outcome<BadRow> {
        let shown = ListProductsRequest { parent: caller.parent(), ..Default::default() }.into();
        let good = GetProductRequest { name: caller.name("products", "172"), ..Default::default() };
        let (good, free) = (vec![good.into()], vec![purchase(caller).into()]);
        Ok(BadRow { name: String::new(), text: String::new(), shown, good, free })
    }

    async fn spoil(&self, _: &BadRow) -> Outcome<()> {
        self.0.fail("service/planDetail", FaultKind::Status { status: 500 });
        Ok(())
    }

    async fn struck(&self) -> bool {
        self.0.struck()
    }

    async fn calm(&self) {
        self.0.calm();
        self.0.upstream.set_mode(Mode::default());
    }
}

impl RackNap {
    /// A service that the upstream has and the gateway has never heard of.
    fn made_elsewhere(&self, parent: String) -> Outcome<AdoptServiceRequest> {
        let id = self.0.upstream.make_service(ACCOUNT, 24).map_err(Failure::new)?;
        let upstream = Some(UpstreamRef::of(id.to_string()));
        let service = Some(Service { upstream, ..Service::default() });
        Ok(AdoptServiceRequest { parent, service, ..AdoptServiceRequest::default() })
    }
}

fn purchase(caller: &Caller) -> CreateOrderRequest {
    let amount = || Some(Money { currency_code: "INR".to_owned(), units: 528, nanos: 140_000_000 });
    let item = OrderItem {
        product: caller.name("products", "172"),
        quantity: 1,
        term: Some(Term::recurring(Period::Months(1), "")),
        pricing: Some(OrderPricing {
            recurring_amount: amount(),
            purchase_amount: amount(),
            first_plan_price: amount(),
            recurring_plan_price: amount(),
            first_payment: amount(),
        }),
        start_date: Some(Date { year: 2026, month: 1, day: 31 }),
        ..OrderItem::default()
    };
    let order = Some(Order { customer: "652".to_owned(), items: vec![item], ..Order::default() });
    CreateOrderRequest { parent: caller.parent(), order, ..CreateOrderRequest::default() }
}

fn item(request: &mut CreateOrderRequest) -> Outcome<&mut OrderItem> {
    let item = request.order.as_mut().and_then(|order| order.items.first_mut());
    item.ok_or_else(|| Failure::new("the order has no item"))
}

async fn ordered(caller: &Caller) -> Outcome<Operation> {
    caller.perform(purchase(caller)).await
}

/// The name of a service of the caller's own.
async fn bought(caller: &Caller) -> Outcome<String> {
    let operation = ordered(caller).await?;
    let Some(Came::Order(order)) = operation.result else {
        return Err(Failure::new("the operation shows no order"));
    };
    let service = order.items.first().and_then(|item| item.services.first());
    service.cloned().ok_or_else(|| Failure::new("the order names no service"))
}

fn suspension(name: String) -> SuspendServiceRequest {
    SuspendServiceRequest { name, ..SuspendServiceRequest::default() }
}
