//! A spend has to say what success looks like.
use purveyor_sdk::v1::{CreateOrderRequest, GetServiceRequest, Order, Service};
use purveyor_sdk::{Call, Cx, Host, Provider, Result, Shape, Step, provider};

struct Acme;

#[provider]
impl Provider for Acme {
    type Config = ();
    const NAME: &'static str = "acme";
    const DESCRIPTION: &'static str = "";
    const CALLS: &'static [Call] = &[
        Call::read("get").get("/{}"),
        Call::spend("create").post("/"),
    ];

    fn open(_: (), _: &Host) -> Result<Self> {
        Ok(Self)
    }

    #[method(calls("create"), evidence = none, confirmation = read, effect_lag = 60)]
    async fn create_order(&self, _: &Cx, _: CreateOrderRequest) -> Result<Step<Order>> {
        Ok(Step::unknown(""))
    }
}

fn main() {
    let _: Option<(CreateOrderRequest, GetServiceRequest, Order, Service, Shape, Step<()>, Cx)> = None;
}
