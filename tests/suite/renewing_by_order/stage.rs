//! A gateway with OVHcloud behind it, and the requests of a caller who renews there by order. It must not
//! know a scenario.

use purveyor_sdk::prost_types;
use purveyor_sdk::term::Period;
use purveyor_sdk::v1::operation::Result as Came;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{
    CreateRenewalRequest, GetRenewalRequest, Operation, PayOrderRequest, Payment, PaymentMethod,
    Renewal, Term,
};
use purveyor_simulators::ovh::{AccountSeed, Options, Ovh};
use purveyor_simulators::{FaultKind, Kind, Simulator};
use tonic::{Code, Status};
use xtask::configuration::Provider;

use crate::support::client::{Client, told};
use crate::support::requests::{renewal, request_id};
use crate::support::{Gateway, configuration};

pub(super) const RENEW: &str = "POST /service/{serviceId}/renew";
pub(super) const STATUS: &str = "GET /me/order/{orderId}/status";
pub(super) const MEANS: &str = "GET /me/order/{orderId}/availableRegisteredPaymentMean";
pub(super) const PAY: &str = "POST /me/order/{orderId}/payWithRegisteredPaymentMean";
pub(super) const SUSPEND: &str = "POST /service/{serviceId}/suspend";

/// The virtual server, by its number and by its name.
pub(super) const VPS: &str = "providers/ovh/services/12345";
pub(super) const VPS_BY_NAME: &str = "providers/ovh/services/vps112233.ovh.net";

/// The first order that the upstream makes.
pub(crate) const ORDER: &str = "providers/ovh/orders/123456789";

/// So slow that only [`release`] ends it, and so short that the upstream still takes the signature's time.
pub(super) const HELD: FaultKind = FaultKind::Slow { ms: 150_000 };

/// Ends what is [`HELD`].
pub(super) fn release(upstream: &Simulator<Ovh>) {
    upstream.advance(std::time::Duration::from_secs(150));
}

/// A gateway in this process, a caller and the upstream.
pub(super) struct Desk {
    _gateway: Gateway,
    pub(super) client: Client,
    pub(super) upstream: Simulator<Ovh>,
}

impl Desk {
    pub(super) async fn open() -> Self {
        Self::timed(1000).await
    }

    /// Where an answer may take long, because a scenario holds it.
    pub(super) async fn patient() -> Self {
        Self::timed(30_000).await
    }

    /// Where an effect is not awaited for long.
    pub(super) async fn hasty() -> Self {
        Self::of(|provider| provider.timing("effect_lag_ms", 1000)).await
    }

    async fn timed(attempt_timeout_ms: u64) -> Self {
        Self::of(|provider| provider.timing("attempt_timeout_ms", attempt_timeout_ms)).await
    }

    async fn of(changed: impl FnOnce(Provider) -> Provider) -> Self {
        let upstream = upstream().await;
        let provider = changed(provider(&upstream));
        let gateway = Gateway::start(configuration().provider("ovh", provider)).await;
        let client = gateway.client().await;
        Self { _gateway: gateway, client, upstream }
    }

    /// Three months more for the server, as it ends now.
    pub(super) async fn quarter(&self, payment: Option<Payment>) -> CreateRenewalRequest {
        quarter(&self.client, payment).await
    }

    /// A renewal that must be accepted, when it is done or needs a person.
    pub(super) async fn renewed(&self, request: CreateRenewalRequest) -> Operation {
        let accepted = self.client.renewals().create_renewal(request).await;
        self.client.done(&accepted.expect("it is accepted").into_inner().name).await
    }

    /// A payment that must be accepted, when it is done or needs a person.
    pub(super) async fn paid(&self, request: PayOrderRequest) -> Operation {
        let accepted = self.client.orders().pay_order(request).await;
        self.client.done(&accepted.expect("it is accepted").into_inner().name).await
    }

    pub(super) async fn renewal(&self, name: &str) -> Renewal {
        let request = GetRenewalRequest { name: name.to_owned() };
        let shown = self.client.renewals().get_renewal(request).await;
        shown.expect("the renewal is there").into_inner()
    }

    /// When the server ends, in seconds since 1970.
    pub(super) async fn end(&self) -> i64 {
        let service = self.client.service(VPS).await.expect("the server is there");
        service.expire_time.expect("it ends").seconds
    }

    pub(super) fn made_and_paid(&self) -> (usize, usize) {
        made_and_paid(&self.upstream)
    }

    pub(super) fn asked(&self, call: &str) -> u64 {
        asked(&self.upstream, call)
    }
}

pub(crate) async fn upstream() -> Simulator<Ovh> {
    Ovh::start(Options::default()).await.expect("the simulator starts")
}

/// The provider that points to a simulator, with the times that simulators are started with.
pub(crate) fn provider(upstream: &Simulator<Ovh>) -> Provider {
    let keys = AccountSeed::default();
    Provider::new("ovh", upstream.url())
        .credential("application-key", &keys.application_key)
        .credential("application-secret", &keys.application_secret)
        .credential("consumer-key", &keys.consumer_key)
        .timing("attempt_timeout_ms", 1000)
        .timing("upstream_idle_ms", 50)
        .timing("upstream_processing_ms", 50)
        .timing("listing_lag_ms", 50)
        .requests_per_second(1000)
}

/// The orders that the upstream has made, and those that were paid: its ledger.
pub(crate) fn made_and_paid(upstream: &Simulator<Ovh>) -> (usize, usize) {
    let ledger = upstream.ledger();
    let of = |kind| ledger.iter().filter(|entry| entry.sale.kind == kind).count();
    (of(Kind::OrderUnpaid), of(Kind::OrderPaid))
}

pub(super) fn asked(upstream: &Simulator<Ovh>, call: &str) -> u64 {
    upstream.requests().get(call).copied().unwrap_or_default()
}

pub(crate) async fn quarter(client: &Client, payment: Option<Payment>) -> CreateRenewalRequest {
    let service = client.service(VPS).await.expect("the server is there");
    let mut request = renewal(VPS, service.expire_time);
    request.renewal.as_mut().expect("a renewal").term = months(3);
    CreateRenewalRequest { payment, ..request }
}

pub(super) fn months(months: u32) -> Option<Term> {
    Some(Term::recurring(Period::Months(months), ""))
}

pub(super) fn means(kind: &str, id: &str) -> Option<Payment> {
    let (kind, id) = (kind.to_owned(), id.to_owned());
    let method = PaymentMethod { r#type: kind, id, ..PaymentMethod::default() };
    Some(Payment { choice: Some(Choice::Method(method)) })
}

pub(crate) fn paypal() -> Option<Payment> {
    means("paypal", "1234")
}

pub(crate) fn payment(order: &str, payment: Option<Payment>) -> PayOrderRequest {
    PayOrderRequest {
        name: order.to_owned(),
        payment,
        request_id: request_id(),
        wait: Some(prost_types::Duration::default()),
        ..PayOrderRequest::default()
    }
}

/// The renewal that an operation shows.
#[track_caller]
pub(super) fn shown(operation: &Operation) -> &Renewal {
    match &operation.result {
        Some(Came::Renewal(renewal)) => renewal,
        other => panic!("{} shows no renewal: {other:?}", operation.name),
    }
}

/// Code and reason of a refused call.
#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let (code, reason, _) = told(&answer.expect_err("it is refused"));
    (code, reason)
}
