//! Amounts: the digits as they came, the currency where it is one, the text for people as it is.

use purveyor_sdk::money::DecimalText;
use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{Money, Price};
use purveyor_sdk::{Error, Result};

/// An amount of the upstream. The guide's examples lack text and currency in places.
#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
pub(crate) struct Amount {
    value: DecimalText,
    text: Option<String>,
    currency_code: Option<String>,
}

/// The price that an amount is.
///
/// # Errors
///
/// UPSTREAM_UNAVAILABLE for digits that are no amount.
pub(crate) fn price(amount: &Amount, tax: Tax) -> Result<Price> {
    let upstream_currency = amount.currency_code.clone().unwrap_or_default();
    let money = Money::parse(iso(&upstream_currency), amount.value.as_str()).map_err(|error| {
        Error::unavailable("the upstream's amount cannot be understood").with_source(error)
    })?;
    Ok(Price {
        display_text: amount.text.clone().unwrap_or_default(),
        upstream_currency,
        ..Price::of(money, tax)
    })
}

/// The ISO 4217 code in the upstream's word, which may have a space before it; empty for `points` and
/// `N/A`.
fn iso(word: &str) -> &str {
    let word = word.trim();
    let is_code = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code { word } else { "" }
}

#[cfg(test)]
mod tests {
    use super::{Amount, Tax, price};
    use purveyor_sdk::serde_json;

    #[test]
    fn amounts() {
        fn check(json: &str, expected: Option<(&str, &str, &str)>) {
            let amount = serde_json::from_str::<Amount>(json).ok();
            let read = amount.and_then(|amount| price(&amount, Tax::Included).ok());
            let read = read.map(|price| {
                let money = price.amount.unwrap();
                let decimal = money.to_decimal().unwrap();
                (decimal, money.currency_code, price.upstream_currency)
            });
            let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
            assert_eq!(read, expected, "{json}");
        }
        check(r#"{"value":1.99}"#, Some(("1.99", "", "")));
        check(
            r#"{"value":45.44,"text":"45.44 €","currencyCode":"CAD"}"#,
            Some(("45.44", "CAD", "CAD")),
        );
        check(r#"{"value":0,"currencyCode":" INR"}"#, Some(("0", "INR", " INR")));
        check(r#"{"value":12,"currencyCode":"points"}"#, Some(("12", "", "points")));
        check(r#"{"value":12.5,"currencyCode":"N/A"}"#, Some(("12.5", "", "N/A")));
        check(r#"{"value":0.1,"currencyCode":null}"#, Some(("0.1", "", "")));
        check(r#"{"value":1e2}"#, None);
        check(r#"{"value":null}"#, None);
        check(r#"{"text":"1 €"}"#, None);
    }
}
