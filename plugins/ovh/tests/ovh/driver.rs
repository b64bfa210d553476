//! The plugin and its simulated upstream, whose clock stands still somewhere else than ours; and the
//! requests that the tests make.

use std::sync::Arc;

use purveyor_ovh::Ovh as Plugin;
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::prost::Message;
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::testing::{Ended, write};
use purveyor_sdk::testing::{Setup, TestHost};
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{
    CreateRenewalRequest, ErrorReason, GetOrderRequest, GetRenewalRequest, GetServiceRequest,
    ListRenewalOptionsRequest, ListRenewalOptionsResponse, Order, PayOrderRequest, Payment,
    PaymentMethod, Renewal, Service, ServiceRef, Term,
};
use purveyor_sdk::{Period, Result};
use purveyor_simulators::ovh::{AccountSeed, Mode, Options, Ovh};
use purveyor_simulators::{Clock, Instruments, Simulator};

/// Where the upstream's clock stands.
pub(crate) const START: &str = "2026-05-15T13:49:06Z";

/// The names of the calls that move money.
pub(crate) const PAY: &str = "POST /me/order/{orderId}/payWithRegisteredPaymentMean";
pub(crate) const RENEW: &str = "POST /service/{serviceId}/renew";

/// The plugin and its upstream.
pub(crate) struct Bench {
    pub(crate) upstream: Simulator<Ovh>,
    pub(crate) plugin: TestHost<Plugin>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::in_mode(Mode::default()).await
    }

    pub(crate) async fn in_mode(mode: Mode) -> Self {
        Self::with(Options { mode, ..Options::default() }, json!({})).await
    }

    pub(crate) async fn with(options: Options, configuration: Value) -> Self {
        let clock = Arc::new(Clock::manual(START.parse().unwrap()));
        let instruments = Instruments { clock, ..Instruments::default() };
        let upstream = Ovh::start(Options { instruments, ..options }).await.unwrap();
        let plugin = open(upstream.url(), configuration).unwrap();
        Self { upstream, plugin }
    }

    /// Changes switches of the upstream.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Mode)) {
        let mut mode = self.upstream.mode();
        change(&mut mode);
        self.upstream.set_mode(mode);
    }

    /// Changes the account upstream.
    pub(crate) fn change_account(&self, change: impl FnOnce(&mut AccountSeed)) {
        let mut account = AccountSeed::default();
        change(&mut account);
        self.upstream.put_account(account).unwrap();
    }

    /// How often the upstream was asked for a call.
    pub(crate) fn asked(&self, call: &str) -> u64 {
        self.upstream.requests().get(call).copied().unwrap_or_default()
    }

    /// How many orders were made, and how many paid.
    pub(crate) fn made_and_paid(&self) -> (usize, usize) {
        let ledger = self.upstream.ledger();
        let count = |kind| ledger.iter().filter(|entry| entry.sale.kind == kind).count();
        use purveyor_simulators::Kind::{OrderPaid, OrderUnpaid};
        (count(OrderUnpaid), count(OrderPaid))
    }

    pub(crate) async fn service(&self, id: &str) -> Result<Service> {
        let request = GetServiceRequest { name: service_name(id) };
        self.plugin.read(Op::GetService, &request, id).await
    }

    pub(crate) async fn options(
        &self,
        id: &str,
        include_options: bool,
    ) -> Result<ListRenewalOptionsResponse> {
        let parent = service_name(id);
        let request = ListRenewalOptionsRequest { parent, include_options, ..Default::default() };
        self.plugin.read(Op::ListRenewalOptions, &request, id).await
    }

    pub(crate) async fn order(&self, id: &str) -> Result<Order> {
        let request = GetOrderRequest { name: order_name(id) };
        self.plugin.read(Op::GetOrder, &request, id).await
    }

    pub(crate) async fn renewal(&self, id: &str) -> Result<Renewal> {
        let request = GetRenewalRequest { name: format!("providers/test/renewals/{id}") };
        self.plugin.read(Op::GetRenewal, &request, id).await
    }

    /// A request that renews these services for three months, or a year.
    pub(crate) async fn request(&self, services: &[&str], months: u32) -> CreateRenewalRequest {
        let mut guards = Vec::new();
        for id in services {
            let service = self.service(id).await.unwrap();
            guards.push(ServiceRef {
                service: service.name,
                expected_expire_time: service.expire_time,
                ..ServiceRef::default()
            });
        }
        let renewal = Renewal {
            service: guards[0].service.clone(),
            services: guards,
            term: Some(Term::recurring(Period::Months(months), "")),
            ..Renewal::default()
        };
        CreateRenewalRequest {
            parent: "providers/test".to_owned(),
            renewal: Some(renewal),
            ..CreateRenewalRequest::default()
        }
    }

    /// The same, paid with the guide's means.
    pub(crate) async fn paid_request(
        &self,
        services: &[&str],
        months: u32,
    ) -> CreateRenewalRequest {
        let payment = Some(paypal());
        CreateRenewalRequest { payment, ..self.request(services, months).await }
    }

    pub(crate) async fn run(&self, op: Op, request: &impl Message, upstream_id: &str) -> Ended {
        self.plugin.run(&write(op, request, upstream_id)).await
    }

    /// An unpaid order of the VPS for three months; its number.
    pub(crate) async fn unpaid(&self) -> String {
        let request = self.request(&["12345"], 3).await;
        let renewal = self.run(Op::CreateRenewal, &request, "").await.renewal();
        renewal.upstream.unwrap().id().to_owned()
    }
}

pub(crate) fn open(url: &str, configuration: Value) -> Result<TestHost<Plugin>> {
    let keys = AccountSeed::default();
    let setup = Setup::new(url)
        .credential("application-key", &keys.application_key)
        .credential("application-secret", &keys.application_secret)
        .credential("consumer-key", &keys.consumer_key);
    TestHost::open(setup.configuration(configuration))
}

/// The guide's means of payment.
pub(crate) fn paypal() -> Payment {
    method("paypal", "1234")
}

pub(crate) fn method(kind: &str, id: &str) -> Payment {
    let method =
        PaymentMethod { r#type: kind.to_owned(), id: id.to_owned(), ..PaymentMethod::default() };
    Payment { choice: Some(Choice::Method(method)) }
}

pub(crate) fn default_payment() -> Payment {
    Payment { choice: Some(Choice::DefaultMethod(true)) }
}

pub(crate) fn pay_order(id: &str, payment: Payment) -> Write {
    write(Op::PayOrder, &payment_of(id, payment), id)
}

pub(crate) fn payment_of(id: &str, payment: Payment) -> PayOrderRequest {
    PayOrderRequest { name: order_name(id), payment: Some(payment), ..Default::default() }
}

pub(crate) fn service_name(id: &str) -> String {
    format!("providers/test/services/{}", id.replace('/', "%2F"))
}

pub(crate) fn order_name(id: &str) -> String {
    format!("providers/test/orders/{id}")
}

/// A day of the simulated calendar.
pub(crate) fn day(text: &str) -> purveyor_sdk::prost_types::Timestamp {
    purveyor_sdk::time::rfc3339(&format!("{text}T00:00:00Z")).unwrap()
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T>) -> ErrorReason {
    result.unwrap_err().reason
}

/// An amount as text, `17.96 EUR`.
pub(crate) fn amount(price: Option<&purveyor_sdk::v1::Price>) -> String {
    price.unwrap().amount.as_ref().unwrap().to_string()
}
