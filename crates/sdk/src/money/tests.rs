//! Amounts: what a text means, that nothing of a caller's is ever rounded, and how a price is that an
//! upstream tells.

use std::cmp::Ordering;

use proptest::prelude::{ProptestConfig, any, proptest};

use serde_json::value::RawValue;

use super::{Decimal, Money, MoneyError, PRICE_NOT_UNDERSTOOD, ToldPrice};
use crate::v1::price::Tax;

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
fn numbers_in_every_spelling() {
    fn check(text: &str, expected: Result<&str, MoneyError>) {
        let found = Decimal::parse(text).map(|number| number.to_string());
        assert_eq!(found.as_deref().map_err(|error| *error), expected, "{text}");
    }
    check("0.0001369863", Ok("0.0001369863"));
    check("0.1000000000", Ok("0.1"));
    check("37.870000000000005", Ok("37.870000000000005"));
    check("1e1", Ok("10"));
    check("1e-05", Ok("0.00001"));
    check("0.1369863E-3", Ok("0.0001369863"));
    check("12.5e+2", Ok("1250"));
    check("-0.00000000001", Ok("-0.00000000001"));
    check("-1.5", Ok("-1.5"));
    check("-0", Ok("0"));
    check("0e999999999999999999999", Ok("0"));
    check(" +5. ", Ok("5"));
    check(".5", Ok("0.5"));
    check("1e-400", Ok(&format!("0.{}1", "0".repeat(399))));
    check("1e400", Err(MoneyError::Overflow));
    check("1e99999999999999999999", Err(MoneyError::Overflow));
    check("1e-99999999999999999999", Err(MoneyError::TooManyDecimals));
    check(&"9".repeat(40), Err(MoneyError::Overflow));
    for text in ["", "-", ".", "e5", "1e", "1e+", "NaN", "nan", "Infinity", "1,234.50", "1 000"] {
        check(text, Err(MoneyError::Syntax));
    }
    for text in ["1.2.3", "--1", "1e1.5", "1e1e1", "0x10", "١", "12 EUR", "null"] {
        check(text, Err(MoneyError::Syntax));
    }
}

#[test]
fn whole_numbers_in_every_spelling() {
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(Decimal::parse(text).unwrap().whole(), expected, "{text}");
    }
    check("10.0000000000", Some(10));
    check("1e1", Some(10));
    check("-3", Some(-3));
    check("0.5", None);
    check("1.0000000000001", None);
    check("-0.0000000000001", None);
    check("9223372036854775808", None);
}

#[test]
fn nine_decimals_nearest_and_up() {
    fn check(text: &str, nearest: &str, ceiling: &str) {
        let number = Decimal::parse(text).unwrap();
        assert_eq!(number.nearest("").unwrap().to_string(), nearest, "{text}");
        assert_eq!(number.ceiling("").unwrap().to_string(), ceiling, "{text}");
    }
    check("1.5", "1.5", "1.5");
    check("0.0001369863", "0.000136986", "0.000136987");
    check("0.0000000005", "0", "0.000000001");
    check("0.0000000015", "0.000000002", "0.000000002");
    check("0.00000000150001", "0.000000002", "0.000000002");
    check("0.0000000025", "0.000000002", "0.000000003");
    check("10.0000000001", "10", "10.000000001");
    check("9.9999999999", "10", "10");
    check("-0.0000000015", "-0.000000002", "-0.000000001");
    check("-10.0000000001", "-10", "-10");
    let most = Decimal::parse("9223372036854775807.9999999999").unwrap();
    assert_eq!(most.nearest(""), Err(MoneyError::Overflow));
    assert_eq!(most.ceiling(""), Err(MoneyError::Overflow));
}

fn told(digits: &str) -> ToldPrice {
    ToldPrice::new("rows[0].price", digits, "EUR")
}

#[test]
fn a_sum_keeps_every_digit() {
    fn check(prices: &[&str], quantity: i64, expected: &str) {
        let prices: Vec<_> = prices.iter().map(|digits| told(digits).times(quantity)).collect();
        let sum = ToldPrice::sum(&prices).unwrap().price(Tax::Included);
        let amount = sum.amount.map(|amount| amount.to_decimal().unwrap()).unwrap_or_default();
        let ceiling = sum.ceiling.map(|amount| amount.to_decimal().unwrap()).unwrap_or_default();
        assert_eq!(format!("{amount}|{ceiling}|{}", sum.display_text), expected, "{prices:?}");
    }
    check(&["0.00000000025"], 4, "0.000000001||");
    check(&["0.0000000004", "0.0000000004"], 1, "0.000000001|0.000000001|0.0000000008");
    check(&["1.0000000001", "-0.0000000001"], 1, "1||");
    check(&["0.1", "0.2"], 3, "0.9||");
    check(&["0.0001369863"], 730, "0.099999999||");
    check(&["0.0001369863"], 7, "0.000958904|0.000958905|0.0009589041");
    check(&["9223372036854775807", "1"], 1, "||9223372036854775808");
    check(&["1", "n/a", "2"], 2, "||n/a");
    check(&["1", "1e400"], 1, "||1e400");
    assert_eq!(ToldPrice::sum([]), None);
    let dollars = ToldPrice::new("rows[1].price", "2", "USD");
    let mixed = told("1").plus(&dollars);
    assert_eq!(mixed.price(Tax::Included).amount, None);
    assert!(mixed.notice().unwrap().message.contains("1 EUR + 2 USD"), "{mixed:?}");
    let most = told(&format!("9{}", "0".repeat(20))).times(i64::MAX);
    assert_eq!(most.price(Tax::Included).amount, None);
    assert!(most.notice().unwrap().message.contains("out of range"), "{most:?}");
}

#[test]
fn a_price_that_is_no_amount_is_shown_and_told() {
    fn check(digits: &str, display_text: &str) {
        let price = told(digits).price(Tax::Included);
        assert_eq!((price.amount, price.ceiling), (None, None), "{digits}");
        assert_eq!(price.display_text, display_text, "{digits}");
        assert_eq!((price.tax, price.upstream_currency.as_str()), (Tax::Included.into(), "EUR"));
        let notice = told(digits).notice().unwrap();
        assert_eq!(
            (notice.reason.as_str(), notice.source.as_str()),
            (PRICE_NOT_UNDERSTOOD, "rows[0].price")
        );
        assert!(notice.message.contains(&format!("{display_text:?}")), "{}", notice.message);
        let refused = told(digits).is(&euros(1, 0), None).unwrap_err();
        assert_eq!(refused.reason, crate::v1::ErrorReason::PriceUnknown);
        assert_eq!(refused.metadata["path"], "rows[0].price");
        assert_eq!(refused.metadata["digits"], display_text);
    }
    for digits in ["n/a", "", "NaN", "1,234.50", "1e400"] {
        check(digits, digits);
    }
    let huge = "9".repeat(40);
    check(&huge, &huge);
    check(&"9".repeat(300), &format!("{}…", "9".repeat(256)));
    let beyond = told("9223372036854775808");
    assert_eq!(beyond.price(Tax::Included).display_text, "9223372036854775808");
    assert!(beyond.notice().is_some());
    assert!(!beyond.is(&euros(1, 0), None).unwrap());
}

#[test]
fn a_price_is_shown_with_what_is_known_of_it() {
    fn check(price: &ToldPrice, amount: &str, ceiling: Option<&str>, display_text: &str) {
        assert_eq!(price.notice(), None, "{price:?}");
        let found = price.price(Tax::Excluded);
        assert_eq!(found.amount.unwrap().to_string(), amount);
        assert_eq!(found.ceiling.map(|amount| amount.to_string()).as_deref(), ceiling);
        assert_eq!(found.display_text, display_text);
    }
    check(&told("0.1000000000"), "0.1 EUR", None, "");
    check(&told("1e1").with_text("10 €"), "10 EUR", None, "10 €");
    check(&told("-2.50"), "-2.5 EUR", None, "");
    let noisy = told("37.870000000000005").with_text("37.87 €");
    check(&noisy, "37.87 EUR", Some("37.870000001 EUR"), "37.870000000000005");
    for (word, code) in [(" INR", " INR"), ("points", ""), ("N/A", ""), ("", ""), ("eur", "")] {
        let price = ToldPrice::new("p", "3", word);
        assert_eq!(price.currency_code(), code.trim(), "{word}");
        assert_eq!(price.price(Tax::Excluded).upstream_currency, word);
    }
    let near = told("2.0000000001");
    assert!(told("2.0").is(&euros(2, 0), None).unwrap());
    assert!(!near.is(&euros(2, 0), None).unwrap());
    assert!(near.is(&euros(2, 0), Some(&euros(2, 1))).unwrap());
    assert!(!near.is(&euros(2, 0), Some(&euros(2, 2))).unwrap());
    assert!(!told("2.0").is(&euros(2, 0), Some(&euros(2, 0))).unwrap());
    assert_eq!(told("2.50").to_string(), "2.5 EUR");
    assert_eq!(told("n/a").to_string(), "n/a EUR");
}

#[test]
fn a_json_price_is_a_number_or_a_string_and_anything_else_hides_nothing() {
    fn check(json: &str, amount: Option<&str>, display_text: &str) {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let price = ToldPrice::of_json("p", Some(&raw), "").price(Tax::Excluded);
        let found = price.amount.map(|amount| amount.to_string());
        assert_eq!(found.as_deref(), amount, "{json}");
        assert_eq!(price.display_text, display_text, "{json}");
    }
    check("1e1", Some("10"), "");
    check("\"1e1\"", Some("10"), "");
    check("0.1000000000000000055", Some("0.1"), "0.1000000000000000055");
    check("1e400", None, "1e400");
    check("null", None, "");
    check("true", None, "true");
    check("[1]", None, "[1]");
    check("\"n/a\"", None, "n/a");
    assert!(ToldPrice::of_json("p", None, "").notice().is_some());
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
    fn no_text_panics(text in any::<String>(), number in "[-+]?[0-9.]{1,30}([eE][-+]?[0-9]{1,9})?") {
        let _ = Money::parse("EUR", &text);
        for text in [text, number] {
            let price = told(&text);
            let shown = price.times(7).plus(&price).price(Tax::Included);
            proptest::prop_assert_eq!(shown.amount.is_none(), price.times(8).notice().is_some());
        }
    }

    #[test]
    fn digits_reckon_as_whole_numbers_do(
        (left, right) in (any::<i64>(), any::<i64>()), scale in 0..18_u32, times in -10..10_i64
    ) {
        // What both are is so many of the last decimal.
        let decimal = |number: i128| Decimal::parse(&format!("{number}e-{scale}")).unwrap();
        let (left, right) = (i128::from(left), i128::from(right));
        let (one, other) = (decimal(left), decimal(right));
        proptest::prop_assert_eq!(one.checked_add(&other), Ok(decimal(left + right)));
        proptest::prop_assert_eq!(one.checked_mul(times), Ok(decimal(left * i128::from(times))));
        proptest::prop_assert_eq!(one.cmp(&other), left.cmp(&right));
        proptest::prop_assert_eq!(Decimal::parse(&one.to_string()), Ok(one));
    }
}
