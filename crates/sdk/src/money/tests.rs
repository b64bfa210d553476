//! Amounts: what a text means, and that nothing is ever rounded.

use std::cmp::Ordering;

use proptest::prelude::{ProptestConfig, any, proptest};
use serde::Deserialize;

use super::{DecimalText, Money, MoneyError};

fn euros(units: i64, nanos: i32) -> Money {
    Money { currency_code: "EUR".to_owned(), units, nanos }
}

#[test]
fn decimal_text() {
    fn check(text: &str, expected: Result<(i64, i32), MoneyError>) {
        let found = Money::parse("EUR", text).map(|money| (money.units, money.nanos));
        assert_eq!(found, expected, "{text}");
    }
    check("45.44", Ok((45, 440_000_000)));
    check("1337.42", Ok((1337, 420_000_000)));
    check("-0.5", Ok((0, -500_000_000)));
    check("-1.5", Ok((-1, -500_000_000)));
    check("0", Ok((0, 0)));
    check("-0", Ok((0, 0)));
    check("007.10", Ok((7, 100_000_000)));
    check("0.000000001", Ok((0, 1)));
    check("0.100000000", Ok((0, 100_000_000)));
    check("9223372036854775807.999999999", Ok((i64::MAX, 999_999_999)));
    check("9223372036854775808", Err(MoneyError::Overflow));
    check("0.1000000000", Err(MoneyError::TooManyDecimals));
    check("1e3", Err(MoneyError::Exponent));
    check("1.5E-3", Err(MoneyError::Exponent));
    for text in
        ["", "-", ".", "1.", ".5", "+1", "1,5", "1 000", " 1", "--1", "1.2.3", "1.-5", "NaN", "١"]
    {
        check(text, Err(MoneyError::Syntax));
    }
}

#[test]
fn text_of_an_amount() {
    fn check(money: &Money, expected: &str) {
        assert_eq!(money.to_string(), expected);
    }
    check(&euros(45, 440_000_000), "45.44 EUR");
    check(&euros(0, -500_000_000), "-0.5 EUR");
    check(&Money { units: 3, ..Money::default() }, "3");
    check(&euros(1, -1), "1 units -1 nanos EUR");
}

#[test]
fn comparing() {
    fn check(left: &Money, right: &Money, expected: Result<Ordering, MoneyError>) {
        assert_eq!(left.compare(right), expected, "{left} {right}");
    }
    let dollars = Money { currency_code: "USD".to_owned(), ..euros(1, 0) };
    let nameless = Money { currency_code: String::new(), ..euros(1, 0) };
    check(&euros(1, 1), &euros(1, 0), Ok(Ordering::Greater));
    check(&euros(-1, -1), &euros(-1, 0), Ok(Ordering::Less));
    check(&euros(0, -1), &euros(0, 1), Ok(Ordering::Less));
    check(&euros(1, 0), &dollars, Err(MoneyError::Currency));
    check(&euros(1, 0), &nameless, Err(MoneyError::Currency));
    check(&nameless, &nameless, Ok(Ordering::Equal));
    check(&euros(1, -1), &euros(1, 0), Err(MoneyError::Inconsistent));
    check(&euros(0, 1_000_000_000), &euros(1, 0), Err(MoneyError::Inconsistent));
}

#[test]
fn reckoning() {
    assert_eq!(euros(45, 440_000_000).checked_mul(12), Ok(euros(545, 280_000_000)));
    assert_eq!(euros(0, 1).checked_mul(-1), Ok(euros(0, -1)));
    assert_eq!(euros(i64::MAX, 0).checked_mul(2), Err(MoneyError::Overflow));
    assert_eq!(euros(i64::MAX, 0).checked_mul(i64::MAX), Err(MoneyError::Overflow));
    assert_eq!(euros(1, 600_000_000).checked_add(&euros(2, 400_000_000)), Ok(euros(4, 0)));
    assert_eq!(euros(1, 0).checked_add(&euros(-1, -1)), Ok(euros(0, -1)));
    assert_eq!(euros(i64::MAX, 0).checked_add(&euros(1, 0)), Err(MoneyError::Overflow));
}

#[test]
fn a_json_number_keeps_its_digits() {
    #[derive(Deserialize)]
    struct Answer {
        price: DecimalText,
    }
    fn check(json: &str, expected: Option<&str>) {
        let found = serde_json::from_str::<Answer>(json).ok();
        assert_eq!(found.as_ref().map(|answer| answer.price.as_str()), expected, "{json}");
    }
    check(r#"{"price": 45.440}"#, Some("45.440"));
    check(
        r#"{"price": 0.1000000000000000055511151231257827}"#,
        Some("0.1000000000000000055511151231257827"),
    );
    check(r#"{"price": "12.5"}"#, Some("12.5"));
    check(r#"{"price": -1}"#, Some("-1"));
    check(r#"{"price": null}"#, None);
    check(r#"{"price": true}"#, None);
    check(r#"{"price": [1]}"#, None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_and_amount_are_one_to_one(units in any::<i64>(), nanos in 0..1_000_000_000_i32) {
        let money = euros(units, if units < 0 { -nanos } else { nanos });
        let text = money.to_decimal().unwrap();
        proptest::prop_assert_eq!(Money::parse("EUR", &text), Ok(money));
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Money::parse("EUR", &text);
    }
}
