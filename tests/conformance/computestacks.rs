//! ComputeStacks: packages that are sold by price rules, changed and deleted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use purveyor_sdk::conformance::{
    BadRow, Caller, Case, Disturbance, Failure, Happening, Outcome, Priced, Rejection, Report,
    Request, Sale, Subject, Violation, run,
};
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::prost_types::FieldMask;
use purveyor_sdk::v1::operation::Result as Came;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::product::{Offer, Package, Resource, ResourceKind, Shape};
use purveyor_sdk::v1::{
    CheckProviderRequest, CreateProductRequest, DeleteProductRequest, GetProductRequest,
    ListProductsRequest, ListView, Money, Price, Product, UpdateProductRequest,
};
use purveyor_simulators::computestacks::{ComputeStacks as Upstream, Mode, Options};
use purveyor_simulators::{FaultKind, Simulator};
use serde_json::json;
use xtask::artifacts::Artifacts;
use xtask::configuration::Provider;

use crate::bench::{self, Bench, Calls, FOR_GOOD_MS, UPSTREAMS, milliseconds};

/// The simulator's own administrator.
const CREDENTIAL: &str = "purveyor:correct-horse";

const CALLS: Calls = Calls {
    names: &[
        ("version", "GET /api/version"),
        ("oauth.token", "POST /api/oauth/token"),
        ("products.list", "GET /api/admin/products"),
        ("products.get", "GET /api/admin/products/{id}"),
        ("products.create", "POST /api/admin/products"),
        ("products.update", "PATCH /api/admin/products/{id}"),
        ("products.delete", "DELETE /api/admin/products/{id}"),
        ("billing_plans.get", "GET /api/admin/billing_plans/{id}"),
        ("billing_resources.create", "POST /api/admin/billing_plans/{id}/billing_resources"),
        (
            "billing_resource_prices.create",
            "POST /api/admin/billing_plans/{id}/billing_resources/{id}/billing_phases/{id}/billing_resource_prices",
        ),
    ],
    unknown_word: || fault(409),
    undeclared: || FaultKind::Status { status: 400 },
    echo: 422,
    credentials: &[CREDENTIAL, "correct-horse"],
    rate_limit: || Some(fault(429)),
};

/// Characters of a label that leave nothing of what tells one from another.
const UNMARKED: usize = 4;

const DAY_S: i64 = 24 * 3600;

struct ComputeStacks {
    bench: Bench<Upstream>,
    /// How many labels were given out.
    labels: AtomicU64,
}

/// Runs the suite.
pub(crate) async fn show(artifacts: &Artifacts) -> Result<Report> {
    let mut upstreams = Vec::new();
    for _ in 0..UPSTREAMS {
        let upstream = Upstream::start(Options::default()).await;
        upstreams.push(upstream.context("the simulator does not start")?);
    }
    let regions: toml::Table =
        [("fra".to_owned(), 1.into()), ("nyc".to_owned(), 2.into())].into_iter().collect();
    let provider = |upstream: &Simulator<Upstream>| {
        let provider = Provider::new("computestacks", upstream.url());
        let provider = provider.credential("api-credential", CREDENTIAL);
        bench::timed(provider.setting("billing_plan", 1).setting("regions", regions.clone()))
    };
    let (_gateway, benches) = bench::serve(artifacts, upstreams, provider, CALLS)?;
    let subject = |bench| ComputeStacks { bench, labels: AtomicU64::new(0) };
    let subjects: Vec<ComputeStacks> = benches.into_iter().map(subject).collect();
    Ok(run(&subjects).await)
}

impl Subject for ComputeStacks {
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
            Op::ListProducts => ListProductsRequest { parent, ..Default::default() }.into(),
            Op::GetProduct => {
                let name = self.made(caller).await?.name;
                GetProductRequest { name, ..Default::default() }.into()
            }
            Op::CreateProduct => self.creation(caller).into(),
            Op::UpdateProduct => change(&self.made(caller).await?).into(),
            Op::DeleteProduct => {
                let name = self.made(caller).await?.name;
                DeleteProductRequest { name, ..Default::default() }.into()
            }
            _ => return Ok(None),
        }))
    }

    async fn violations(&self, caller: &Caller, op: Op) -> Outcome<Vec<Violation>> {
        Ok(match op {
            Op::CreateProduct => {
                let owing = Package { storage_gb: Some(-1), ..Package::default() };
                let mut negative = self.creation(caller);
                negative.product = bundling(negative.product, owing);
                let spelled = Package { cpu_cores: Some("two".to_owned()), ..Package::default() };
                let mut cores = self.creation(caller);
                cores.product = bundling(cores.product, spelled);
                vec![
                    Violation::new(negative, "product.package.storage_gb"),
                    Violation::new(cores, "product.package.cpu_cores"),
                ]
            }
            Op::UpdateProduct => {
                let made = self.made(caller).await?;
                let mut tagged = change(&made);
                tagged.update_mask = Some(FieldMask { paths: vec!["attributes".to_owned()] });
                let mut negative = change(&made);
                let owing = Package { memory_mb: Some(-1), ..Package::default() };
                negative.product = bundling(negative.product, owing);
                vec![
                    Violation::new(tagged, "update_mask"),
                    Violation::new(negative, "product.package.memory_mb"),
                ]
            }
            _ => Vec::new(),
        })
    }

    async fn rejection(&self, caller: &Caller, op: Op) -> Outcome<Option<Rejection>> {
        let (call, reason) = match op {
            Op::CreateProduct => ("products.create", "UPSTREAM_REJECTED"),
            Op::UpdateProduct => ("products.update", "UPSTREAM_REJECTED"),
            Op::DeleteProduct => ("products.delete", "STATE_CONFLICT"),
            _ => return Ok(None),
        };
        let request = self.sample(caller, op).await?;
        self.bench.fail(call, fault(422));
        Ok(request.map(|request| Rejection { request, reason: reason.to_owned() }))
    }

    async fn again(&self, caller: &Caller, op: Op) -> Outcome<Option<Request>> {
        if op != Op::CreateProduct {
            return Ok(None);
        }
        let name = self.made(caller).await?.name;
        caller.perform(DeleteProductRequest { name, ..Default::default() }).await?;
        self.bench.upstream.set_mode(Mode { reuse_ids: true, ..Mode::default() });
        Ok(Some(self.creation(caller).into()))
    }

    async fn leaf(&self, caller: &Caller, _: Op, path: &str) -> Outcome<Option<Request>> {
        let Some(leaf) = leaf(path) else { return Ok(None) };
        let mut creation = self.creation(caller);
        let made = creation.product.get_or_insert_default();
        made.offers.truncate(1);
        if path.starts_with("resource.") {
            made.shape = Some(Shape::Resource(storage()));
        }
        let name = match caller.perform(creation).await?.result {
            Some(Came::Product(product)) => product.name,
            _ => return Err(Failure::new("the operation shows no product")),
        };
        let product = Some(Product { name, ..leaf });
        Ok(Some(UpdateProductRequest { product, ..UpdateProductRequest::default() }.into()))
    }

    async fn populate(&self, caller: &Caller, _: Op) -> Outcome<usize> {
        for _ in 0..3 {
            self.made(caller).await?;
        }
        Ok(3)
    }

    async fn sales(&self) -> Vec<Sale> {
        self.bench.sales()
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
                Mode { effect_lag_ms: milliseconds(lag), ..Mode::default() }
            }
            Disturbance::CutMark => Mode { label_max: UNMARKED, ..Mode::default() },
            _ => return self.bench.disturb(call, disturbance),
        };
        self.bench.upstream.set_mode(mode);
        match disturbance {
            Disturbance::EffectLag(_) => Ok(true),
            _ => self.bench.disturb(call, Disturbance::LoseAfterCommit),
        }
    }

    /// What a product costs in euros, which no other does.
    async fn priced(&self, caller: &Caller) -> Outcome<Option<Priced>> {
        let units = 1000 + i64::try_from(self.labels.load(Ordering::Relaxed)).unwrap_or_default();
        let mut creation = self.creation(caller);
        let offers = vec![offer("EUR", units), offer("USD", 6)];
        creation.product.get_or_insert_default().offers = offers;
        let Some(Came::Product(made)) = caller.perform(creation).await?.result else {
            return Err(Failure::new("the operation shows no product"));
        };
        let update = |product: Product, path: &str| -> Request {
            let product = Some(Product { name: made.name.clone(), ..product });
            let update_mask = Some(FieldMask { paths: vec![path.to_owned()] });
            UpdateProductRequest { product, update_mask, ..Default::default() }.into()
        };
        let renamed = Product { display_name: format!("{units}"), ..Product::default() };
        let further = Product { offers: vec![offer("GBP", 7)], ..Product::default() };
        let same = Product { offers: vec![offer("EUR", units)], ..Product::default() };
        let (parent, view) = (caller.parent(), ListView::Full.into());
        Ok(Some(Priced {
            digits: format!("{units}.0"),
            shown: ListProductsRequest { parent, view, ..Default::default() }.into(),
            free: vec![
                update(renamed, "display_name"),
                update(further, "offers"),
                self.creation(caller).into(),
            ],
            bound: vec![update(same, "offers")],
        }))
    }

    async fn misprice(&self, priced: &Priced, digits: &str) -> Outcome<()> {
        let price = |digits: &str| format!(r#""price":"{digits}""#);
        self.bench.respell("billing_plans.get", &price(&priced.digits), &price(digits));
        Ok(())
    }

    async fn bad_row(&self, caller: &Caller) -> Outcome<BadRow> {
        let make = async || match caller.perform(self.creation(caller)).await?.result {
            Some(Came::Product(made)) => Ok(made),
            _ => Err(Failure::new("the operation shows no product")),
        };
        let (bad, good) = (make().await?, make().await?);
        let good = GetProductRequest { name: good.name, ..Default::default() }.into();
        let shown = ListProductsRequest { parent: caller.parent(), ..Default::default() }.into();
        let text = format!(r#""label":"{}""#, bad.display_name);
        let free = vec![self.creation(caller).into()];
        Ok(BadRow { name: bad.name, text, shown, good: vec![good], free })
    }

    async fn spoil(&self, bad: &BadRow) -> Outcome<()> {
        for call in ["products.list", "products.get"] {
            self.bench.respell(call, &bad.text, r#""label":[]"#);
        }
        Ok(())
    }

    async fn happens(&self, happening: Happening<'_>) -> Outcome<()> {
        let upstream = &self.bench.upstream;
        let product = |sale: &Sale| sale.id.parse::<i64>().map_err(Failure::new);
        let happened = match happening {
            Happening::Renamed(sale) => upstream.person_renames(product(sale)?, "renamed"),
            Happening::Ended(sale) => upstream.person_deletes(product(sale)?),
            Happening::BoughtAhead => upstream.person_makes(&persons(), DAY_S).map(drop),
            Happening::NotFoundOnce(_) => {
                self.bench
                    .fail("products.get", FaultKind::Fault { code: 404, text: String::new() });
                Ok(())
            }
            Happening::ListingsLack => {
                upstream.set_mode(Mode { listing_lag_ms: FOR_GOOD_MS, ..Mode::default() });
                Ok(())
            }
            Happening::Fails(_) => Err("a product has no state".to_owned()),
        };
        happened.map_err(Failure::new)
    }

    fn omits(&self, _: Op, case: Case) -> Option<&'static str> {
        match case {
            Case::FoundFailed => Some("a product has no state of failure"),
            Case::RefusedAfter => Some("nothing is paid for"),
            _ => None,
        }
    }

    async fn struck(&self) -> bool {
        self.bench.struck()
    }

    async fn calm(&self) {
        self.bench.calm();
        self.bench.upstream.set_mode(Mode::default());
    }
}

impl ComputeStacks {
    /// A product of a label that no other has.
    fn creation(&self, caller: &Caller) -> CreateProductRequest {
        let number = self.labels.fetch_add(1, Ordering::Relaxed);
        let package = Package {
            cpu_cores: Some("2.5".to_owned()),
            memory_mb: Some(1024),
            storage_gb: Some(20),
            ..Package::default()
        };
        let product = Product {
            display_name: format!("package {number}"),
            shape: Some(Shape::Package(package)),
            offers: vec![offer("EUR", 5), offer("USD", 6)],
            ..Product::default()
        };
        let product = Some(product);
        CreateProductRequest { parent: caller.parent(), product, ..Default::default() }
    }

    /// A product that is there, as its creation shows it.
    async fn made(&self, caller: &Caller) -> Outcome<Product> {
        match caller.perform(self.creation(caller)).await?.result {
            Some(Came::Product(product)) => Ok(product),
            _ => Err(Failure::new("the operation shows no product")),
        }
    }
}

/// What a person makes: a product like those of [`ComputeStacks::creation`].
fn persons() -> serde_json::Value {
    let package = json!({ "cpu": "2.5", "memory": 1024, "storage": 20, "bandwidth": 0 });
    json!({ "label": "a person's", "package_attributes": package })
}

/// A larger package.
fn change(made: &Product) -> UpdateProductRequest {
    let package = Package { memory_mb: Some(2048), ..Package::default() };
    let product = Product {
        name: made.name.clone(),
        shape: Some(Shape::Package(package)),
        ..Product::default()
    };
    let update_mask = Some(FieldMask { paths: vec!["package.memory_mb".to_owned()] });
    UpdateProductRequest { product: Some(product), update_mask, ..Default::default() }
}

/// A product in which one leaf is set, to a value that what is made here does not have.
fn leaf(path: &str) -> Option<Product> {
    let package = |package| Some(Shape::Package(package));
    let resource = |resource| Some(Shape::Resource(resource));
    let (bundle, single) = (Package::default(), Resource::default());
    let shape = match path {
        "display_name" => {
            return Some(Product { display_name: "renamed".to_owned(), ..Product::default() });
        }
        "group" => return Some(Product { group: "moved".to_owned(), ..Product::default() }),
        "offers" => return Some(Product { offers: vec![offer("USD", 6)], ..Product::default() }),
        "package.cpu_cores" => package(Package { cpu_cores: Some("3".to_owned()), ..bundle }),
        "package.memory_mb" => package(Package { memory_mb: Some(2048), ..bundle }),
        "package.memory_swap_mb" => package(Package { memory_swap_mb: Some(512), ..bundle }),
        "package.memory_swappiness" => package(Package { memory_swappiness: Some(7), ..bundle }),
        "package.bandwidth_gb" => package(Package { bandwidth_gb: Some(8), ..bundle }),
        "package.storage_gb" => package(Package { storage_gb: Some(40), ..bundle }),
        "package.local_disk_gb" => package(Package { local_disk_gb: Some(9), ..bundle }),
        "package.backup_gb" => package(Package { backup_gb: Some(10), ..bundle }),
        "resource.kind" => resource(Resource { kind: Some(ResourceKind::Memory.into()), ..single }),
        "resource.unit" => resource(Resource { unit: Some(20), ..single }),
        "resource.unit_type" => resource(Resource { unit_type: "TB".to_owned(), ..single }),
        _ => return None,
    };
    Some(Product { shape, ..Product::default() })
}

fn storage() -> Resource {
    let (kind, unit_type) = (Some(ResourceKind::Storage.into()), "GB".to_owned());
    Resource { kind, unit: Some(10), unit_type, ..Resource::default() }
}

/// The same product with another package.
fn bundling(product: Option<Product>, package: Package) -> Option<Product> {
    product.map(|product| Product { shape: Some(Shape::Package(package)), ..product })
}

fn offer(currency: &str, units: i64) -> Offer {
    let amount = Money { currency_code: currency.to_owned(), units, nanos: 0 };
    Offer { price: Some(Price::of(amount, Tax::Unspecified)), ..Offer::default() }
}

fn fault(code: i32) -> FaultKind {
    FaultKind::Fault { code, text: "the upstream says no".to_owned() }
}
