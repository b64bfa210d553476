//! A body that cannot move between threads.
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
        Call::spend("create").post("/").success(Shape::any()),
    ];

    fn open(_: (), _: &Host) -> Result<Self> {
        Ok(Self)
    }

    #[method(calls("get"))]
    async fn get_service(&self, _: &Cx, _: GetServiceRequest) -> Result<Service> {
        let local = std::rc::Rc::new(());
        std::future::ready(()).await;
        drop(local);
        Ok(Service::default())
    }
}

fn main() {
    let _: Option<(CreateOrderRequest, GetServiceRequest, Order, Service, Shape, Step<()>, Cx)> = None;
}
