//! The plugin and its upstream, and the requests that the tests make of them.

use purveyor_computestacks::ComputeStacks as Plugin;
use purveyor_sdk::mask::{implied, product_leaves};
use purveyor_sdk::plugin::v1::find_response::{Absent, Outcome as Found};
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::prost_types::FieldMask;
use purveyor_sdk::serde_json::{Value, json};
use purveyor_sdk::testing::{Ended, Position, Setup, TestHost, write};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::product::{Offer, Package, Resource, ResourceKind, Shape};
use purveyor_sdk::v1::{
    CreateProductRequest, DeleteProductRequest, ErrorReason, GetProductRequest, Money, Price,
    Product, Term, UpdateProductRequest,
};
use purveyor_sdk::{Error, Result, Standing};
use purveyor_simulators::computestacks::{ComputeStacks, Mode, Options};
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};

/// The default user's API credential.
pub(crate) const CREDENTIAL: &str = "purveyor:correct-horse";

pub(crate) const CREATE: &str = "POST /api/admin/products";
pub(crate) const PATCH: &str = "PATCH /api/admin/products/{id}";
pub(crate) const DELETE: &str = "DELETE /api/admin/products/{id}";
pub(crate) const SHOW: &str = "GET /api/admin/products/{id}";
pub(crate) const LIST: &str = "GET /api/admin/products";
pub(crate) const PLAN: &str = "GET /api/admin/billing_plans/{id}";
pub(crate) const RESOURCE: &str = "POST /api/admin/billing_plans/{id}/billing_resources";
pub(crate) const RULE: &str = "POST /api/admin/billing_plans/{id}/billing_resources/{id}/billing_phases/{id}/billing_resource_prices";

pub(crate) struct Bench {
    pub(crate) upstream: Simulator<ComputeStacks>,
    pub(crate) plugin: TestHost<Plugin>,
}

impl Bench {
    /// With Basic, a billing plan and two regions.
    pub(crate) async fn new() -> Self {
        Self::in_mode(Mode::default()).await
    }

    pub(crate) async fn in_mode(mode: Mode) -> Self {
        let configuration = json!({ "billing_plan": 1, "regions": { "fra": 1, "nyc": 2 } });
        Self::with(mode, configuration).await
    }

    pub(crate) async fn with(mode: Mode, configuration: Value) -> Self {
        Self::at(Options { mode, ..Options::default() }, configuration).await
    }

    /// Of a controller without any product.
    pub(crate) async fn empty(mode: Mode, configuration: Value) -> Self {
        let options = Options { mode, old_product: false, ..Options::default() };
        Self::at(options, configuration).await
    }

    async fn at(options: Options, configuration: Value) -> Self {
        let upstream = ComputeStacks::start(options).await.unwrap();
        let plugin = open(upstream.url(), configuration).unwrap();
        Self { upstream, plugin }
    }

    /// With tokens.
    pub(crate) async fn with_tokens(mode: Mode) -> Self {
        Self::with(mode, json!({ "authentication": "oauth" })).await
    }

    /// Another instance for the same upstream.
    pub(crate) fn reopened(&self, configuration: Value) -> TestHost<Plugin> {
        open(self.upstream.url(), configuration).unwrap()
    }

    /// How often the upstream was asked for a method.
    pub(crate) fn asked(&self, method: &str) -> u64 {
        self.upstream.requests().get(method).copied().unwrap_or_default()
    }

    /// What the ledger says was done, in order.
    pub(crate) fn done(&self) -> Vec<Kind> {
        self.upstream.ledger().iter().map(|entry| entry.sale.kind).collect()
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Product> {
        let request = GetProductRequest { name: name.to_owned(), ..GetProductRequest::default() };
        self.plugin.read(Op::GetProduct, &request, id(name)).await
    }

    /// Makes a product and answers it.
    pub(crate) async fn make(&self, product: Product) -> Product {
        self.plugin.run(&create(product)).await.product()
    }

    /// The write right before its step, with its evidence.
    pub(crate) async fn before(&self, write: &Write, at: Position) -> Position {
        let at = if at.step == 0 { Position { step: 1, ..at } } else { at };
        self.plugin.prepared(write, at).await.unwrap()
    }

    /// The step that follows the one that is taken here, when that shows what it made.
    pub(crate) async fn step(&self, write: &Write, at: Position) -> Position {
        let at = self.before(write, at).await;
        let next = match self.plugin.step_at(write, &at).await.unwrap() {
            Stepped::Next(next) => next.handle,
            Stepped::Pending(pending) => self.next(write, &pending.handle).await,
            other => panic!("{other:?}"),
        };
        at.after(next)
    }

    /// How a write goes on when it is polled.
    pub(crate) async fn next(&self, write: &Write, handle: &[u8]) -> Vec<u8> {
        match self.plugin.poll_one(write, handle).await.unwrap() {
            Polled::Next(next) => next.handle,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn run(&self, write: &Write) -> Ended {
        self.plugin.run(write).await
    }
}

pub(crate) fn open(url: &str, configuration: Value) -> Result<TestHost<Plugin>> {
    let (username, password) = CREDENTIAL.split_once(':').unwrap();
    let setup = Setup::new(url)
        .credential("api-credential", CREDENTIAL)
        .credential("username", username)
        .credential("password", password);
    TestHost::open(setup.configuration(configuration))
}

/// A package product with every value.
pub(crate) fn package(label: &str) -> Product {
    let package = Package {
        upstream_id: String::new(),
        cpu_cores: Some("2.50".to_owned()),
        memory_mb: Some(1536),
        memory_swap_mb: Some(512),
        memory_swappiness: Some(15),
        bandwidth_gb: Some(2000),
        storage_gb: Some(18),
        local_disk_gb: Some(9),
        backup_gb: Some(35),
    };
    Product {
        display_name: label.to_owned(),
        group: "small".to_owned(),
        shape: Some(Shape::Package(package)),
        ..Product::default()
    }
}

/// A resource product.
pub(crate) fn resource(label: &str, kind: ResourceKind) -> Product {
    let resource = Resource {
        kind: Some(kind.into()),
        unit: Some(10),
        unit_type: "GB".to_owned(),
        ..Resource::default()
    };
    Product {
        display_name: label.to_owned(),
        shape: Some(Shape::Resource(resource)),
        ..Product::default()
    }
}

pub(crate) fn offer(currency: &str, amount: &str, regions: &[&str]) -> Offer {
    let amount = Money::parse(currency, amount).unwrap();
    Offer {
        term: Some(Term::metered("")),
        price: Some(Price::of(amount, Tax::Unspecified)),
        regions: regions.iter().map(|name| (*name).to_owned()).collect(),
        ..Offer::default()
    }
}

/// A package product that is sold at two prices.
pub(crate) fn sold(label: &str) -> Product {
    let offers = vec![offer("EUR", "0.00535", &["fra"]), offer("USD", "6", &[])];
    Product { offers, ..package(label) }
}

pub(crate) fn create(product: Product) -> Write {
    let parent = "providers/test".to_owned();
    let product = Some(product);
    let request = CreateProductRequest { parent, product, ..CreateProductRequest::default() };
    write(Op::CreateProduct, &request, "")
}

pub(crate) fn update(product: Product, paths: &[&str]) -> Write {
    let id = id(&product.name).to_owned();
    // As the host does.
    let implied = if paths.is_empty() { implied(&product_leaves(&product)) } else { Vec::new() };
    let paths = paths.iter().chain(&implied).map(|path| (*path).to_owned()).collect();
    let request = UpdateProductRequest {
        product: Some(product),
        update_mask: Some(FieldMask { paths }),
        ..UpdateProductRequest::default()
    };
    write(Op::UpdateProduct, &request, &id)
}

pub(crate) fn delete(name: &str, allow_missing: bool) -> Write {
    let request = DeleteProductRequest {
        name: name.to_owned(),
        allow_missing,
        ..DeleteProductRequest::default()
    };
    write(Op::DeleteProduct, &request, id(name))
}

/// The step whose answer is lost after the upstream has done it.
pub(crate) async fn lose(bench: &Bench, write: &Write, at: Position, method: &str) -> Position {
    let at = bench.before(write, at).await;
    bench.upstream.inject(Fault::next(method, FaultKind::DropAfterCommit));
    let stepped = bench.plugin.step_at(write, &at).await;
    assert!(stepped.is_err(), "{stepped:?}");
    at
}

/// What speaks against the absence of a write that is not found.
pub(crate) async fn absent(
    bench: &Bench,
    write: &Write,
    at: &Position,
    claimed: &[&str],
) -> Absent {
    match bench.plugin.search(write, at, claimed, "").await.unwrap() {
        Found::Absent(absent) => absent,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn ids(absent: &Absent) -> Vec<&str> {
    absent.unexplained.iter().map(|it| it.id()).collect()
}

/// What a poll says of accepted work that does not go on.
pub(crate) async fn stands(bench: &Bench, write: &Write, handle: &[u8]) -> (Standing, Error) {
    match bench.plugin.poll_one(write, handle).await.unwrap() {
        Polled::Pending(pending) if pending.error.is_some() => {
            assert_eq!(pending.handle, handle);
            (pending.standing(), Error::from(pending.error.unwrap()))
        }
        other => panic!("{other:?}"),
    }
}

/// The last part of a name.
pub(crate) fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

pub(crate) fn number(product: &Product) -> i64 {
    id(&product.name).parse().unwrap()
}

/// What a package product bundles.
pub(crate) fn bundle(product: &Product) -> &Package {
    match &product.shape {
        Some(Shape::Package(package)) => package,
        other => panic!("no package: {other:?}"),
    }
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T>) -> ErrorReason {
    result.unwrap_err().reason
}

/// The fields that an error names.
pub(crate) fn fields(error: &Error) -> Vec<&str> {
    error.violations.iter().map(|violation| violation.field.as_str()).collect()
}
