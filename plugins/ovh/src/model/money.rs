//! Amounts: the digits as they came, the currency where it is one, the text for people as it is.

use std::collections::BTreeMap;

use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::serde::{Deserialize, Deserializer};
use purveyor_sdk::serde_json::{self, value::RawValue};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{Notice, Price};

/// An amount of the upstream. The guide's examples lack text and currency in places. Reading one never
/// fails: what is no amount hides nothing beside it.
#[derive(Debug, Clone)]
pub(crate) struct Amount(Box<RawValue>);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

impl Amount {
    /// The price that it is; `at` says where it stands.
    fn told(&self, at: &str) -> ToldPrice {
        let raw = self.0.get();
        let Ok(members) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(raw) else {
            return ToldPrice::none(at, raw, "");
        };
        let text = |name: &str| -> Option<String> {
            let raw = members.get(name)?.get();
            serde_json::from_str(raw).unwrap_or_else(|_| Some(raw.to_owned()))
        };
        let (value, currency) = (members.get("value").map(AsRef::as_ref), text("currencyCode"));
        let told = ToldPrice::of_json(format!("{at}.value"), value, &currency.unwrap_or_default());
        told.with_text(text("text").unwrap_or_default())
    }
}

/// An amount, where one is told, as it is shown.
pub(crate) fn price(amount: Option<&Amount>, at: &str, tax: Tax) -> Option<Price> {
    amount.map(|amount| amount.told(at).price(tax))
}

/// What a reader should know of amounts that are none.
pub(crate) fn notices(amounts: &[(Option<&Amount>, &str)]) -> Vec<Notice> {
    let told = amounts.iter().filter_map(|(amount, at)| amount.map(|amount| amount.told(at)));
    told.filter_map(|told| told.notice()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Amount, Tax, notices, price};
    use purveyor_sdk::serde_json;

    /// `amount currency|ceiling|text for people|the upstream's currency`, and the notice's place.
    fn check(json: &str, expected: &str, notice: Option<&str>) {
        let amount = serde_json::from_str::<Amount>(json).unwrap();
        let shown = price(Some(&amount), "price", Tax::Included).unwrap();
        let money = |it: Option<purveyor_sdk::v1::Money>| it.map(|it| it.to_string());
        let found = format!(
            "{}|{}|{}|{}",
            money(shown.amount).unwrap_or_default(),
            money(shown.ceiling.map(|it| *it)).unwrap_or_default(),
            shown.display_text,
            shown.upstream_currency
        );
        assert_eq!(found, expected, "{json}");
        let told = notices(&[(Some(&amount), "price"), (None, "tax")]);
        let places: Vec<_> = told.iter().map(|notice| notice.source.as_str()).collect();
        assert_eq!(places, Vec::from_iter(notice), "{json}");
    }

    #[test]
    fn amounts() {
        check(r#"{"value":1.99}"#, "1.99|||", None);
        let text = r#"{"value":45.44,"text":"45.44 €","currencyCode":"CAD"}"#;
        check(text, "45.44 CAD||45.44 €|CAD", None);
        check(r#"{"value":0,"currencyCode":" INR"}"#, "0 INR||| INR", None);
        check(r#"{"value":12,"currencyCode":"points"}"#, "12|||points", None);
        check(r#"{"value":12.5,"currencyCode":"N/A"}"#, "12.5|||N/A", None);
        check(r#"{"value":0.1,"currencyCode":null}"#, "0.1|||", None);
        check(r#"{"value":"0.1000000000"}"#, "0.1|||", None);
        check(r#"{"value":1e1}"#, "10|||", None);
        check(r#"{"value":1e-05}"#, "0.00001|||", None);
        check(r#"{"value":-2.5}"#, "-2.5|||", None);
        let noisy = r#"{"value":37.870000000000005,"text":"37.87 €","currencyCode":"EUR"}"#;
        check(noisy, "37.87 EUR|37.870000001 EUR|37.870000000000005|EUR", None);
    }

    #[test]
    fn what_is_no_amount_is_shown_and_told() {
        check(r#"{"value":"n/a","currencyCode":"EUR"}"#, "||n/a|EUR", Some("price.value"));
        check(r#"{"value":1e400}"#, "||1e400|", Some("price.value"));
        check(r#"{"value":"1,234.50","text":"x"}"#, "||1,234.50|", Some("price.value"));
        check(r#"{"value":null}"#, "|||", Some("price.value"));
        check(r#"{"text":"1 €"}"#, "||1 €|", Some("price.value"));
        check(
            r#"{"value":{"value":1},"currencyCode":7}"#,
            "||{\"value\":1}|7",
            Some("price.value"),
        );
        check("12", "||12|", Some("price"));
        check("[]", "||[]|", Some("price"));
    }
}
