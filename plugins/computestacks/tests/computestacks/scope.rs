//! The scope of the provider, item by item: each line of the scope list has one check, which shows
//! through plugin and upstream that the item is reachable where the mapping says. Nothing else is
//! tested here.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::prost_types::value::Kind as FieldKind;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::{Scope, TestHost};
use purveyor_sdk::v1::product::{Package, Resource, ResourceKind, Shape};
use purveyor_sdk::v1::{ErrorReason, ListProductsRequest, ListProductsResponse, Product, Quote};
use purveyor_simulators::computestacks::Mode;

use super::bench::{Bench, bundle, create, delete, id, package, resource, sold, update};

const SCOPE: &str = include_str!("../../../../tests/data/scope/computestacks.csv");

/// What was seen of one catalogue.
struct Seen {
    rows: usize,
    made: Product,
    made_resource: Product,
    listed: Product,
    listed_resource: Product,
    shown: Product,
    shown_resource: Product,
    /// One of an upstream that tells no times.
    untimed: Product,
    changed: Product,
    changed_resource: Product,
    /// A part of whose package was changed.
    parted: Product,
    /// Whose package was not spoken of.
    relabelled: Product,
    quote: Quote,
    sold: Product,
    example: Product,
    kinds: Vec<(ResourceKind, String)>,
    notices: Vec<(Op, String)>,
    deleted: String,
    gone: ErrorReason,
}

type Check = fn(&Seen) -> bool;

const CHECKS: &[(&str, Check)] = &[
    ("GET /api/admin/products", |w| w.rows == 3),
    ("GET /api/admin/products: products", |w| w.listed.name == w.made.name),
    ("GET /api/admin/products: products[].id", |w| {
        upstream_id(&w.listed) == "1" && w.listed.name == "providers/test/products/1"
    }),
    ("GET /api/admin/products: products[].label", |w| w.listed.display_name == "s"),
    ("GET /api/admin/products: products[].resource_kind", |w| {
        single(&w.listed_resource).kind() == ResourceKind::Storage
            && single(&w.listed_resource).upstream_kind == "storage"
    }),
    ("GET /api/admin/products: products[].unit", |w| {
        single(&w.listed_resource).unit == Some(10) && number(&w.listed, "unit") == Some(1.0)
    }),
    ("GET /api/admin/products: products[].unit_type", |w| {
        single(&w.listed_resource).unit_type == "GB"
    }),
    ("GET /api/admin/products: products[].group", |w| w.listed.group == "small"),
    ("GET /api/admin/products: products[].package", |w| {
        is_package(&w.listed) && !is_package(&w.listed_resource)
    }),
    ("GET /api/admin/products: products[].package.id", |w| bundle(&w.listed).upstream_id == "1"),
    ("GET /api/admin/products: products[].package.cpu", |w| {
        bundle(&w.listed).cpu_cores.as_deref() == Some("2.5")
    }),
    ("GET /api/admin/products: products[].package.memory", |w| {
        bundle(&w.listed).memory_mb == Some(1536)
    }),
    ("GET /api/admin/products: products[].package.memory_swap", |w| {
        bundle(&w.listed).memory_swap_mb == Some(512)
    }),
    ("GET /api/admin/products: products[].package.memory_swappiness", |w| {
        bundle(&w.listed).memory_swappiness == Some(15)
    }),
    ("GET /api/admin/products: products[].package.bandwidth", |w| {
        bundle(&w.listed).bandwidth_gb == Some(2000)
    }),
    ("GET /api/admin/products: products[].package.storage", |w| {
        bundle(&w.listed).storage_gb == Some(18)
    }),
    ("GET /api/admin/products: products[].package.local_disk", |w| {
        bundle(&w.listed).local_disk_gb == Some(9)
    }),
    ("GET /api/admin/products: products[].package.backup", |w| {
        bundle(&w.listed).backup_gb == Some(35)
    }),
    ("GET /api/admin/products: products[].created_at", |w| {
        w.listed.create_time.is_some() && w.untimed.create_time.is_none()
    }),
    ("GET /api/admin/products: products[].updated_at", |w| {
        w.listed.update_time.is_some() && w.untimed.update_time.is_none()
    }),
    ("GET /api/admin/products/{id}", |w| w.shown.name == w.made.name),
    ("GET /api/admin/products/{id}: id", |w| w.shown.name.ends_with("/1")),
    ("GET /api/admin/products/{id}: product", |w| w.shown == w.listed),
    ("GET /api/admin/products/{id}: product.id", |w| {
        upstream_id(&w.shown) == "1" && w.shown.name == "providers/test/products/1"
    }),
    ("GET /api/admin/products/{id}: product.label", |w| w.shown.display_name == "s"),
    ("GET /api/admin/products/{id}: product.resource_kind", |w| {
        single(&w.shown_resource).kind() == ResourceKind::Storage
            && single(&w.shown_resource).upstream_kind == "storage"
    }),
    ("GET /api/admin/products/{id}: product.unit", |w| {
        single(&w.shown_resource).unit == Some(10) && number(&w.shown, "unit") == Some(1.0)
    }),
    ("GET /api/admin/products/{id}: product.unit_type", |w| {
        single(&w.shown_resource).unit_type == "GB"
    }),
    ("GET /api/admin/products/{id}: product.group", |w| w.shown.group == "small"),
    ("GET /api/admin/products/{id}: product.package", |w| {
        is_package(&w.shown) && !is_package(&w.shown_resource)
    }),
    ("GET /api/admin/products/{id}: product.package.id", |w| bundle(&w.shown).upstream_id == "1"),
    ("GET /api/admin/products/{id}: product.package.cpu", |w| {
        bundle(&w.shown).cpu_cores.as_deref() == Some("2.5")
    }),
    ("GET /api/admin/products/{id}: product.package.memory", |w| {
        bundle(&w.shown).memory_mb == Some(1536)
    }),
    ("GET /api/admin/products/{id}: product.package.memory_swap", |w| {
        bundle(&w.shown).memory_swap_mb == Some(512)
    }),
    ("GET /api/admin/products/{id}: product.package.memory_swappiness", |w| {
        bundle(&w.shown).memory_swappiness == Some(15)
    }),
    ("GET /api/admin/products/{id}: product.package.bandwidth", |w| {
        bundle(&w.shown).bandwidth_gb == Some(2000)
    }),
    ("GET /api/admin/products/{id}: product.package.storage", |w| {
        bundle(&w.shown).storage_gb == Some(18)
    }),
    ("GET /api/admin/products/{id}: product.package.local_disk", |w| {
        bundle(&w.shown).local_disk_gb == Some(9)
    }),
    ("GET /api/admin/products/{id}: product.package.backup", |w| {
        bundle(&w.shown).backup_gb == Some(35)
    }),
    ("GET /api/admin/products/{id}: product.created_at", |w| {
        w.shown.create_time.is_some() && w.untimed.create_time.is_none()
    }),
    ("GET /api/admin/products/{id}: product.updated_at", |w| {
        w.shown.update_time.is_some() && w.untimed.update_time.is_none()
    }),
    ("PATCH /api/admin/products/{id}", |w| w.changed.etag != w.made.etag),
    ("PATCH /api/admin/products/{id}: id", |w| w.changed.name == w.made.name),
    ("PATCH /api/admin/products/{id}: product", |w| w.changed.display_name == "t"),
    ("PATCH /api/admin/products/{id}: product.label", |w| w.changed.display_name == "t"),
    ("PATCH /api/admin/products/{id}: product.resource_kind", |w| {
        single(&w.changed_resource).kind() == ResourceKind::Memory
    }),
    ("PATCH /api/admin/products/{id}: product.unit", |w| {
        single(&w.changed_resource).unit == Some(20)
    }),
    ("PATCH /api/admin/products/{id}: product.unit_type", |w| {
        single(&w.changed_resource).unit_type == "MB"
    }),
    ("PATCH /api/admin/products/{id}: product.group", |w| w.changed.group == "large"),
    ("PATCH /api/admin/products/{id}: product.package_attributes", |w| {
        is_package(&w.changed) && !is_package(&w.changed_resource)
    }),
    ("PATCH /api/admin/products/{id}: product.package_attributes.cpu", |w| {
        bundle(&w.changed).cpu_cores.as_deref() == Some("3.25")
    }),
    ("PATCH /api/admin/products/{id}: product.package_attributes.memory", |w| {
        bundle(&w.changed).memory_mb == Some(2048)
    }),
    ("PATCH /api/admin/products/{id}: product.package_attributes.memory_swap", |w| {
        bundle(&w.changed).memory_swap_mb == Some(256)
    }),
    ("PATCH /api/admin/products/{id}: product.package_attributes.memory_swappiness", |w| {
        bundle(&w.changed).memory_swappiness == Some(20)
    }),
    ("PATCH /api/admin/products/{id}: product.package_attributes.bandwidth", |w| {
        bundle(&w.changed).bandwidth_gb == Some(3000)
    }),
    ("PATCH /api/admin/products/{id}: product.package_attributes.storage", |w| {
        bundle(&w.changed).storage_gb == Some(27)
    }),
    ("PATCH /api/admin/products/{id}: product.package_attributes.local_disk", |w| {
        bundle(&w.changed).local_disk_gb == Some(11)
    }),
    ("PATCH /api/admin/products/{id}: product.package_attributes.backup", |w| {
        bundle(&w.changed).backup_gb == Some(40)
    }),
    ("POST /api/admin/products", |w| w.made.name.starts_with("providers/test/products/")),
    ("POST /api/admin/products: product", |w| w.made.display_name == "s"),
    ("POST /api/admin/products: product.label", |w| w.made.display_name == "s"),
    ("POST /api/admin/products: product.resource_kind", |w| {
        single(&w.made_resource).kind() == ResourceKind::Storage
    }),
    ("POST /api/admin/products: product.unit", |w| single(&w.made_resource).unit == Some(10)),
    ("POST /api/admin/products: product.unit_type", |w| single(&w.made_resource).unit_type == "GB"),
    ("POST /api/admin/products: product.group", |w| w.made.group == "small"),
    ("POST /api/admin/products: product.package_attributes", |w| {
        is_package(&w.made) && !is_package(&w.made_resource)
    }),
    ("POST /api/admin/products: product.package_attributes.cpu", |w| {
        bundle(&w.made).cpu_cores.as_deref() == Some("2.5")
    }),
    ("POST /api/admin/products: product.package_attributes.memory", |w| {
        bundle(&w.made).memory_mb == Some(1536)
    }),
    ("POST /api/admin/products: product.package_attributes.memory_swap", |w| {
        bundle(&w.made).memory_swap_mb == Some(512)
    }),
    ("POST /api/admin/products: product.package_attributes.memory_swappiness", |w| {
        bundle(&w.made).memory_swappiness == Some(15)
    }),
    ("POST /api/admin/products: product.package_attributes.bandwidth", |w| {
        bundle(&w.made).bandwidth_gb == Some(2000)
    }),
    ("POST /api/admin/products: product.package_attributes.storage", |w| {
        bundle(&w.made).storage_gb == Some(18)
    }),
    ("POST /api/admin/products: product.package_attributes.local_disk", |w| {
        bundle(&w.made).local_disk_gb == Some(9)
    }),
    ("POST /api/admin/products: product.package_attributes.backup", |w| {
        bundle(&w.made).backup_gb == Some(35)
    }),
    ("PATCH /api/admin/products/{id}: warning package is deleted and re-created", |w| {
        w.notices.contains(&(Op::UpdateProduct, "RECREATES_PACKAGE".to_owned()))
            && w.quote.notices[0].reason == "RECREATES_PACKAGE"
            && bundle(&w.changed).upstream_id != bundle(&w.made).upstream_id
    }),
    ("PATCH /api/admin/products/{id}: warning supply all values", |w| {
        bundle(&w.parted).memory_mb == Some(512) && bundle(&w.parted).backup_gb == Some(40)
    }),
    ("PATCH /api/admin/products/{id}: omit package_attributes", |w| {
        bundle(&w.relabelled) == bundle(&w.parted) && w.relabelled.display_name == "u"
    }),
    ("POST /api/admin/products: warning add products to billing plans", |w| {
        w.notices.contains(&(Op::CreateProduct, "NEEDS_PRICE_RULES".to_owned()))
            && w.sold.offers.len() == 2
    }),
    ("POST /api/admin/products: warning create price rules", |w| {
        w.sold.offers.iter().all(|offer| offer.price.is_some())
    }),
    ("POST /api/admin/products example: label=example", |w| w.example.display_name == "example"),
    ("POST /api/admin/products example: cpu=1.0", |w| {
        bundle(&w.example).cpu_cores.as_deref() == Some("1.0")
    }),
    ("POST /api/admin/products example: memory=1024", |w| {
        bundle(&w.example).memory_mb == Some(1024)
    }),
    ("POST /api/admin/products example: other values omitted", |w| {
        bundle(&w.example).storage_gb.is_none() && bundle(&w.example).backup_gb == Some(0)
    }),
    ("DELETE /api/admin/products/{id}", |w| w.gone == ErrorReason::ProductNotFound),
    ("DELETE /api/admin/products/{id}: id", |w| w.deleted == w.made.name),
    ("resource_kind=backup", |w| w.kinds.contains(&(ResourceKind::Backup, "backup".to_owned()))),
    ("resource_kind=bandwidth", |w| {
        w.kinds.contains(&(ResourceKind::Bandwidth, "bandwidth".to_owned()))
    }),
    ("resource_kind=cpu", |w| w.kinds.contains(&(ResourceKind::Cpu, "cpu".to_owned()))),
    ("resource_kind=ipaddr", |w| w.kinds.contains(&(ResourceKind::Ipaddr, "ipaddr".to_owned()))),
    ("resource_kind=memory", |w| w.kinds.contains(&(ResourceKind::Memory, "memory".to_owned()))),
    ("resource_kind=storage", |w| w.kinds.contains(&(ResourceKind::Storage, "storage".to_owned()))),
    ("resource_kind=local_disk", |w| {
        w.kinds.contains(&(ResourceKind::LocalDisk, "local_disk".to_owned()))
    }),
];

#[tokio::test]
async fn every_item_of_the_scope_is_reachable() {
    let mut scope = Scope::of(SCOPE);
    let seen = Box::pin(see()).await;
    for (item, check) in CHECKS {
        scope.shows(item, check(&seen));
    }
    scope.finish();
}

async fn see() -> Seen {
    let timed = Mode { documented_times: true, ..Mode::default() };
    let bench = Bench::empty(timed, json!({})).await;
    let made = bench.make(package("s")).await;
    let made_resource = bench.make(resource("r", ResourceKind::Storage)).await;
    let example = bench.make(example()).await;
    let request = ListProductsRequest { parent: "providers/test".to_owned(), ..Default::default() };
    let listed: ListProductsResponse =
        bench.plugin.read(Op::ListProducts, &request, "").await.unwrap();
    let rows = listed.products.len();
    let mut listed = listed.products.into_iter();
    let (first, second) = (listed.next().unwrap(), listed.next().unwrap());
    let shown = bench.get(&made.name).await.unwrap();
    let shown_resource = bench.get(&made_resource.name).await.unwrap();

    let change = update(changed(&made), &["display_name", "group", "package"]);
    let quote = bench.plugin.quote(&change).await.unwrap();
    let changed = bench.run(&change).await.product();
    let wanted = Product {
        shape: Some(Shape::Resource(Resource {
            kind: Some(ResourceKind::Memory.into()),
            unit: Some(20),
            unit_type: "MB".to_owned(),
            ..Resource::default()
        })),
        ..made_resource.clone()
    };
    let changed_resource = bench.run(&update(wanted, &["resource"])).await.product();
    let part = Package { memory_mb: Some(512), ..Package::default() };
    let wanted = Product { shape: Some(Shape::Package(part)), ..changed.clone() };
    let parted = bench.run(&update(wanted, &["package.memory_mb"])).await.product();
    let wanted = Product { display_name: "u".to_owned(), ..made.clone() };
    let relabelled = bench.run(&update(wanted, &[])).await.product();
    let deleted = bench.run(&delete(&made.name, false)).await.deleted();
    let gone = bench.get(&made.name).await.unwrap_err().reason;

    let selling = Bench::new().await;
    let untimed = selling.make(package("s")).await;
    Seen {
        rows,
        listed: first,
        listed_resource: second,
        shown,
        shown_resource,
        untimed,
        changed,
        changed_resource,
        parted,
        relabelled,
        quote,
        sold: selling.run(&create(sold("t"))).await.product(),
        example,
        kinds: kinds(&selling).await,
        notices: notices(),
        deleted,
        gone,
        made,
        made_resource,
    }
}

/// The example of the documents: two values of the package, and nothing else.
fn example() -> Product {
    let least =
        Package { cpu_cores: Some("1.0".to_owned()), memory_mb: Some(1024), ..Package::default() };
    Product {
        display_name: "example".to_owned(),
        shape: Some(Shape::Package(least)),
        ..Product::default()
    }
}

/// The product with every value changed.
fn changed(made: &Product) -> Product {
    let package = Package {
        upstream_id: String::new(),
        cpu_cores: Some("3.25".to_owned()),
        memory_mb: Some(2048),
        memory_swap_mb: Some(256),
        memory_swappiness: Some(20),
        bandwidth_gb: Some(3000),
        storage_gb: Some(27),
        local_disk_gb: Some(11),
        backup_gb: Some(40),
    };
    Product {
        name: made.name.clone(),
        display_name: "t".to_owned(),
        group: "large".to_owned(),
        shape: Some(Shape::Package(package)),
        ..Product::default()
    }
}

/// Every kind that can be made, and the word that the upstream tells for it.
async fn kinds(bench: &Bench) -> Vec<(ResourceKind, String)> {
    let mut kinds = Vec::new();
    for number in 1..=7 {
        let kind = ResourceKind::try_from(number).unwrap();
        let made = bench.make(resource("k", kind)).await;
        kinds.push((single(&made).kind(), single(&made).upstream_kind.clone()));
    }
    kinds
}

/// The notices of the methods.
fn notices() -> Vec<(Op, String)> {
    let manifest = TestHost::<purveyor_computestacks::ComputeStacks>::manifest().unwrap();
    let methods = manifest.methods.iter();
    let told = methods.flat_map(|method| method.notices.iter().map(|it| (method.op(), it)));
    told.map(|(op, notice)| (op, notice.reason.clone())).collect()
}

fn single(product: &Product) -> &Resource {
    match &product.shape {
        Some(Shape::Resource(resource)) => resource,
        other => panic!("no resource: {other:?}"),
    }
}

fn is_package(product: &Product) -> bool {
    matches!(product.shape, Some(Shape::Package(_)))
}

fn upstream_id(product: &Product) -> &str {
    assert_eq!(product.upstream.as_ref().unwrap().id(), id(&product.name));
    product.upstream.as_ref().unwrap().id()
}

/// A number among the attributes.
fn number(product: &Product, name: &str) -> Option<f64> {
    match product.attributes.as_ref()?.fields.get(name)?.kind.as_ref()? {
        FieldKind::NumberValue(number) => Some(*number),
        _ => None,
    }
}
