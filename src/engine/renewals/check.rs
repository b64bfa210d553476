//! What a renewal must hold before it is stored, and the guard against renewing what has been renewed
//! already. Pure: what the services are like now is handed in.

use std::collections::BTreeSet;

use purveyor_sdk::names::{ProviderName, ServiceName};
use purveyor_sdk::plugin::v1::Method;
use purveyor_sdk::v1::term::Kind;
use purveyor_sdk::v1::{ErrorReason, Renewal, ServiceRef};
use purveyor_sdk::{Error, Result};

use crate::engine::fields::Mistakes;
use crate::engine::naming::FoundService;

/// The most services of one renewal: each is read and locked.
const SERVICES: usize = 100;

/// The renewal as it is stored: what a caller may say, in normal form, and nothing else. Without
/// `services` it is for `service` alone.
pub(super) fn renewal(
    given: Option<Renewal>,
    parent: &ProviderName,
    mistakes: &mut Mistakes,
) -> Renewal {
    let Some(given) = given else {
        mistakes.add("renewal", "is required");
        return Renewal::default();
    };
    service(&given.service, "renewal.service", parent, mistakes);
    if given.services.len() > SERVICES {
        mistakes.add("renewal.services", format!("has more than {SERVICES} entries"));
    }
    let mut services = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, renewed) in given.services.into_iter().take(SERVICES).enumerate() {
        let field = format!("renewal.services[{index}]");
        service(&renewed.service, &format!("{field}.service"), parent, mistakes);
        let expiry = renewed.expected_expire_time;
        mistakes.moment(&format!("{field}.expected_expire_time"), expiry.as_ref());
        if !seen.insert(renewed.service.clone()) {
            mistakes.add(format!("{field}.service"), "is named twice");
        }
        services.push(reference(renewed.service, expiry));
    }
    if services.is_empty() {
        services.push(reference(given.service.clone(), None));
    }
    mistakes.annotations("renewal.annotations", &given.annotations);
    let mut term = given.term;
    mistakes.term("renewal.term", &mut term);
    if term.as_ref().is_none_or(|term| term.kind() != Kind::Recurring) {
        mistakes.add("renewal.term", "must be recurring with a period");
    }
    let (service, annotations) = (given.service, given.annotations);
    Renewal { service, services, term, annotations, ..Renewal::default() }
}

fn reference(service: String, expected_expire_time: Option<prost_types::Timestamp>) -> ServiceRef {
    ServiceRef { service, expected_expire_time, ..ServiceRef::default() }
}

fn service(name: &str, field: &str, parent: &ProviderName, mistakes: &mut Mistakes) {
    match name.parse::<ServiceName>() {
        Ok(name) if name.provider() == parent => {}
        Ok(_) => mistakes.add(field, format!("must be a service of {parent}")),
        Err(error) => mistakes.add(field, error.to_string()),
    }
}

/// What the provider's method allows.
pub(super) fn method(renewal: &Renewal, method: &Method, mistakes: &mut Mistakes) {
    let period = renewal.term.as_ref().map(|term| term.period.as_str()).unwrap_or_default();
    let allowed = |term: &String| term == period;
    if !method.terms.is_empty() && !method.terms.iter().any(allowed) {
        mistakes.add("renewal.term", format!("must be one of {}", method.terms.join(", ")));
    }
}

/// Compares what the caller expects with what is: `found` are `service`, then `services` in order.
///
/// # Errors
///
/// FIELD_VIOLATION where the upstream tells an expiry and none is expected; EXPIRE_TIME_CHANGED
/// where it is another.
pub(super) fn expiries(renewal: &Renewal, found: &[FoundService]) -> Result<()> {
    let mut mistakes = Mistakes::default();
    let mut changed = None;
    for (index, (asked, found)) in renewal.services.iter().zip(&found[1..]).enumerate() {
        // Where nobody can be asked, the plugin compares before it spends.
        let Some(live) = &found.live else { continue };
        match (&asked.expected_expire_time, &live.expire_time) {
            (None, Some(_)) => {
                let field = format!("renewal.services[{index}].expected_expire_time");
                mistakes.add(field, "is required: the expire_time that GetService gave");
            }
            (Some(expected), present) if Some(expected) != present.as_ref() => {
                changed.get_or_insert_with(|| expiry_changed(&found.name));
            }
            _ => {}
        }
    }
    mistakes.finish()?;
    changed.map_or(Ok(()), Err)
}

fn expiry_changed(name: &str) -> Error {
    let message = format!("{name} does not expire when the request expects it to");
    Error::new(ErrorReason::ExpireTimeChanged, message).with_metadata("resource", name)
}

/// Puts the one name of each service into the place of an alias.
///
/// # Errors
///
/// FIELD_VIOLATION where two names turn out to be one service.
pub(super) fn canonical(renewal: &mut Renewal, found: &[FoundService]) -> Result<()> {
    let mut names = found.iter().map(|found| found.name.clone());
    if let Some(name) = names.next() {
        renewal.service = name;
    }
    let (mut seen, mut mistakes) = (BTreeSet::new(), Mistakes::default());
    for (index, (service, name)) in renewal.services.iter_mut().zip(names).enumerate() {
        if !seen.insert(name.clone()) {
            let field = format!("renewal.services[{index}].service");
            mistakes.add(field, format!("is another name of {name}, which is named already"));
        }
        service.service = name;
    }
    mistakes.finish()
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use purveyor_sdk::term::Period;
    use purveyor_sdk::v1::{Service, Term};

    use super::{
        ErrorReason, FoundService, Method, Mistakes, ProviderName, Renewal, ServiceRef, canonical,
        expiries, method, renewal,
    };

    fn fields(mistakes: Mistakes) -> Vec<String> {
        let violations = mistakes.finish().err().map(|error| error.violations).unwrap_or_default();
        violations.into_iter().map(|violation| violation.field).collect()
    }

    fn given(services: &[&str]) -> Renewal {
        let service = |id: &&str| ServiceRef {
            service: format!("providers/acme/services/{id}"),
            service_type: "told".to_owned(),
            ..ServiceRef::default()
        };
        Renewal {
            service: "providers/acme/services/1".to_owned(),
            services: services.iter().map(service).collect(),
            term: Some(Term::recurring(Period::Months(3), "")),
            ..Renewal::default()
        }
    }

    fn checked(given: Renewal) -> (Renewal, Vec<String>) {
        let mut mistakes = Mistakes::default();
        let parent = ProviderName::new("acme").unwrap();
        let stored = renewal(Some(given), &parent, &mut mistakes);
        (stored, fields(mistakes))
    }

    #[test]
    fn what_is_wrong_is_named() {
        fn check(change: impl FnOnce(&mut Renewal), expected: &[&str]) {
            let mut changed = given(&["1", "2"]);
            change(&mut changed);
            assert_eq!(checked(changed).1, expected);
        }
        check(|_| {}, &[]);
        check(|it| it.service.clear(), &["renewal.service"]);
        check(|it| it.term = None, &["renewal.term"]);
        check(|it| it.term = Some(Term::one_time("")), &["renewal.term"]);
        check(
            |it| it.services[1].service = "providers/other/services/2".to_owned(),
            &["renewal.services[1].service"],
        );
        check(|it| it.services[1] = it.services[0].clone(), &["renewal.services[1].service"]);
    }

    #[test]
    fn without_services_the_service_alone_is_renewed() {
        let (stored, mistakes) = checked(given(&[]));
        assert_eq!(mistakes, [""; 0]);
        assert_eq!(stored.services.len(), 1);
        assert_eq!(stored.services[0].service, stored.service);
        let (stored, _) = checked(given(&["2"]));
        assert_eq!(stored.services[0].service_type, "", "an output field is dropped");
    }

    #[test]
    fn the_method_limits_the_term() {
        fn check(terms: &[&str], expected: &[&str]) {
            let terms = terms.iter().map(|term| (*term).to_owned()).collect();
            let mut mistakes = Mistakes::default();
            method(&given(&[]), &Method { terms, ..Method::default() }, &mut mistakes);
            assert_eq!(fields(mistakes), expected);
        }
        check(&[], &[]);
        check(&["P1M", "P3M"], &[]);
        check(&["P1M"], &["renewal.term"]);
    }

    #[test]
    fn expiries_are_compared_exactly() {
        fn check(
            expected: Option<i64>,
            live: Option<Option<i64>>,
            outcome: Result<(), ErrorReason>,
        ) {
            let at = |seconds| Timestamp { seconds, nanos: 0 };
            let mut asked = given(&["1"]);
            asked.services[0].expected_expire_time = expected.map(at);
            let found = || FoundService {
                name: "providers/acme/services/1".to_owned(),
                upstream_id: "1".to_owned(),
                live: live.map(|live| Service { expire_time: live.map(at), ..Service::default() }),
            };
            let checked = expiries(&asked, &[found(), found()]).map_err(|error| error.reason);
            assert_eq!(checked, outcome, "{expected:?} {live:?}");
        }
        check(Some(5), Some(Some(5)), Ok(()));
        check(Some(5), Some(Some(6)), Err(ErrorReason::ExpireTimeChanged));
        check(Some(5), Some(None), Err(ErrorReason::ExpireTimeChanged));
        check(None, Some(Some(5)), Err(ErrorReason::FieldViolation));
        check(None, Some(None), Ok(()));
        check(None, None, Ok(()));
        check(Some(5), None, Ok(()));
    }

    #[test]
    fn aliases_give_way_to_names() {
        let mut asked = given(&["a", "b"]);
        let found: Vec<_> = ["1", "1", "2"]
            .iter()
            .map(|id| FoundService {
                name: format!("providers/acme/services/{id}"),
                upstream_id: (*id).to_owned(),
                live: None,
            })
            .collect();
        canonical(&mut asked, &found).unwrap();
        let names: Vec<_> = asked.services.iter().map(|it| it.service.as_str()).collect();
        assert_eq!(asked.service, "providers/acme/services/1");
        assert_eq!(names, ["providers/acme/services/1", "providers/acme/services/2"]);
        let error = canonical(&mut asked, &[&found[..2], &found[..1]].concat()).unwrap_err();
        assert_eq!(error.violations[0].field, "renewal.services[1].service");
    }
}
