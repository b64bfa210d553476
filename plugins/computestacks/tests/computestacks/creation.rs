//! Making products: packages and resources, what is refused before and by the upstream, quotes.

use purveyor_sdk::v1::product::{Package, Resource, ResourceKind, Shape};
use purveyor_sdk::v1::{Effect, ErrorReason, Product};
use purveyor_simulators::computestacks::Mode;
use purveyor_simulators::{Fault, FaultKind, Kind};

use super::bench::{Bench, CREATE, bundle, create, fields, id, offer, package, resource, sold};

#[tokio::test]
async fn a_package_is_made_whole() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    assert_eq!((made.display_name.as_str(), made.group.as_str()), ("s", "small"));
    assert_eq!(made.upstream.as_ref().unwrap().id(), id(&made.name));
    let expected = Package {
        upstream_id: "1".to_owned(),
        cpu_cores: Some("2.5".to_owned()),
        ..bundle(&package("s")).clone()
    };
    assert_eq!(*bundle(&made), expected);
    assert_eq!(bench.get(&made.name).await.unwrap(), made, "the result is what a read shows");
    assert_eq!(bench.done(), [Kind::ProductAdd]);
}

#[tokio::test]
async fn the_documents_example_is_filled_up() {
    // The upstream refuses a package without storage and traffic; the plugin always sends both.
    let bench = Bench::in_mode(Mode { complete_packages: true, ..Mode::default() }).await;
    let least =
        Package { cpu_cores: Some("1.0".to_owned()), memory_mb: Some(1024), ..Package::default() };
    let example = Product {
        display_name: "example".to_owned(),
        shape: Some(Shape::Package(least.clone())),
        ..Product::default()
    };
    let made = bench.make(example).await;
    let expected = Package {
        upstream_id: "1".to_owned(),
        local_disk_gb: Some(0),
        backup_gb: Some(0),
        ..least
    };
    assert_eq!(*bundle(&made), expected);
}

#[tokio::test]
async fn resources_of_every_kind_are_made() {
    let bench = Bench::new().await;
    let kinds = [
        ResourceKind::Backup,
        ResourceKind::Bandwidth,
        ResourceKind::Cpu,
        ResourceKind::Ipaddr,
        ResourceKind::Memory,
        ResourceKind::Storage,
        ResourceKind::LocalDisk,
    ];
    for kind in kinds {
        let made = bench.make(resource(kind.as_str_name(), kind)).await;
        let Some(Shape::Resource(told)) = &made.shape else { panic!("{made:?}") };
        assert_eq!(told.kind(), kind);
        assert_eq!((told.unit, told.unit_type.as_str()), (Some(10), "GB"));
    }
    let other = Resource {
        upstream_kind: "gpu".to_owned(),
        unit: Some(1),
        unit_type: "card".to_owned(),
        ..Resource::default()
    };
    let product = Product {
        shape: Some(Shape::Resource(other.clone())),
        ..resource("gpu", ResourceKind::Cpu)
    };
    assert_eq!(bench.make(product).await.shape, Some(Shape::Resource(other)));
}

#[tokio::test]
async fn what_is_wrong_is_told_before_anything_is_sent() {
    let bench = Bench::new().await;
    let wrong = Product {
        display_name: String::new(),
        shape: Some(Shape::Package(Package::default())),
        offers: vec![offer("EUR", "1", &["mars"])],
        ..Product::default()
    };
    let error = bench.run(&create(wrong)).await.error();
    let expected = [
        "product.display_name",
        "product.package.cpu_cores",
        "product.package.memory_mb",
        "product.offers[0].regions",
    ];
    assert_eq!(fields(&error), expected);
    assert!(bench.plugin.sent().is_empty());
}

#[tokio::test]
async fn what_the_upstream_refuses_is_passed_on() {
    let bench = Bench::new().await;
    let text = "Label is odd".to_owned();
    bench.upstream.inject(Fault::next(CREATE, FaultKind::Fault { code: 422, text }));
    let error = bench.run(&create(package("s"))).await.error();
    assert_eq!(error.reason, ErrorReason::UpstreamRejected);
    assert_eq!(error.message, "the upstream refuses: Label is odd");
    assert_eq!(error.metadata["upstream_code"], "422");
    assert!(bench.done().is_empty());
}

#[tokio::test]
async fn a_quote_tells_the_steps_and_makes_nothing() {
    let bench = Bench::new().await;
    let check = async |product: Product, calls: &[&str], asked: bool| {
        let quote = bench.plugin.quote(&create(product)).await.unwrap();
        let told: Vec<_> = quote.steps.iter().map(|step| step.call.as_str()).collect();
        assert_eq!(told, calls);
        assert!(quote.steps.iter().all(|step| step.effect() == Effect::Spend));
        assert_eq!((quote.upstream_asked, quote.price), (asked, None));
        assert_eq!(quote.notices[0].reason, "NEEDS_PRICE_RULES");
    };
    check(package("s"), &["products.create"], false).await;
    let rule = "billing_resource_prices.create";
    check(sold("s"), &["products.create", "billing_resources.create", rule, rule], true).await;
    assert!(bench.done().is_empty());
    let wrong = Product { display_name: " s".to_owned(), ..package("s") };
    let error = bench.plugin.quote(&create(wrong)).await.unwrap_err();
    assert_eq!(fields(&error), ["product.display_name"]);
}
