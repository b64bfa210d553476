//! Changing products: only what the mask names, and never half a package.

use purveyor_sdk::v1::product::{Package, Resource, ResourceKind, Shape};
use purveyor_sdk::v1::{Effect, ErrorReason, Product};
use purveyor_simulators::Kind;

use super::bench::{Bench, bundle, fields, id, package, resource, update};

#[tokio::test]
async fn a_field_that_is_not_named_keeps_its_value() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let wanted = Product { display_name: "t".to_owned(), name: made.name.clone(), ..package("s") };
    let changed = bench.run(&update(wanted, &["display_name"])).await.product();
    let expected = Product { display_name: "t".to_owned(), etag: changed.etag.clone(), ..made };
    assert_eq!(changed, expected, "the package too, with its identifier");
    assert_eq!(bench.get(&changed.name).await.unwrap(), changed);
    // An empty mask is what is populated, and never the package.
    let wanted = Product { group: String::new(), display_name: "u".to_owned(), ..changed.clone() };
    let again = bench.run(&update(wanted, &[])).await.product();
    assert_eq!((again.display_name.as_str(), again.group.as_str()), ("u", "small"));
    assert_eq!(bundle(&again), bundle(&changed));
    let wanted = Product { name: again.name.clone(), ..Product::default() };
    let cleared = bench.run(&update(wanted, &["group"])).await.product();
    assert_eq!(cleared.group, "");
}

#[tokio::test]
async fn a_part_of_a_package_is_sent_whole() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let part = Package { memory_mb: Some(2048), storage_gb: None, ..Package::default() };
    let wanted = Product {
        name: made.name.clone(),
        shape: Some(Shape::Package(part)),
        ..Product::default()
    };
    let write = update(wanted, &["package.memory_mb", "package.storage_gb"]);
    let quote = bench.plugin.quote(&write).await.unwrap();
    assert_eq!((quote.steps.len(), quote.steps[0].effect()), (1, Effect::Setting));
    assert_eq!(quote.notices[0].reason, "RECREATES_PACKAGE");
    let changed = bench.run(&write).await.product();
    let expected = Package {
        upstream_id: bundle(&changed).upstream_id.clone(),
        memory_mb: Some(2048),
        storage_gb: None,
        ..bundle(&made).clone()
    };
    assert_eq!(*bundle(&changed), expected);
    assert_ne!(bundle(&changed).upstream_id, bundle(&made).upstream_id, "it was made anew");
    assert_eq!(bench.done(), [Kind::ProductAdd, Kind::ProductUpdate]);

    let whole =
        Package { cpu_cores: Some("1".to_owned()), memory_mb: Some(256), ..Package::default() };
    let wanted = Product {
        name: made.name.clone(),
        shape: Some(Shape::Package(whole)),
        ..Product::default()
    };
    let changed = bench.run(&update(wanted, &["package"])).await.product();
    let package = bundle(&changed);
    assert_eq!((package.memory_swap_mb, package.memory_swappiness), (None, None));
    assert_eq!((package.bandwidth_gb, package.backup_gb), (None, Some(0)));
}

#[tokio::test]
async fn a_resource_is_changed_by_its_parts() {
    let bench = Bench::new().await;
    let made = bench.make(resource("r", ResourceKind::Cpu)).await;
    let part = Resource { kind: Some(ResourceKind::LocalDisk.into()), ..Resource::default() };
    let wanted = Product {
        name: made.name.clone(),
        shape: Some(Shape::Resource(part)),
        ..Product::default()
    };
    let changed = bench.run(&update(wanted, &["resource.kind"])).await.product();
    let Some(Shape::Resource(told)) = &changed.shape else { panic!("{changed:?}") };
    assert_eq!((told.upstream_kind.as_str(), told.unit), ("local_disk", Some(10)));
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_sent() {
    let bench = Bench::new().await;
    let bundled = bench.make(package("s")).await;
    let single = bench.make(resource("r", ResourceKind::Cpu)).await;
    let before = bench.done().len();
    let check = async |name: &str, product: Product, paths: &[&str], expected: &[&str]| {
        let wanted = Product { name: name.to_owned(), ..product };
        let error = bench.run(&update(wanted, paths)).await.error();
        assert_eq!(fields(&error), expected, "{paths:?}");
    };
    check(&single.name, package("s"), &["package"], &["product.package"]).await;
    check(&bundled.name, resource("r", ResourceKind::Cpu), &["resource"], &["product.resource"])
        .await;
    check(&bundled.name, Product::default(), &["display_name"], &["product.display_name"]).await;
    check(&bundled.name, Product::default(), &[], &["update_mask"]).await;
    check("products/1", package("s"), &["display_name"], &["product.name"]).await;
    let wanted = Product { name: "providers/test/products/99".to_owned(), ..package("s") };
    for paths in [&["display_name"][..], &["package"]] {
        let error = bench.run(&update(wanted.clone(), paths)).await.error();
        assert_eq!(error.reason, ErrorReason::ProductNotFound);
    }
    assert_eq!(bench.done().len(), before);
    assert_eq!(id(&bundled.name), "2");
}
