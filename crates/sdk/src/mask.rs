//! The fields that an update can change, down to the leaves, and which of them a message sets. What an update
//! without a mask changes follows from it, at every provider alike.

use std::fmt::Debug;

use crate::v1::product::{Package, Resource, Shape};
use crate::v1::{Product, RenewalPolicy, Service};

/// A field that has no part which an update could name, and its value as a text; `None` where the message
/// does not set it. A leaf whose false or zero means something has explicit presence in the contract.
pub type Leaf = (&'static str, Option<String>);

/// The leaves of a service.
pub fn service_leaves(service: &Service) -> Vec<Leaf> {
    let policy = service.renewal_policy.clone().unwrap_or_default();
    // Whole, so that a new member is not forgotten here.
    let RenewalPolicy { auto_renew, term, cancel_at_expiry, forced: _ } = policy;
    vec![
        ("quantity", set(service.quantity != 0, &service.quantity)),
        ("display_name", text(&service.display_name)),
        ("renewal_policy.auto_renew", some(auto_renew.as_ref())),
        ("renewal_policy.cancel_at_expiry", some(cancel_at_expiry.as_ref())),
        ("renewal_policy.term", some(term.as_ref())),
    ]
}

/// The leaves of a product.
pub fn product_leaves(product: &Product) -> Vec<Leaf> {
    let (package, resource) = match product.shape.clone() {
        Some(Shape::Package(package)) => (package, Resource::default()),
        Some(Shape::Resource(resource)) => (Package::default(), resource),
        None => (Package::default(), Resource::default()),
    };
    let Package {
        upstream_id: _,
        cpu_cores,
        memory_mb,
        memory_swap_mb,
        memory_swappiness,
        bandwidth_gb,
        storage_gb,
        local_disk_gb,
        backup_gb,
    } = package;
    let Resource { kind, unit, unit_type, upstream_kind } = resource;
    let named_kind = kind.is_some() || !upstream_kind.is_empty();
    vec![
        ("display_name", text(&product.display_name)),
        ("group", text(&product.group)),
        ("package.cpu_cores", some(cpu_cores.as_ref())),
        ("package.memory_mb", some(memory_mb.as_ref())),
        ("package.memory_swap_mb", some(memory_swap_mb.as_ref())),
        ("package.memory_swappiness", some(memory_swappiness.as_ref())),
        ("package.bandwidth_gb", some(bandwidth_gb.as_ref())),
        ("package.storage_gb", some(storage_gb.as_ref())),
        ("package.local_disk_gb", some(local_disk_gb.as_ref())),
        ("package.backup_gb", some(backup_gb.as_ref())),
        ("resource.kind", set(named_kind, &(kind, upstream_kind))),
        ("resource.unit", some(unit.as_ref())),
        ("resource.unit_type", text(&unit_type)),
        ("offers", set(!product.offers.is_empty(), &product.offers)),
        ("attributes", some(product.attributes.as_ref())),
    ]
}

/// Whether an update without a mask can mean a path. A package has to be named, because the upstream may
/// make it anew with each change.
pub fn is_implied(path: &str) -> bool {
    !path.starts_with("package.")
}

/// The paths that an update without a mask stands for: the leaves that are set.
pub fn implied(leaves: &[Leaf]) -> Vec<&'static str> {
    let set = leaves.iter().filter(|(path, value)| value.is_some() && is_implied(path));
    set.map(|(path, _)| *path).collect()
}

fn set(is_set: bool, value: &impl Debug) -> Option<String> {
    is_set.then(|| format!("{value:?}"))
}

fn some(value: Option<&impl Debug>) -> Option<String> {
    value.map(|value| format!("{value:?}"))
}

fn text(text: &str) -> Option<String> {
    set(!text.is_empty(), &text)
}

#[cfg(test)]
mod tests {
    use super::{Leaf, implied, product_leaves, service_leaves};
    use crate::v1::product::{Offer, Package, Resource, ResourceKind, Shape};
    use crate::v1::{Product, RenewalPolicy, Service, Term};

    #[track_caller]
    fn check(leaves: &[Leaf], expected: &[&str]) {
        assert_eq!(implied(leaves), expected);
    }

    #[test]
    fn implied_mask_of_a_service_names_the_leaves_that_are_set() {
        fn policy(policy: RenewalPolicy) -> Vec<Leaf> {
            service_leaves(&Service { renewal_policy: Some(policy), ..Service::default() })
        }
        check(&service_leaves(&Service::default()), &[]);
        check(&policy(RenewalPolicy { forced: true, ..RenewalPolicy::default() }), &[]);
        let term = Some(Term { period: "P3M".to_owned(), ..Term::default() });
        check(&policy(RenewalPolicy { term, ..Default::default() }), &["renewal_policy.term"]);
        for value in [false, true] {
            let auto_renew = RenewalPolicy { auto_renew: Some(value), ..Default::default() };
            check(&policy(auto_renew), &["renewal_policy.auto_renew"]);
            let cancel = RenewalPolicy { cancel_at_expiry: Some(value), ..Default::default() };
            check(&policy(cancel), &["renewal_policy.cancel_at_expiry"]);
        }
        let plain = Service { quantity: 3, display_name: "web".to_owned(), ..Service::default() };
        check(&service_leaves(&plain), &["quantity", "display_name"]);
    }

    #[test]
    fn implied_mask_of_a_product_names_the_leaves_that_are_set() {
        fn resource(resource: Resource) -> Vec<Leaf> {
            product_leaves(&Product {
                shape: Some(Shape::Resource(resource)),
                ..Product::default()
            })
        }
        check(&product_leaves(&Product::default()), &[]);
        check(&resource(Resource::default()), &[]);
        check(&resource(Resource { unit: Some(0), ..Resource::default() }), &["resource.unit"]);
        let unit_type = "GB".to_owned();
        check(&resource(Resource { unit_type, ..Resource::default() }), &["resource.unit_type"]);
        for kind in [ResourceKind::Unspecified, ResourceKind::Cpu] {
            let kind = Resource { kind: Some(kind.into()), ..Resource::default() };
            check(&resource(kind), &["resource.kind"]);
        }
        let upstream_kind = Resource { upstream_kind: "gpu".to_owned(), ..Resource::default() };
        check(&resource(upstream_kind), &["resource.kind"]);
        let product = Product {
            display_name: "small".to_owned(),
            group: "web".to_owned(),
            shape: Some(Shape::Package(Package { memory_mb: Some(0), ..Package::default() })),
            offers: vec![Offer::default()],
            ..Product::default()
        };
        check(&product_leaves(&product), &["display_name", "group", "offers"]);
    }
}
