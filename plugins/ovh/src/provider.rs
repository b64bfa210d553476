//! The provider: which methods there are, and what the gateway may expect of each. What a method does
//! is in the module of its noun; nothing is decided here.

use purveyor_sdk::names::ProviderName;
use purveyor_sdk::v1::{
    CheckProviderRequest, CheckProviderResponse, CreateRenewalRequest, GetOrderRequest,
    GetOrderSecretsRequest, GetRenewalRequest, GetServiceRequest, ListOrdersRequest,
    ListOrdersResponse, ListPaymentMethodsRequest, ListPaymentMethodsResponse,
    ListRenewalOptionsRequest, ListRenewalOptionsResponse, ListRenewalsRequest,
    ListRenewalsResponse, ListServicesRequest, ListServicesResponse, Order, OrderSecrets,
    PayOrderRequest, Quote, Renewal, ResumeServiceRequest, Service, SuspendServiceRequest,
    TerminateServiceRequest, UpdateServiceRequest,
};
use purveyor_sdk::{
    Baseline, Call, Credential, Cx, Evidence, Find, Finding, Host, Note, PollItem, Progress, Proof,
    Rate, Result, Step, Timing, Write, provider,
};

use crate::client::{Client, Clock, Keys};
use crate::config::OvhConfig;

mod declare;

mod blocking;
mod effect;

mod options;
mod renewal_view;
mod renewals;

mod order_view;
mod orders;
mod payments;

mod changes;
mod service_view;
mod services;

mod check;
mod evidence;
mod progress;
mod quotes;

use blocking::KnownOrders;

/// One OVHcloud account.
pub struct Ovh {
    client: Client,
    config: OvhConfig,
    name: ProviderName,
    known: KnownOrders,
}

#[provider]
impl purveyor_sdk::Provider for Ovh {
    type Config = OvhConfig;

    const NAME: &'static str = "ovh";
    const DESCRIPTION: &'static str = "OVHcloud services and their renewals, API version 1.0";
    const CALLS: &'static [Call] = declare::CALLS;
    const PROOFS: &'static [Proof] = declare::PROOFS;
    const CREDENTIALS: &'static [Credential] = declare::CREDENTIALS;
    const RATE: Option<Rate> = Some(declare::RATE);
    const TIMING: Option<Timing> = Some(declare::TIMING);
    const NOTICES: &'static [Note] = &[declare::AUTO_RENEWS];
    const SECRET_POINTERS: &'static [&'static str] = declare::SECRET_POINTERS;

    fn open(config: OvhConfig, host: &Host) -> Result<Self> {
        let keys = Keys {
            application_key: host.secret(declare::APPLICATION_KEY)?,
            application_secret: host.secret(declare::APPLICATION_SECRET)?,
            consumer_key: host.secret(declare::CONSUMER_KEY)?,
        };
        let client = Client {
            keys,
            endpoint: host.endpoint().to_owned(),
            zone: host.time_zone().clone(),
            clock: Clock::default(),
            calls: declare::CALLS,
        };
        let name = host.provider().clone();
        Ok(Self { client, config, name, known: KnownOrders::default() })
    }

    #[method(calls("auth.time", "me"))]
    async fn identify(&self, cx: &Cx) -> Result<String> {
        self.client.nichandle(cx).await
    }

    #[method(calls("auth.time", "auth.credential", "me"))]
    async fn check_provider(
        &self,
        cx: &Cx,
        request: CheckProviderRequest,
    ) -> Result<CheckProviderResponse> {
        check::check(self, cx, request).await
    }

    #[method(calls(
        "auth.time",
        "service.list",
        "service.get",
        "infos.get.short",
        "infos.get.long"
    ))]
    async fn list_services(
        &self,
        cx: &Cx,
        request: ListServicesRequest,
    ) -> Result<ListServicesResponse> {
        services::list(self, cx, &request).await
    }

    #[method(calls("auth.time", "service.get", "infos.get.short", "infos.get.long"))]
    async fn get_service(&self, cx: &Cx, request: GetServiceRequest) -> Result<Service> {
        services::get(self, cx, &request.name).await
    }

    #[method(
        calls(
            "infos.put.short", "infos.put.long", "auth.time", "service.get", "infos.get.short",
            "infos.get.long"
        ),
        evidence = natural, confirmation = read, effect_lag = 3600,
        asks_upstream,
        updates(
            "renewal_policy",
            "renewal_policy.auto_renew",
            "renewal_policy.cancel_at_expiry",
            "renewal_policy.term"
        ),
        notice(
            reason = "AUTO_RENEWS",
            message = "the upstream renews services by itself unless told otherwise",
            source = "PUT /vps/{serviceName}/serviceInfos",
        )
    )]
    async fn update_service(
        &self,
        cx: &Cx,
        request: UpdateServiceRequest,
    ) -> Result<Step<Service>> {
        changes::update(self, cx, &request).await
    }

    #[method(
        calls("service.suspend", "auth.time", "service.get", "infos.get.short", "infos.get.long"),
        evidence = natural, confirmation = read, effect_lag = 3600,
        asks_upstream
    )]
    async fn suspend_service(
        &self,
        cx: &Cx,
        request: SuspendServiceRequest,
    ) -> Result<Step<Service>> {
        changes::act(self, cx, changes::Act::Suspend, &request.name).await
    }

    #[method(
        calls("service.reopen", "auth.time", "service.get", "infos.get.short", "infos.get.long"),
        evidence = natural, confirmation = read, effect_lag = 3600,
        asks_upstream
    )]
    async fn resume_service(
        &self,
        cx: &Cx,
        request: ResumeServiceRequest,
    ) -> Result<Step<Service>> {
        changes::act(self, cx, changes::Act::Resume, &request.name).await
    }

    #[method(
        calls(
            "service.terminate", "auth.time", "service.get", "service.list", "infos.get.short",
            "infos.get.long"
        ),
        evidence = natural, confirmation = read, effect_lag = 3600,
        asks_upstream
    )]
    async fn terminate_service(
        &self,
        cx: &Cx,
        request: TerminateServiceRequest,
    ) -> Result<Step<Service>> {
        changes::act(self, cx, changes::Act::Terminate, &request.name).await
    }

    #[method(calls(
        "auth.time",
        "service.renewals",
        "service.get",
        "infos.get.short",
        "infos.get.long"
    ))]
    async fn list_renewal_options(
        &self,
        cx: &Cx,
        request: ListRenewalOptionsRequest,
    ) -> Result<ListRenewalOptionsResponse> {
        options::list(self, cx, &request).await
    }

    #[method(
        calls(
            "service.renew", "order.pay.mean", "order.pay.method", "auth.time", "service.get",
            "service.renewals", "infos.get.short", "infos.get.long", "order.list", "order.get",
            "order.status", "order.details", "order.detail", "order.extension", "order.payment",
            "order.means", "mean.list", "mean.get", "method.list", "method.get"
        ),
        evidence = natural, confirmation = read, effect_lag = 3600,
        absence_is_proof,
        asks_upstream,
        price_known,
        leaves_unpaid,
        notice(
            reason = "AUTO_RENEWS",
            message = "the upstream renews services by itself unless told otherwise; this comes on top",
            source = "POST /service/{serviceId}/renew",
        )
    )]
    async fn create_renewal(
        &self,
        cx: &Cx,
        request: CreateRenewalRequest,
    ) -> Result<Step<Renewal>> {
        renewals::create(self, cx, &request).await
    }

    #[method(calls(
        "auth.time",
        "order.get",
        "order.status",
        "order.details",
        "order.detail",
        "order.extension",
        "infos.get.short",
        "infos.get.long",
        "service.get"
    ))]
    async fn get_renewal(&self, cx: &Cx, request: GetRenewalRequest) -> Result<Renewal> {
        renewals::get(self, cx, &request.name).await
    }

    #[method(calls(
        "auth.time",
        "order.list",
        "order.get",
        "order.status",
        "order.details",
        "order.detail",
        "order.extension",
        "infos.get.short",
        "infos.get.long",
        "service.get"
    ))]
    async fn list_renewals(
        &self,
        cx: &Cx,
        request: ListRenewalsRequest,
    ) -> Result<ListRenewalsResponse> {
        renewals::list(self, cx, &request).await
    }

    #[method(calls(
        "auth.time",
        "order.get",
        "order.status",
        "order.details",
        "order.detail",
        "order.extension"
    ))]
    async fn get_order(&self, cx: &Cx, request: GetOrderRequest) -> Result<Order> {
        orders::get(self, cx, &request.name).await
    }

    #[method(calls(
        "auth.time",
        "order.list",
        "order.get",
        "order.status",
        "order.details",
        "order.detail",
        "order.extension"
    ))]
    async fn list_orders(&self, cx: &Cx, request: ListOrdersRequest) -> Result<ListOrdersResponse> {
        orders::list(self, cx, &request).await
    }

    #[method(calls("auth.time", "order.get"))]
    async fn get_order_secrets(
        &self,
        cx: &Cx,
        request: GetOrderSecretsRequest,
    ) -> Result<OrderSecrets> {
        orders::secrets(self, cx, &request.name).await
    }

    #[method(calls(
        "auth.time",
        "order.means",
        "mean.list",
        "mean.get",
        "method.list",
        "method.get",
        "order.get"
    ))]
    async fn list_payment_methods(
        &self,
        cx: &Cx,
        request: ListPaymentMethodsRequest,
    ) -> Result<ListPaymentMethodsResponse> {
        payments::list(self, cx, &request).await
    }

    #[method(
        calls(
            "order.pay.mean", "order.pay.method", "auth.time", "order.list", "order.get",
            "order.status", "order.details", "order.detail", "order.extension", "order.payment",
            "order.means", "mean.list", "mean.get", "method.list", "method.get", "service.get",
            "infos.get.short", "infos.get.long"
        ),
        evidence = natural, confirmation = read, effect_lag = 3600,
        absence_is_proof,
        asks_upstream,
        price_known
    )]
    async fn pay_order(&self, cx: &Cx, request: PayOrderRequest) -> Result<Step<Order>> {
        payments::pay(self, cx, &request).await
    }

    async fn plan(&self, cx: &Cx, write: Write) -> Result<Quote> {
        quotes::plan(self, cx, write).await
    }

    async fn baseline(&self, cx: &Cx, request: Baseline) -> Result<Evidence> {
        evidence::baseline(self, cx, request).await
    }

    async fn poll(&self, cx: &Cx, items: Vec<PollItem>) -> Result<Vec<Progress>> {
        progress::poll(self, cx, items).await
    }

    async fn find(&self, cx: &Cx, request: Find) -> Result<Finding> {
        evidence::find(self, cx, request).await
    }
}
