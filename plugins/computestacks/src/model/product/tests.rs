//! Products between JSON and the contract.

use purveyor_sdk::serde_json;
use purveyor_sdk::v1::Product;
use purveyor_sdk::v1::product::{Package, Resource, ResourceKind, Shape};

use super::{Changes, Row, WORDS};

const RESOURCE: &str =
    r#"{"id":4,"label":"r","resource_kind":"ipaddr","unit":1,"unit_type":"IP","package":null}"#;
const PACKAGE: &str = r#"{"id":5,"label":"p","resource_kind":null,"unit":1,"unit_type":null,
    "external_id":"x9","group":"g",
    "package":{"id":8,"cpu":"2.5","memory":1536,"storage":18,"bandwidth":null,"local_disk":9,
    "memory_swap":null,"memory_swappiness":15,"backup":35,"gpu":2}}"#;

fn row(json: &str) -> Row {
    Row::read(&serde_json::from_str(json).unwrap()).unwrap()
}

fn resource(kind: ResourceKind, upstream_kind: &str) -> Product {
    let resource = Resource {
        kind: Some(kind.into()),
        unit: Some(1),
        unit_type: "IP".to_owned(),
        upstream_kind: upstream_kind.to_owned(),
    };
    Product {
        display_name: "r".to_owned(),
        shape: Some(Shape::Resource(resource)),
        ..Product::default()
    }
}

fn package() -> Product {
    let package = Package {
        cpu_cores: Some("2.5".to_owned()),
        memory_mb: Some(1536),
        memory_swappiness: Some(15),
        storage_gb: Some(18),
        local_disk_gb: Some(9),
        backup_gb: Some(35),
        ..Package::default()
    };
    Product {
        display_name: "p".to_owned(),
        group: "g".to_owned(),
        shape: Some(Shape::Package(package)),
        ..Product::default()
    }
}

#[test]
fn a_package_is_shown_with_everything_that_is_told() {
    let shown = row(PACKAGE).show("providers/a/products/5".to_owned());
    assert_eq!((shown.display_name.as_str(), shown.group.as_str()), ("p", "g"));
    let Some(Shape::Package(package)) = &shown.shape else { panic!("{shown:?}") };
    assert_eq!(package.upstream_id, "8");
    assert_eq!((package.bandwidth_gb, package.memory_swap_mb), (None, None));
    let attributes = shown.attributes.unwrap();
    let names: Vec<_> = attributes.fields.keys().map(String::as_str).collect();
    assert_eq!(names, ["external_id", "package", "unit"]);
}

#[test]
fn every_word_of_the_documents_has_its_kind_in_both_directions() {
    for (word, kind) in WORDS {
        let shown = row(&RESOURCE.replace("ipaddr", word)).show(String::new());
        let Some(Shape::Resource(resource)) = &shown.shape else { panic!("{shown:?}") };
        assert_eq!((resource.kind(), resource.upstream_kind.as_str()), (kind, word));
        let sent = Changes::of_new(&self::resource(kind, "")).unwrap().to_json();
        assert_eq!(sent["product"]["resource_kind"], word);
    }
    let shown = row(&RESOURCE.replace("ipaddr", "gpu")).show(String::new());
    let Some(Shape::Resource(resource)) = &shown.shape else { panic!("{shown:?}") };
    assert_eq!(
        (resource.kind(), resource.upstream_kind.as_str()),
        (ResourceKind::Unspecified, "gpu")
    );
}

#[test]
fn what_is_made_is_recognised() {
    fn check(json: &str, wanted: &Product, expected: bool) {
        let wanted = Changes::of_new(wanted).unwrap();
        assert_eq!(row(json).differs_as_made(&wanted).is_empty(), expected, "{json}");
    }
    check(PACKAGE, &package(), true);
    check(&PACKAGE.replace("2.5", "2.50"), &package(), true);
    check(&PACKAGE.replace("\"p\"", "\"P\""), &package(), false);
    check(&PACKAGE.replace("\"g\"", "null"), &package(), false);
    check(&PACKAGE.replace("1536", "1024"), &package(), false);
    check(RESOURCE, &resource(ResourceKind::Ipaddr, ""), true);
    check(RESOURCE, &resource(ResourceKind::Unspecified, "ipaddr"), true);
    check(RESOURCE, &resource(ResourceKind::Cpu, ""), false);
    check(&RESOURCE.replace("\"r\"", "\"p\""), &package(), false);
}

#[test]
fn a_change_sends_what_the_paths_name_and_nothing_else() {
    fn check(product: &Product, paths: &[&str], json: &str, expected: &str) {
        let changes = Changes::of_update(product, paths, &row(json)).unwrap();
        assert_eq!(changes.to_json().to_string(), expected, "{paths:?}");
    }
    check(&package(), &["display_name"], PACKAGE, r#"{"product":{"label":"p"}}"#);
    let ungrouped = Product { group: String::new(), ..package() };
    check(&ungrouped, &["group"], PACKAGE, r#"{"product":{"group":null}}"#);
    let other = resource(ResourceKind::Cpu, "cpu");
    check(&other, &["resource.kind"], RESOURCE, r#"{"product":{"resource_kind":"cpu"}}"#);
    check(
        &other,
        &["resource"],
        RESOURCE,
        r#"{"product":{"resource_kind":"cpu","unit":1,"unit_type":"IP"}}"#,
    );
    let sent = Changes::of_update(&package(), &["package.backup_gb"], &row(PACKAGE)).unwrap();
    assert!(row(PACKAGE).differs(&sent).is_empty());
    let none = Changes::of_update(&package(), &["offers"], &row(PACKAGE)).unwrap();
    assert_eq!(none, Changes::default());
}

#[test]
fn what_is_wrong_is_named() {
    fn fields(result: purveyor_sdk::Result<Changes>) -> Vec<String> {
        result.unwrap_err().violations.into_iter().map(|it| it.field).collect()
    }
    let empty = Product::default();
    assert_eq!(fields(Changes::of_new(&empty)), ["product.display_name", "product.package"]);
    let spaced = Product { display_name: " p".to_owned(), ..package() };
    assert_eq!(fields(Changes::of_new(&spaced)), ["product.display_name"]);
    let both = resource(ResourceKind::Cpu, "memory");
    assert_eq!(fields(Changes::of_new(&both)), ["product.resource.upstream_kind"]);
    let nothing = Product {
        shape: Some(Shape::Resource(Resource::default())),
        ..resource(ResourceKind::Cpu, "")
    };
    assert_eq!(
        fields(Changes::of_new(&nothing)),
        ["product.resource.unit", "product.resource.unit_type"]
    );
    let update = |product: &Product, paths: &[&str], json| {
        fields(Changes::of_update(product, paths, &row(json)))
    };
    assert_eq!(update(&package(), &["package"], RESOURCE), ["product.package"]);
    assert_eq!(
        update(&resource(ResourceKind::Cpu, ""), &["resource"], PACKAGE),
        ["product.resource"]
    );
    assert_eq!(
        update(&empty, &["display_name", "package"], PACKAGE),
        ["product.display_name", "product.package"]
    );
    assert_eq!(update(&empty, &["resource.unit"], RESOURCE), ["product.resource"]);
}
