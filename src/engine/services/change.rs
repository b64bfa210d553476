//! What an update of a service can name, and what is kept of the request. Pure.

use purveyor_sdk::mask::service_leaves;
use purveyor_sdk::v1::{RenewalPolicy, Service};

use crate::engine::fields::{Mistakes, covers, required};

/// The paths that an update of a service can name at all.
pub(super) const PATHS: &[&str] = &[
    "quantity",
    "display_name",
    "renewal_policy",
    "renewal_policy.auto_renew",
    "renewal_policy.cancel_at_expiry",
    "renewal_policy.term",
];

/// Refuses a mask that names a member of the renewal policy, by itself or with all others, and a policy that
/// does not set it: none of them has a value that could be meant.
pub(super) fn check_set(service: &Service, paths: &[String], mistakes: &mut Mistakes) {
    if service.renewal_policy.is_none() {
        return;
    }
    for (path, value) in service_leaves(service) {
        let named = paths.iter().find(|named| covers(named, path));
        if value.is_some() || !covers("renewal_policy", path) {
            continue;
        }
        if let Some(named) = named {
            mistakes.add(format!("service.{path}"), required(named, path));
        }
    }
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
        auto_renew: given.auto_renew.filter(|_| named("renewal_policy.auto_renew")),
        cancel_at_expiry: given
            .cancel_at_expiry
            .filter(|_| named("renewal_policy.cancel_at_expiry")),
        term,
        forced: false,
    }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::mask::service_leaves;
    use purveyor_sdk::v1::service::State;
    use purveyor_sdk::v1::{RenewalPolicy, Service, Term};

    use super::{Mistakes, PATHS, check_set, covers, kept};

    fn given() -> Service {
        Service {
            quantity: 3,
            display_name: "web".to_owned(),
            state: State::Active.into(),
            renewal_policy: Some(RenewalPolicy {
                auto_renew: Some(true),
                cancel_at_expiry: Some(true),
                forced: true,
                term: None,
            }),
            ..Service::default()
        }
    }

    #[test]
    fn paths_are_the_leaves_of_the_contract_and_what_holds_them() {
        let leaves = service_leaves(&Service::default());
        for (leaf, _) in &leaves {
            assert!(PATHS.contains(leaf), "{leaf}");
        }
        for path in PATHS {
            assert!(leaves.iter().any(|(leaf, _)| covers(path, leaf)), "{path}");
        }
    }

    #[test]
    fn named_member_of_the_policy_that_is_not_set_is_refused() {
        const ALL: &[&str] = &[
            "service.renewal_policy.auto_renew",
            "service.renewal_policy.cancel_at_expiry",
            "service.renewal_policy.term",
        ];
        fn check(policy: RenewalPolicy, path: &str, expected: &[&str]) {
            let given = Service { renewal_policy: Some(policy), ..Service::default() };
            let mut mistakes = Mistakes::default();
            check_set(&given, &[path.to_owned()], &mut mistakes);
            let violations = mistakes.finish().err().map(|error| error.violations);
            let found: Vec<_> = violations.into_iter().flatten().map(|it| it.field).collect();
            assert_eq!(found, expected, "{path}");
        }
        let off = RenewalPolicy {
            auto_renew: Some(false),
            cancel_at_expiry: Some(false),
            term: Some(Term::default()),
            forced: false,
        };
        check(RenewalPolicy::default(), "renewal_policy", ALL);
        check(off.clone(), "renewal_policy", &[]);
        check(RenewalPolicy { auto_renew: None, ..off.clone() }, "renewal_policy", &ALL[..1]);
        for (path, field) in PATHS[3..].iter().zip(ALL) {
            check(off.clone(), path, &[]);
            check(RenewalPolicy::default(), path, &[field]);
        }
        check(RenewalPolicy::default(), "quantity", &[]);
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
        let policy = |auto_renew: Option<bool>, cancel_at_expiry: Option<bool>| Service {
            renewal_policy: Some(RenewalPolicy {
                auto_renew,
                cancel_at_expiry,
                ..Default::default()
            }),
            ..Service::default()
        };
        check(&["renewal_policy"], policy(Some(true), Some(true)));
        check(&["renewal_policy.auto_renew"], policy(Some(true), None));
        check(&["renewal_policy.cancel_at_expiry"], policy(None, Some(true)));
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
