//! What a new product and an update of one can hold, and what is kept of the request. Pure.

use purveyor_sdk::mask::product_leaves;
use purveyor_sdk::v1::Product;
use purveyor_sdk::v1::product::{Offer, Package, Resource, Shape};

use crate::engine::fields::{Mistakes, covers, required};

/// The paths that an update of a product can name at all.
pub(super) const PATHS: &[&str] = &[
    "display_name",
    "group",
    "package",
    "package.cpu_cores",
    "package.memory_mb",
    "package.memory_swap_mb",
    "package.memory_swappiness",
    "package.bandwidth_gb",
    "package.storage_gb",
    "package.local_disk_gb",
    "package.backup_gb",
    "resource",
    "resource.kind",
    "resource.unit",
    "resource.unit_type",
    "offers",
    "attributes",
];

/// The most offers of one product: terms times regions times phases, with room.
const OFFERS: usize = 200;

/// Refuses a mask that names the resource whole and a resource that is not: what it lacks would be erased.
/// An unset member of a package is the upstream's null, and can be meant.
pub(super) fn check_set(product: &Product, paths: &[String], mistakes: &mut Mistakes) {
    let whole = paths.iter().any(|path| path == "resource");
    if !whole || !matches!(product.shape, Some(Shape::Resource(_))) {
        return;
    }
    for (path, value) in product_leaves(product) {
        if value.is_none() && covers("resource", path) {
            mistakes.add(format!("product.{path}"), required("resource", path));
        }
    }
}

/// A product that is to be made: what a caller may say of it, and nothing else.
pub(super) fn new(given: Option<Product>, mistakes: &mut Mistakes) -> Product {
    let Some(given) = given else {
        mistakes.add("product", "is required");
        return Product::default();
    };
    if given.display_name.is_empty() {
        mistakes.add("product.display_name", "is required");
    }
    let all = ["display_name", "group", "package", "resource", "offers", "attributes"];
    let annotations = given.annotations.clone();
    mistakes.annotations("product.annotations", &annotations);
    let paths = all.map(str::to_owned);
    Product { annotations, ..selected(given, &paths, mistakes) }
}

/// The product with the fields that the paths name, checked, and no others.
pub(super) fn kept(given: Product, paths: &[String], mistakes: &mut Mistakes) -> Product {
    for shape in ["package", "resource"] {
        let has = match given.shape {
            Some(Shape::Package(_)) => shape == "package",
            Some(Shape::Resource(_)) => shape == "resource",
            None => false,
        };
        if !has && paths.iter().any(|path| covers(shape, path)) {
            mistakes.add(format!("product.{shape}"), "is required by the mask");
        }
    }
    selected(given, paths, mistakes)
}

fn selected(given: Product, paths: &[String], mistakes: &mut Mistakes) -> Product {
    let named = |path: &str| paths.iter().any(|outer| covers(outer, path));
    let mut kept = Product::default();
    if named("display_name") {
        mistakes.text("product.display_name", &given.display_name);
        kept.display_name = given.display_name;
    }
    if named("group") {
        mistakes.text("product.group", &given.group);
        kept.group = given.group;
    }
    kept.shape = match given.shape {
        Some(Shape::Package(package)) if paths.iter().any(|path| covers("package", path)) => {
            Some(Shape::Package(kept_package(package, &named, mistakes)))
        }
        Some(Shape::Resource(resource)) if paths.iter().any(|path| covers("resource", path)) => {
            Some(Shape::Resource(kept_resource(resource, &named, mistakes)))
        }
        _ => None,
    };
    if named("offers") {
        kept.offers = offers(given.offers, mistakes);
    }
    if named("attributes") {
        kept.attributes = given.attributes;
    }
    kept
}

fn kept_package(given: Package, named: &dyn Fn(&str) -> bool, mistakes: &mut Mistakes) -> Package {
    let whole = |field: &str, value: Option<i64>, mistakes: &mut Mistakes| {
        if value.is_some_and(|value| value < 0) {
            mistakes.add(format!("product.package.{field}"), "must not be negative");
        }
        value.filter(|_| named(&format!("package.{field}")))
    };
    let cpu_cores = given.cpu_cores.filter(|_| named("package.cpu_cores"));
    let decimal = |text: &String| {
        purveyor_sdk::v1::Money::parse("", text).is_ok_and(|it| it.units >= 0 && it.nanos >= 0)
    };
    if cpu_cores.as_ref().is_some_and(|cores| !decimal(cores)) {
        mistakes.add("product.package.cpu_cores", "must be a decimal such as 2.5");
    }
    let swappiness = given.memory_swappiness.filter(|_| named("package.memory_swappiness"));
    if swappiness.is_some_and(|swappiness| !(0..=100).contains(&swappiness)) {
        mistakes.add("product.package.memory_swappiness", "must be 0 to 100");
    }
    Package {
        upstream_id: String::new(),
        cpu_cores,
        memory_mb: whole("memory_mb", given.memory_mb, mistakes),
        memory_swap_mb: whole("memory_swap_mb", given.memory_swap_mb, mistakes),
        memory_swappiness: swappiness,
        bandwidth_gb: whole("bandwidth_gb", given.bandwidth_gb, mistakes),
        storage_gb: whole("storage_gb", given.storage_gb, mistakes),
        local_disk_gb: whole("local_disk_gb", given.local_disk_gb, mistakes),
        backup_gb: whole("backup_gb", given.backup_gb, mistakes),
    }
}

fn kept_resource(
    given: Resource,
    named: &dyn Fn(&str) -> bool,
    mistakes: &mut Mistakes,
) -> Resource {
    mistakes.text("product.resource.unit_type", &given.unit_type);
    let mut kept = Resource::default();
    if named("resource.kind") {
        kept.kind = given.kind;
        // Only for a kind that has no word of the contract.
        kept.upstream_kind = given.upstream_kind;
    }
    kept.unit = given.unit.filter(|_| named("resource.unit"));
    if kept.unit.is_some_and(|unit| unit < 0) {
        mistakes.add("product.resource.unit", "must not be negative");
    }
    if named("resource.unit_type") {
        kept.unit_type = given.unit_type;
    }
    kept
}

fn offers(given: Vec<Offer>, mistakes: &mut Mistakes) -> Vec<Offer> {
    if given.len() > OFFERS {
        mistakes.add("product.offers", format!("has more than {OFFERS} entries"));
    }
    let checked = given.into_iter().take(OFFERS).enumerate().map(|(index, mut offer)| {
        let field = format!("product.offers[{index}]");
        mistakes.term(&format!("{field}.term"), &mut offer.term);
        let amount = offer.price.as_ref().and_then(|price| price.amount.as_ref());
        if amount.is_none() {
            mistakes.add(format!("{field}.price"), "is required");
        }
        mistakes.money(&format!("{field}.price.amount"), amount);
        if offer.min_quantity < 0 {
            mistakes.add(format!("{field}.min_quantity"), "must not be negative");
        }
        if offer.max_quantity < 0 {
            mistakes.add(format!("{field}.max_quantity"), "must not be negative");
        }
        if offer.max_quantity > 0 && offer.max_quantity < offer.min_quantity {
            mistakes.add(format!("{field}.max_quantity"), "is below min_quantity");
        }
        offer
    });
    checked.collect()
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::mask::product_leaves;
    use purveyor_sdk::v1::Product;
    use purveyor_sdk::v1::product::{Offer, Package, Resource, Shape};

    use super::{Mistakes, PATHS, check_set, covers, kept, new};

    fn wrong(mistakes: Mistakes) -> Vec<String> {
        let violations = mistakes.finish().err().map(|error| error.violations).unwrap_or_default();
        violations.into_iter().map(|violation| violation.field).collect()
    }

    fn packaged(package: Package) -> Product {
        Product {
            name: "providers/acme/products/1".to_owned(),
            display_name: "small".to_owned(),
            shape: Some(Shape::Package(package)),
            ..Product::default()
        }
    }

    #[test]
    fn paths_are_the_leaves_of_the_contract_and_what_holds_them() {
        let leaves = product_leaves(&Product::default());
        for (leaf, _) in &leaves {
            assert!(PATHS.contains(leaf), "{leaf}");
        }
        for path in PATHS {
            assert!(leaves.iter().any(|(leaf, _)| covers(path, leaf)), "{path}");
        }
    }

    #[test]
    fn whole_resource_that_lacks_a_member_is_refused() {
        fn check(resource: Resource, path: &str, expected: &[&str]) {
            let shape = Some(Shape::Resource(resource));
            let mut mistakes = Mistakes::default();
            let paths = [path.to_owned()];
            check_set(&Product { shape, ..Product::default() }, &paths, &mut mistakes);
            assert_eq!(wrong(mistakes), expected, "{path}");
        }
        let whole = Resource {
            kind: Some(0),
            unit: Some(0),
            unit_type: "GB".to_owned(),
            upstream_kind: String::new(),
        };
        check(whole.clone(), "resource", &[]);
        check(Resource { kind: None, ..whole.clone() }, "resource", &["product.resource.kind"]);
        let spelled = Resource { kind: None, upstream_kind: "gpu".to_owned(), ..whole.clone() };
        check(spelled, "resource", &[]);
        let nothing = Resource::default();
        let all = ["product.resource.kind", "product.resource.unit", "product.resource.unit_type"];
        check(nothing.clone(), "resource", &all);
        check(nothing, "resource.kind", &[]);
    }

    #[test]
    fn a_part_of_the_package_is_kept_alone() {
        let given = packaged(Package {
            upstream_id: "9".to_owned(),
            memory_mb: Some(512),
            storage_gb: Some(10),
            ..Package::default()
        });
        let mut mistakes = Mistakes::default();
        let kept = kept(given, &["package.memory_mb".to_owned()], &mut mistakes);
        let expected = Package { memory_mb: Some(512), ..Package::default() };
        assert_eq!(kept.shape, Some(Shape::Package(expected)));
        assert_eq!((kept.name.as_str(), kept.display_name.as_str()), ("", ""));
        assert_eq!(wrong(mistakes), [""; 0]);
    }

    #[test]
    fn a_mask_needs_what_it_names() {
        let mut mistakes = Mistakes::default();
        kept(Product::default(), &["package.memory_mb".to_owned()], &mut mistakes);
        assert_eq!(wrong(mistakes), ["product.package"]);
        let mut mistakes = Mistakes::default();
        kept(packaged(Package::default()), &["resource".to_owned()], &mut mistakes);
        assert_eq!(wrong(mistakes), ["product.resource"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        fn check(given: Product, expected: &[&str]) {
            let mut mistakes = Mistakes::default();
            new(Some(given), &mut mistakes);
            assert_eq!(wrong(mistakes), expected);
        }
        check(packaged(Package::default()), &[]);
        check(Product::default(), &["product.display_name"]);
        let cores = |text: &str| Package { cpu_cores: Some(text.to_owned()), ..Package::default() };
        check(packaged(cores("2.5")), &[]);
        check(packaged(cores("two")), &["product.package.cpu_cores"]);
        check(packaged(cores("-1")), &["product.package.cpu_cores"]);
        check(
            packaged(Package { memory_swappiness: Some(101), ..Package::default() }),
            &["product.package.memory_swappiness"],
        );
        check(
            packaged(Package { storage_gb: Some(-1), ..Package::default() }),
            &["product.package.storage_gb"],
        );
        let resource = Resource { unit: Some(-1), ..Resource::default() };
        check(
            Product { shape: Some(Shape::Resource(resource)), ..packaged(Package::default()) },
            &["product.resource.unit"],
        );
        let offer = Offer { min_quantity: 5, max_quantity: 2, ..Offer::default() };
        check(
            Product { offers: vec![offer], ..packaged(Package::default()) },
            &["product.offers[0].price", "product.offers[0].max_quantity"],
        );
        let mut mistakes = Mistakes::default();
        new(None, &mut mistakes);
        assert_eq!(wrong(mistakes), ["product"]);
    }
}
