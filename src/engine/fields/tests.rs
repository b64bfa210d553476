//! Tables of values that are right and wrong.

use std::collections::BTreeMap;

use prost_types::FieldMask;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::term::Kind;
use purveyor_sdk::v1::{Date, ErrorReason, Money, Payment, PaymentMethod, Term};

use super::{Mistakes, masked, request_id};

/// The fields that a check complains of.
fn wrong(check: impl FnOnce(&mut Mistakes)) -> Vec<String> {
    let mut mistakes = Mistakes::default();
    check(&mut mistakes);
    mistakes.found.into_iter().map(|found| found.field).collect()
}

#[test]
fn amounts() {
    fn check(currency: &str, units: i64, nanos: i32, expected: &[&str]) {
        let money = Money { currency_code: currency.to_owned(), units, nanos };
        let found = wrong(|mistakes| mistakes.money("max_price", Some(&money)));
        assert_eq!(found, expected, "{currency} {units} {nanos}");
    }
    check("EUR", 0, 0, &[]);
    check("EUR", 45, 440_000_000, &[]);
    check("EUR", i64::MAX, 999_999_999, &[]);
    check("", 1, 0, &["max_price.currency_code"]);
    check("eur", 1, 0, &["max_price.currency_code"]);
    check("EURO", 1, 0, &["max_price.currency_code"]);
    check("EUR", -1, 0, &["max_price"]);
    check("EUR", 0, -1, &["max_price"]);
    check("EUR", 1, -1, &["max_price"]);
    check("EUR", 1, 1_000_000_000, &["max_price"]);
    assert!(wrong(|mistakes| mistakes.money("max_price", None)).is_empty());
}

#[test]
fn terms_get_their_normal_form() {
    fn check(kind: Kind, period: &str, expected: Result<&str, &str>) {
        let mut term = Some(Term {
            kind: kind.into(),
            period: period.to_owned(),
            upstream_value: "12m".to_owned(),
        });
        let found = wrong(|mistakes| mistakes.term("term", &mut term));
        let term = term.unwrap();
        match expected {
            Ok(normal) => {
                assert_eq!((found.len(), term.period.as_str()), (0, normal), "{period}");
            }
            Err(field) => assert_eq!(found, [field], "{period}"),
        }
        assert_eq!(term.upstream_value, "", "the upstream's spelling in a request is ignored");
    }
    check(Kind::Recurring, "P12M", Ok("P1Y"));
    check(Kind::Recurring, "P1M", Ok("P1M"));
    check(Kind::OneTime, "", Ok(""));
    check(Kind::Recurring, "", Err("term.period"));
    check(Kind::Recurring, "1 year", Err("term.period"));
    check(Kind::Free, "P1M", Err("term.period"));
}

#[test]
fn days() {
    fn check(year: i32, month: i32, day: i32, expected: bool) {
        let date = Date { year, month, day };
        let found = wrong(|mistakes| mistakes.date("start_date", Some(&date)));
        assert_eq!(found.is_empty(), expected, "{year}-{month}-{day}");
    }
    check(2024, 2, 29, true);
    check(9999, 12, 31, true);
    check(2023, 2, 29, false);
    check(2023, 13, 1, false);
    check(0, 1, 1, false);
    check(10_000, 1, 1, false);
    check(2023, 257, 1, false);
}

#[test]
fn tags() {
    fn check(entries: impl IntoIterator<Item = (String, String)>, expected: usize) {
        let entries: BTreeMap<_, _> = entries.into_iter().collect();
        assert_eq!(wrong(|mistakes| mistakes.annotations("a", &entries)).len(), expected);
    }
    let entry = |key: usize, value: usize| ("k".repeat(key), "v".repeat(value));
    check([entry(63, 256)], 0);
    check([entry(64, 0)], 1);
    check([entry(0, 0)], 1);
    check([entry(1, 257)], 1);
    check((0..32).map(|n| (n.to_string(), String::new())), 0);
    check((0..33).map(|n| (n.to_string(), String::new())), 1);
}

#[test]
fn texts_and_quantities() {
    assert!(wrong(|mistakes| mistakes.text("reference", &"é".repeat(128))).is_empty());
    assert_eq!(wrong(|mistakes| mistakes.text("reference", &"é".repeat(129))), ["reference"]);
    assert_eq!(wrong(|mistakes| mistakes.text("reference", "a\nb")), ["reference"]);
    for (quantity, expected) in
        [(1, true), (100_000, true), (0, false), (-1, false), (100_001, false)]
    {
        let found = wrong(|mistakes| mistakes.quantity("quantity", quantity));
        assert_eq!(found.is_empty(), expected, "{quantity}");
    }
}

#[test]
fn payments() {
    fn check(choice: Option<Choice>, expected: &[&str]) {
        let payment = Payment { choice };
        assert_eq!(wrong(|mistakes| mistakes.payment("payment", Some(&payment))), expected);
    }
    let method = |r#type: &str| {
        Some(Choice::Method(PaymentMethod { r#type: r#type.to_owned(), ..Default::default() }))
    };
    check(Some(Choice::DefaultMethod(true)), &[]);
    check(Some(Choice::DefaultMethod(false)), &["payment.default_method"]);
    check(method("paypal"), &[]);
    check(method(""), &["payment.method.type"]);
    check(None, &["payment"]);
}

#[test]
fn moments() {
    fn check(seconds: i64, nanos: i32, expected: bool) {
        let timestamp = prost_types::Timestamp { seconds, nanos };
        let mut mistakes = Mistakes::default();
        let moment = mistakes.moment("start_before", Some(&timestamp));
        assert_eq!((moment.is_some(), mistakes.finish().is_ok()), (expected, expected));
    }
    check(0, 0, true);
    check(-1, 999_999_999, true);
    check(0, -1, false);
    check(0, 1_000_000_000, false);
    check(i64::MAX, 0, false);
}

#[test]
fn request_ids() {
    fn check(text: &str, expected: Result<&str, ErrorReason>) {
        let found = request_id(text, false).map(|id| id.unwrap().to_string());
        let found = found.map_err(|error| error.reason);
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{text}");
    }
    let id = "0b54ae0c-53f8-4dd0-9a3c-6f0f1c0a2f4e";
    check(id, Ok(id));
    check(&id.to_uppercase(), Ok(id));
    check("", Err(ErrorReason::RequestIdRequired));
    check("00000000-0000-0000-0000-000000000000", Err(ErrorReason::FieldViolation));
    check(&id.replace('-', ""), Err(ErrorReason::FieldViolation));
    check("order-17", Err(ErrorReason::FieldViolation));
    assert_eq!(request_id("order-17", true).unwrap(), None, "a quote does not look at it");
}

#[test]
fn masks() {
    const KNOWN: &[&str] =
        &["quantity", "display_name", "renewal_policy", "renewal_policy.auto_renew"];
    fn check(paths: &[&str], updatable: &[&str], expected: Result<&[&str], usize>) {
        let mask = FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        let updatable: Vec<_> = updatable.iter().map(|path| (*path).to_owned()).collect();
        let found = masked(Some(&mask), &["quantity"], KNOWN, &updatable);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{paths:?}"),
            (Err(error), Err(count)) => assert_eq!(error.violations.len(), count, "{paths:?}"),
            (found, _) => panic!("{paths:?}: {found:?}"),
        }
    }
    check(&[], &["quantity"], Ok(&["quantity"]));
    check(&[], &["display_name"], Err(1));
    check(&["display_name", "display_name"], &["display_name"], Ok(&["display_name"]));
    check(&["renewal_policy.auto_renew"], &["renewal_policy"], Ok(&["renewal_policy.auto_renew"]));
    check(&["renewal_policy"], &["renewal_policy.auto_renew"], Err(1));
    check(
        &["renewal_policy.auto_renew", "renewal_policy"],
        &["renewal_policy"],
        Ok(&["renewal_policy"]),
    );
    check(&["quantity", "state", "no.such"], &["quantity"], Err(2));
    check(&["*"], &["quantity"], Err(1));
    check(&["renewal_policy.auto_renew", "renewal_policy.auto_renew"], &["renewal_policy"], {
        Ok(&["renewal_policy.auto_renew"])
    });
    let nothing = masked(None, &[], KNOWN, &[]).unwrap_err();
    assert_eq!(nothing.violations[0].field, "update_mask");
}

#[test]
fn mask_path_that_is_no_field_is_refused_with_its_reason() {
    const KNOWN: &[&str] = &["quantity", "renewal_policy", "renewal_policy.term"];
    fn check(path: &str, expected: &str) {
        let mask = FieldMask { paths: vec![path.to_owned()] };
        let error = masked(
            Some(&mask),
            &[],
            KNOWN,
            &KNOWN.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(),
        )
        .unwrap_err();
        let [violation] = error.violations.as_slice() else { panic!("{error:?}") };
        assert_eq!(violation.field, "update_mask");
        assert!(violation.description.contains(expected), "{path:?}: {}", violation.description);
    }
    check("", "an empty path names no field");
    check("*", "name the fields to change");
    check("quantity.value", "is below quantity, which is changed as a whole: name quantity");
    check("renewal_policy.term.period", "name renewal_policy.term");
    for unknown in ["state", "quantity.", "renewal_policy.forced", "renewalPolicy", " quantity"] {
        let reason = if unknown == "quantity." { "is below quantity" } else { "is no field" };
        check(unknown, reason);
    }
}
