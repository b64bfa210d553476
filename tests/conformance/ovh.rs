//! OVHcloud: virtual servers whose terms are renewed and paid, and what can be changed of them. Nothing
//! is bought there, so every account begins with a server for each request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, Result};
use purveyor_sdk::Period;
use purveyor_sdk::conformance::{
    BadRow, Caller, Case, Disturbance, Failure, Happening, Outcome, Priced, Rejection, Report,
    Request, Sale, Subject, Violation, run,
};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::prost_types::FieldMask;
use purveyor_sdk::v1::operation::Result as Came;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{
    CheckProviderRequest, CreateRenewalRequest, GetOrderRequest, GetOrderSecretsRequest,
    GetRenewalRequest, GetServiceRequest, ListOrdersRequest, ListPaymentMethodsRequest,
    ListRenewalOptionsRequest, ListRenewalsRequest, ListServicesRequest, ListView, Money,
    PayOrderRequest, Payment, PaymentMethod, Renewal, RenewalPolicy, ResumeServiceRequest, Service,
    ServiceRef, SuspendServiceRequest, Term, TerminateServiceRequest, UpdateServiceRequest,
};
use purveyor_simulators::ovh::{
    AccountSeed, Happening as Ordered, Mode, Options, Ovh as Upstream, ServiceSeed,
};
use purveyor_simulators::{FaultKind, Simulator};
use xtask::artifacts::Artifacts;
use xtask::configuration::Provider;

use crate::bench::{self, Bench, Calls, FOR_GOOD_MS, UPSTREAMS, milliseconds};

/// The servers of each account: more than its cases change.
const SERVERS: i64 = 100;

const NICHANDLE: &str = "cf1-ovh";

const DAY_S: i64 = 24 * 3600;

/// The number of the first server.
const FIRST: i64 = 500_000;

const CALLS: Calls = Calls {
    names: &[
        ("auth.time", "GET /auth/time"),
        ("auth.credential", "GET /auth/currentCredential"),
        ("me", "GET /me"),
        ("service.list", "GET /service"),
        ("service.get", "GET /service/{serviceId}"),
        ("service.renewals", "GET /service/{serviceId}/renew"),
        ("service.renew", "POST /service/{serviceId}/renew"),
        ("service.suspend", "POST /service/{serviceId}/suspend"),
        ("service.reopen", "POST /service/{serviceId}/reopen"),
        ("service.terminate", "POST /service/{serviceId}/terminate"),
        ("infos.get.short", "GET /vps/{serviceName}/serviceInfos"),
        ("infos.put.short", "PUT /vps/{serviceName}/serviceInfos"),
        ("order.list", "GET /me/order"),
        ("order.get", "GET /me/order/{orderId}"),
        ("order.status", "GET /me/order/{orderId}/status"),
        ("order.details", "GET /me/order/{orderId}/details"),
        ("order.detail", "GET /me/order/{orderId}/details/{orderDetailId}"),
        ("order.extension", "GET /me/order/{orderId}/details/{orderDetailId}/extension"),
        ("order.payment", "GET /me/order/{orderId}/payment"),
        ("order.means", "GET /me/order/{orderId}/availableRegisteredPaymentMean"),
        ("order.pay.mean", "POST /me/order/{orderId}/payWithRegisteredPaymentMean"),
        ("order.pay.method", "POST /me/order/{orderId}/pay"),
        ("mean.list", "GET /me/paymentMean/{kind}"),
        ("mean.get", "GET /me/paymentMean/{kind}/{id}"),
        ("method.list", "GET /me/payment/method"),
        ("method.get", "GET /me/payment/method/{paymentMethodId}"),
    ],
    unknown_word: || FaultKind::Fault { code: 400, text: "This order is already paid".to_owned() },
    undeclared: || FaultKind::Fault { code: 400, text: "Something else is wrong".to_owned() },
    echo: 400,
    credentials: &[
        "applicationkey01",
        "applicationsecretapplicationsec1",
        "consumerkeyconsumerkeyconsumerk1",
    ],
    rate_limit: || Some(FaultKind::Fault { code: 429, text: "Too many requests".to_owned() }),
};

struct Ovh {
    bench: Bench<Upstream>,
    next: AtomicI64,
}

/// Runs the suite.
pub(crate) async fn show(artifacts: &Artifacts) -> Result<Report> {
    let mut upstreams = Vec::new();
    for _ in 0..UPSTREAMS {
        let account = AccountSeed {
            nichandle: NICHANDLE.to_owned(),
            services: (0..SERVERS).map(server).collect(),
            ..AccountSeed::default()
        };
        let options = Options { accounts: vec![account], ..Options::default() };
        upstreams.push(Upstream::start(options).await.context("the simulator does not start")?);
    }
    let keys = AccountSeed::default();
    let provider = |upstream: &Simulator<Upstream>| {
        // Every upstream knows the account by one name and counts its objects from one number.
        let provider = Provider::new("ovh", upstream.url())
            .account("separate")
            .credential("application-key", &keys.application_key)
            .credential("application-secret", &keys.application_secret)
            .credential("consumer-key", &keys.consumer_key)
            .requests_per_second(1000);
        bench::timed(provider)
    };
    let (_gateway, benches) = bench::serve(artifacts, upstreams, provider, CALLS)?;
    let subject = |bench| Ovh { bench, next: AtomicI64::new(0) };
    let subjects: Vec<Ovh> = benches.into_iter().map(subject).collect();
    Ok(run(&subjects).await)
}

fn server(number: i64) -> ServiceSeed {
    let mut seed = ServiceSeed::examples().swap_remove(0);
    seed.id = FIRST + number;
    seed.name = format!("vps{number}.conformance.ovh.net");
    seed.options.clear();
    seed
}

impl Subject for Ovh {
    fn gateway(&self) -> String {
        self.bench.gateway.clone()
    }

    fn provider(&self) -> String {
        self.bench.provider.clone()
    }

    async fn sample(&self, caller: &Caller, op: Op) -> Outcome<Option<Request>> {
        let parent = caller.parent();
        Ok(Some(match op {
            Op::CheckProvider => CheckProviderRequest { name: parent }.into(),
            Op::ListServices => ListServicesRequest { parent, ..Default::default() }.into(),
            Op::GetService => GetServiceRequest { name: self.fresh(caller) }.into(),
            Op::UpdateService => policy(self.fresh(caller), "renewal_policy").into(),
            Op::SuspendService => {
                SuspendServiceRequest { name: self.fresh(caller), ..Default::default() }.into()
            }
            Op::ResumeService => {
                let name = self.suspended(caller).await?;
                ResumeServiceRequest { name, ..Default::default() }.into()
            }
            Op::TerminateService => {
                let name = self.suspended(caller).await?;
                TerminateServiceRequest { name, ..Default::default() }.into()
            }
            Op::ListRenewalOptions => {
                let parent = self.fresh(caller);
                ListRenewalOptionsRequest { parent, ..Default::default() }.into()
            }
            Op::CreateRenewal => {
                let request = self.renewal(caller).await?;
                CreateRenewalRequest { payment: Some(paypal()), ..request }.into()
            }
            Op::GetRenewal => {
                let request = self.renewal(caller).await?;
                GetRenewalRequest { name: caller.perform(request).await?.target }.into()
            }
            Op::ListRenewals => ListRenewalsRequest { parent, ..Default::default() }.into(),
            Op::GetOrder => GetOrderRequest { name: self.unpaid(caller).await? }.into(),
            Op::ListOrders => ListOrdersRequest { parent, ..Default::default() }.into(),
            Op::GetOrderSecrets => {
                GetOrderSecretsRequest { name: self.unpaid(caller).await? }.into()
            }
            Op::ListPaymentMethods => {
                let parent = self.unpaid(caller).await?;
                ListPaymentMethodsRequest { parent, ..Default::default() }.into()
            }
            Op::PayOrder => {
                let (name, payment) = (self.unpaid(caller).await?, Some(paypal()));
                PayOrderRequest { name, payment, ..Default::default() }.into()
            }
            _ => return Ok(None),
        }))
    }

    async fn violations(&self, caller: &Caller, op: Op) -> Outcome<Vec<Violation>> {
        Ok(match op {
            Op::UpdateService => {
                vec![Violation::new(policy(self.fresh(caller), "quantity"), "update_mask")]
            }
            Op::CreateRenewal => {
                let mut half = self.renewal(caller).await?;
                half.renewal.get_or_insert_default().term = months(0);
                vec![Violation::new(half, "renewal.term.period")]
            }
            _ => Vec::new(),
        })
    }

    async fn rejection(&self, caller: &Caller, op: Op) -> Outcome<Option<Rejection>> {
        let (call, code, text) = match op {
            Op::CreateRenewal | Op::PayOrder => {
                ("order.pay.mean", 403, "This order can't be paid with paypal")
            }
            _ => return Ok(None),
        };
        let request = self.sample(caller, op).await?;
        self.bench.fail(call, FaultKind::Fault { code, text: text.to_owned() });
        let reason = "UPSTREAM_REJECTED".to_owned();
        Ok(request.map(|request| Rejection { request, reason }))
    }

    async fn leaf(&self, caller: &Caller, _: Op, path: &str) -> Outcome<Option<Request>> {
        let one = RenewalPolicy::default();
        let one = match path {
            "renewal_policy.auto_renew" => RenewalPolicy { auto_renew: Some(false), ..one },
            "renewal_policy.cancel_at_expiry" => {
                RenewalPolicy { cancel_at_expiry: Some(true), ..one }
            }
            "renewal_policy.term" => RenewalPolicy { term: months(3), ..one },
            _ => return Ok(None),
        };
        let (name, renewal_policy) = (self.fresh(caller), Some(one));
        let service = Some(Service { name, renewal_policy, ..Service::default() });
        Ok(Some(UpdateServiceRequest { service, ..UpdateServiceRequest::default() }.into()))
    }

    async fn populate(&self, caller: &Caller, op: Op) -> Outcome<usize> {
        Ok(match op {
            Op::ListOrders | Op::ListRenewals => {
                for _ in 0..3 {
                    self.unpaid(caller).await?;
                }
                3
            }
            Op::ListServices => usize::try_from(SERVERS).unwrap_or_default(),
            _ => 3,
        })
    }

    /// An order that nobody has paid is no sale.
    async fn sales(&self) -> Vec<Sale> {
        self.bench.sales().into_iter().filter(|sale| sale.kind == "OrderPaid").collect()
    }

    async fn requests(&self) -> BTreeMap<String, u64> {
        self.bench.requests()
    }

    async fn open_connections(&self) -> u64 {
        self.bench.upstream.connections().open
    }

    async fn disturb(&self, call: &str, disturbance: Disturbance) -> Outcome<bool> {
        let mode = match disturbance {
            Disturbance::EffectLag(lag) => {
                let (effect_lag_ms, change_ms) = (milliseconds(lag), milliseconds(lag));
                Mode { effect_lag_ms, change_ms, ..Mode::default() }
            }
            Disturbance::LoseUnderWay => Mode { checking_ms: FOR_GOOD_MS, ..Mode::default() },
            Disturbance::Unpaid => return self.put_means(true).map(|()| true),
            _ => return self.bench.disturb(call, disturbance),
        };
        self.bench.upstream.set_mode(mode);
        match disturbance {
            Disturbance::EffectLag(_) => Ok(true),
            _ => self.bench.disturb(call, disturbance),
        }
    }

    /// What a server costs for three months: as a way to renew it, and with tax as an order of it.
    async fn priced(&self, caller: &Caller) -> Outcome<Option<Priced>> {
        let unpaid = self.renewal(caller).await?;
        let paid = CreateRenewalRequest { payment: Some(paypal()), ..self.renewal(caller).await? };
        let max_price = Money::parse("EUR", "1000").ok();
        let limited = self.renewal(caller).await?;
        let limited = CreateRenewalRequest { payment: Some(paypal()), max_price, ..limited };
        let parent = self.fresh(caller);
        Ok(Some(Priced {
            digits: "14.97".to_owned(),
            shown: ListRenewalOptionsRequest { parent, ..Default::default() }.into(),
            free: vec![unpaid.into(), paid.into()],
            bound: vec![limited.into()],
        }))
    }

    async fn misprice(&self, priced: &Priced, digits: &str) -> Outcome<()> {
        let to = format!(r#""value":"{digits}""#);
        let from = format!(r#""value":{}"#, priced.digits);
        self.bench.respell("service.renewals", &from, &to);
        for call in ["service.renew", "order.get"] {
            self.bench.respell(call, r#""value":17.96"#, &to);
        }
        Ok(())
    }

    async fn bad_row(&self, caller: &Caller) -> Outcome<BadRow> {
        let name = self.fresh(caller);
        let service: Service = caller.ask(Op::GetService, GetServiceRequest { name }).await?;
        let good = GetServiceRequest { name: self.fresh(caller) }.into();
        let free = CreateRenewalRequest { payment: Some(paypal()), ..self.renewal(caller).await? };
        let (parent, view) = (caller.parent(), ListView::Full.into());
        let shown = ListServicesRequest { parent, view, ..Default::default() }.into();
        let (name, text) = (service.name, format!(r#""name":"{}""#, service.display_name));
        Ok(BadRow { name, text, shown, good: vec![good], free: vec![free.into()] })
    }

    async fn spoil(&self, bad: &BadRow) -> Outcome<()> {
        self.bench.respell("service.get", &bad.text, r#""name":[]"#);
        Ok(())
    }

    async fn happens(&self, happening: Happening<'_>) -> Outcome<()> {
        let upstream = &self.bench.upstream;
        let happened = match happening {
            Happening::Fails(sale) => {
                upstream.set_status(sale.id.parse().map_err(Failure::new)?, "cancelled")
            }
            Happening::NotFoundOnce(call) => {
                let read = if call.starts_with("order.") { "order.status" } else { "service.get" };
                let text = "The requested object does not exist".to_owned();
                self.bench.fail(read, FaultKind::Fault { code: 404, text });
                Ok(())
            }
            Happening::BoughtAhead => {
                let number = self.next.fetch_add(1, Ordering::Relaxed) % SERVERS;
                let (services, duration) = (vec![FIRST + number], "P3M".to_owned());
                let renewal = Ordered::Renew { services, duration, pays: false, ahead_s: DAY_S };
                upstream.happens(renewal).map(drop)
            }
            Happening::Renamed(_) | Happening::Ended(_) | Happening::ListingsLack => {
                Err("an order is not searched for in a listing".to_owned())
            }
        };
        happened.map_err(Failure::new)
    }

    fn omits(&self, op: Op, case: Case) -> Option<&'static str> {
        match (case, op) {
            (Case::MarkCut | Case::Renamed, _) => Some("what is sold bears no mark of ours"),
            (Case::ListNotWhole | Case::NewestEnded, _) => {
                Some("an order is paid by its number, and no listing tells whether it was")
            }
            (Case::EffectNever | Case::EffectLags, Op::UpdateService) => {
                Some("a policy of renewal shows with the answer")
            }
            (Case::EffectNever, Op::SuspendService | Op::ResumeService | Op::TerminateService) => {
                Some("a service whose state has not changed says that it changes, and is polled")
            }
            _ => None,
        }
    }

    async fn struck(&self) -> bool {
        self.bench.struck()
    }

    async fn calm(&self) {
        self.bench.calm();
        self.bench.upstream.set_mode(Mode::default());
        // There is such an account.
        let _ = self.put_means(false);
    }
}

impl Ovh {
    /// Every means of payment pays, or is taken and pays nothing.
    fn put_means(&self, refuses_later: bool) -> Outcome<()> {
        let mut account = AccountSeed { nichandle: NICHANDLE.to_owned(), ..AccountSeed::default() };
        account.services.clear();
        account.means.iter_mut().for_each(|mean| mean.refuses_later = refuses_later);
        self.bench.upstream.put_account(account).map_err(Failure::new)
    }

    /// The name of a server that no case has touched.
    fn fresh(&self, caller: &Caller) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % SERVERS;
        caller.name("services", &(FIRST + number).to_string())
    }

    async fn suspended(&self, caller: &Caller) -> Outcome<String> {
        let name = self.fresh(caller);
        let request = SuspendServiceRequest { name: name.clone(), ..Default::default() };
        caller.perform(request).await?;
        Ok(name)
    }

    /// Three months more for a server, without a payment.
    async fn renewal(&self, caller: &Caller) -> Outcome<CreateRenewalRequest> {
        let name = self.fresh(caller);
        let service: Service = caller.ask(Op::GetService, GetServiceRequest { name }).await?;
        let guard = ServiceRef {
            service: service.name.clone(),
            expected_expire_time: service.expire_time,
            ..ServiceRef::default()
        };
        let renewal = Renewal {
            service: service.name,
            services: vec![guard],
            term: months(3),
            ..Renewal::default()
        };
        let (parent, renewal) = (caller.parent(), Some(renewal));
        Ok(CreateRenewalRequest { parent, renewal, ..CreateRenewalRequest::default() })
    }

    /// The name of an order that waits for payment.
    async fn unpaid(&self, caller: &Caller) -> Outcome<String> {
        let request = self.renewal(caller).await?;
        match caller.perform(request).await?.result {
            Some(Came::Renewal(renewal)) => Ok(renewal.order),
            _ => Err(Failure::new("the operation shows no renewal")),
        }
    }
}

fn months(months: u32) -> Option<Term> {
    Some(Term::recurring(Period::Months(months), ""))
}

fn policy(name: String, path: &str) -> UpdateServiceRequest {
    let renewal_policy = Some(RenewalPolicy {
        auto_renew: Some(false),
        cancel_at_expiry: Some(true),
        term: months(3),
        forced: false,
    });
    let service = Some(Service { name, renewal_policy, ..Service::default() });
    let update_mask = Some(FieldMask { paths: vec![path.to_owned()] });
    UpdateServiceRequest { service, update_mask, ..UpdateServiceRequest::default() }
}

fn paypal() -> Payment {
    let (kind, id) = ("paypal".to_owned(), "1234".to_owned());
    let method = PaymentMethod { r#type: kind, id, ..PaymentMethod::default() };
    Payment { choice: Some(Choice::Method(method)) }
}
