//! Decimals as the upstream's database keeps and writes them: `"2.5"`, `"1.0"`. They never become a
//! float.

use std::fmt;

use serde_json::Value;

/// A decimal in one spelling: no needless zero, and at least one digit behind the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal(String);

impl Decimal {
    /// Reads a number or text with one; `None` for anything else.
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text.trim()),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) =
            text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(whole) || !plain(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let whole = if whole.is_empty() { "0" } else { whole };
        let fraction = if fraction.is_empty() { "0" } else { fraction };
        let nothing = whole == "0" && fraction == "0";
        let sign = if negative && !nothing { "-" } else { "" };
        Some(Self(format!("{sign}{whole}.{fraction}")))
    }

    pub(super) fn is_negative(&self) -> bool {
        self.0.starts_with('-')
    }

    pub(super) fn is_positive(&self) -> bool {
        !self.is_negative() && self.0 != "0.0"
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn one_spelling() {
        fn check(text: &str, expected: Option<&str>) {
            let read = Decimal::parse(text).map(|decimal| decimal.to_string());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
        check("1", Some("1.0"));
        check("2.50", Some("2.5"));
        check("007.0", Some("7.0"));
        check("-0.0", Some("0.0"));
        check("-0.25", Some("-0.25"));
        check("0.00535", Some("0.00535"));
        for wrong in ["", ".5", "1.", "1e3", "a", "+1", "--1"] {
            check(wrong, None);
        }
        assert!(Decimal::parse("0.1").unwrap().is_positive());
        assert!(!Decimal::parse("0").unwrap().is_positive());
    }
}
