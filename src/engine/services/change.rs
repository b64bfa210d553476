//! What an update of a service can name, and what is kept of the request. Pure.

use purveyor_sdk::v1::{RenewalPolicy, Service};

use crate::engine::fields::{Mistakes, covers};

/// The paths that an update of a service can name at all.
pub(super) const PATHS: &[&str] = &[
    "quantity",
    "display_name",
    "renewal_policy",
    "renewal_policy.auto_renew",
    "renewal_policy.cancel_at_expiry",
    "renewal_policy.term",
];

/// The paths that an empty mask stands for.
pub(super) fn populated(service: &Service) -> Vec<&'static str> {
    [
        ("quantity", service.quantity != 0),
        ("display_name", !service.display_name.is_empty()),
        ("renewal_policy", service.renewal_policy.is_some()),
    ]
    .into_iter()
    .filter_map(|(path, set)| set.then_some(path))
    .collect()
}

/// The service with the fields that the paths name, checked, and no others.
pub(super) fn kept(given: Service, paths: &[String], mistakes: &mut Mistakes) -> Service {
    let named = |path: &str| paths.iter().any(|outer| covers(outer, path));
    let mut kept = Service::default();
    if named("quantity") {
        mistakes.quantity("service.quantity", given.quantity);
        kept.quantity = given.quantity;
    }
    if named("display_name") {
        mistakes.text("service.display_name", &given.display_name);
        kept.display_name = given.display_name;
    }
    if paths.iter().any(|path| covers("renewal_policy", path)) {
        let Some(policy) = given.renewal_policy else {
            mistakes.add("service.renewal_policy", "is required by the mask");
            return kept;
        };
        kept.renewal_policy = Some(kept_policy(policy, &named, mistakes));
    }
    kept
}

fn kept_policy(
    given: RenewalPolicy,
    named: &dyn Fn(&str) -> bool,
    mistakes: &mut Mistakes,
) -> RenewalPolicy {
    let mut term = given.term.filter(|_| named("renewal_policy.term"));
    mistakes.term("service.renewal_policy.term", &mut term);
    RenewalPolicy {
        auto_renew: given.auto_renew && named("renewal_policy.auto_renew"),
        cancel_at_expiry: given.cancel_at_expiry && named("renewal_policy.cancel_at_expiry"),
        term,
        forced: false,
    }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::v1::service::State;
    use purveyor_sdk::v1::{RenewalPolicy, Service};

    use super::{Mistakes, PATHS, kept, populated};
    use crate::engine::fields::masked;

    fn given() -> Service {
        Service {
            quantity: 3,
            display_name: "web".to_owned(),
            state: State::Active.into(),
            renewal_policy: Some(RenewalPolicy {
                auto_renew: true,
                cancel_at_expiry: true,
                forced: true,
                term: None,
            }),
            ..Service::default()
        }
    }

    #[test]
    fn an_empty_mask_means_what_is_set() {
        assert_eq!(populated(&given()), ["quantity", "display_name", "renewal_policy"]);
        assert!(populated(&Service::default()).is_empty());
        let updatable = ["quantity".to_owned()];
        let one = Service { quantity: 3, ..Service::default() };
        assert_eq!(masked(None, &populated(&one), PATHS, &updatable).unwrap(), ["quantity"]);
        assert_eq!(
            masked(None, &populated(&given()), PATHS, &updatable).unwrap_err().violations.len(),
            2,
            "what the provider cannot change is refused, not left out"
        );
    }

    #[test]
    fn only_what_the_paths_name_is_kept() {
        fn check(paths: &[&str], expected: Service) {
            let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
            let mut mistakes = Mistakes::default();
            assert_eq!(kept(given(), &paths, &mut mistakes), expected, "{paths:?}");
            assert!(mistakes.finish().is_ok());
        }
        check(&["quantity"], Service { quantity: 3, ..Service::default() });
        let policy = |auto_renew, cancel_at_expiry| Service {
            renewal_policy: Some(RenewalPolicy {
                auto_renew,
                cancel_at_expiry,
                ..Default::default()
            }),
            ..Service::default()
        };
        check(&["renewal_policy"], policy(true, true));
        check(&["renewal_policy.auto_renew"], policy(true, false));
        check(&["renewal_policy.cancel_at_expiry"], policy(false, true));
    }

    #[test]
    fn values_are_checked_when_they_are_named() {
        fn check(path: &str, expected: &str) {
            let mut mistakes = Mistakes::default();
            kept(Service::default(), &[path.to_owned()], &mut mistakes);
            assert_eq!(mistakes.finish().unwrap_err().violations[0].field, expected);
        }
        check("quantity", "service.quantity");
        check("renewal_policy.term", "service.renewal_policy");
    }
}
