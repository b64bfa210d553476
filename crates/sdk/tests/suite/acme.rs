//! A provider with one of everything, some of it wrong on purpose.

use std::time::Duration;

use purveyor_sdk::schemars::JsonSchema;
use purveyor_sdk::secrecy::ExposeSecret;
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::v1::{
    CreateOrderRequest, GetOrderRequest, GetServiceRequest, Order, Quote, Service,
    SuspendServiceRequest, UpstreamRef,
};
use purveyor_sdk::{
    Baseline, Call, Credential, Cx, Error, Evidence, Find, Finding, Host, PollItem, Progress,
    Proof, Provider, Result, Shape, Step, Write, export_provider, provider,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde")]
#[schemars(crate = "purveyor_sdk::schemars")]
pub(crate) struct AcmeConfig {}

pub(crate) struct Acme {
    key: String,
    endpoint: String,
}

#[provider]
impl Provider for Acme {
    type Config = AcmeConfig;

    const NAME: &'static str = "acme";
    const DESCRIPTION: &'static str = "a provider for tests";
    const CALLS: &'static [Call] = &[
        Call::read("server.get").get("/servers/{}"),
        Call::read("order.status").post("").json_word("/action", &["order_status"]),
        Call::spend("order.create")
            .post("")
            .json_word("/action", &["order_create"])
            .success(Shape::json_id("/order_id", "order"))
            .rejected_by(&["refused"]),
        Call::setting("server.suspend").post("/servers/{}/suspend").success(Shape::any()),
    ];
    const PROOFS: &'static [Proof] = &[Proof::new("refused").statuses(422, 422)];
    const CREDENTIALS: &'static [Credential] = &[
        Credential::header("token", "x-token", "the account's token"),
        Credential::granted("key", "the account's key"),
    ];

    fn open(_: AcmeConfig, host: &Host) -> Result<Self> {
        let endpoint = host.endpoint().to_owned();
        Ok(Self { key: host.secret("key")?.expose_secret().to_owned(), endpoint })
    }

    async fn identify(&self, _: &Cx) -> Result<String> {
        Ok(self.key.clone())
    }

    /// The request's name decides which mistake is made.
    #[method(calls("server.get"))]
    async fn get_service(&self, cx: &Cx, request: GetServiceRequest) -> Result<Service> {
        let (http, mut foretold) = (cx.http(), String::new());
        let answer = match request.name.as_str() {
            "undeclared" => http.call("server.list").send().await?,
            "segments" => http.call("server.get").send().await?,
            "spend" => {
                let body = r#"{"action": "order_create"}"#;
                http.call("order.create").body(body).send().await?
            }
            "disguise" => {
                let body = r#"{"action": "order_create"}"#;
                http.call("order.status").body(body).send().await?
            }
            _ => {
                let request = http.call("server.get").segment(cx.upstream_id());
                let request = request.query("view", "a&b").auth("token");
                foretold = request.url(&self.endpoint, Self::CALLS)?;
                request.send().await?
            }
        };
        let id = cx.upstream_id().to_owned();
        let state = String::from_utf8_lossy(&answer.body).into_owned();
        let upstream = Some(UpstreamRef { ids: vec![id], state, ..UpstreamRef::default() });
        let (source, message) = (answer.url, foretold);
        let notices = vec![purveyor_sdk::v1::Notice { source, message, ..Default::default() }];
        Ok(Service { upstream, notices, ..Service::default() })
    }

    #[method(calls("order.status"))]
    async fn get_order(&self, cx: &Cx, _: GetOrderRequest) -> Result<Order> {
        cx.sleep(Duration::from_millis(1)).await?;
        panic!("this method always panics")
    }

    #[method(
        calls("order.create", "order.status"),
        evidence = difference, confirmation = read, effect_lag = 60,
        price_known,
        max_items = 3,
        terms("P1M", "P1Y"),
        cancel(at_term_end),
        notice(reason = "NOT_FREE", message = "costs money", source = "document")
    )]
    async fn create_order(&self, cx: &Cx, request: CreateOrderRequest) -> Result<Step<Order>> {
        let body = r#"{"action": "order_create"}"#;
        let answer = cx.http().call("order.create").body(body).send().await?;
        if request.parent == "greedy" {
            cx.http().call("order.create").body(body).send().await?;
        }
        match answer.status {
            200 => Ok(Step::pending(*b"\x01", Duration::from_secs(1))),
            422 => Ok(Step::rejected("refused", Error::rejected("no"))),
            status => Ok(Step::unknown(format!("status {status}"))),
        }
    }

    #[method(calls("server.suspend"), evidence = none, confirmation = read, effect_lag = 60)]
    async fn suspend_service(&self, cx: &Cx, _: SuspendServiceRequest) -> Result<Step<Service>> {
        cx.http().call("server.suspend").segment(cx.upstream_id()).send().await?;
        Ok(Step::Done(Service::default()))
    }

    async fn plan(&self, _: &Cx, write: Write) -> Result<Quote> {
        Err(Error::field("order", write.upstream_id()))
    }

    async fn baseline(&self, _: &Cx, request: Baseline) -> Result<Evidence> {
        Ok(Evidence { evidence: request.handle, ..Evidence::default() })
    }

    /// Forgets the last item.
    async fn poll(&self, _: &Cx, items: Vec<PollItem>) -> Result<Vec<Progress>> {
        let done = |_| Progress::Done(Order::default().into());
        Ok(items.into_iter().skip(1).map(done).collect())
    }

    async fn find(&self, _: &Cx, _: Find) -> Result<Finding> {
        Ok(Finding::absent())
    }
}

export_provider!(Acme);
