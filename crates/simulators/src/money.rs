//! Amounts of money as whole cents. Floating point must not enter here: a simulator that rounds
//! where the upstream does not would hide the gateway's own mistakes.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount in hundredths of the currency's unit. Written and read as text: `1337.42`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cents(i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of so many hundredths.
    #[must_use]
    pub const fn new(hundredths: i64) -> Self {
        Self(hundredths)
    }

    /// The number of hundredths.
    #[must_use]
    pub const fn hundredths(self) -> i64 {
        self.0
    }

    /// This amount so many times, or nothing when that is beyond what can be held.
    #[must_use]
    pub fn times(self, quantity: i64) -> Option<Self> {
        self.0.checked_mul(quantity).map(Self)
    }

    /// The share `part` / `whole` of this amount, rounded half away from zero to whole cents.
    /// A `whole` that is not positive has no shares: the answer is nothing.
    #[must_use]
    pub fn share(self, part: i64, whole: i64) -> Self {
        if whole <= 0 {
            return Self::ZERO;
        }
        let (whole, product) = (i128::from(whole), i128::from(self.0) * i128::from(part));
        let rounded = (2 * product.abs() + whole) / (2 * whole) * product.signum();
        // The quotient can leave i64 only when part is larger than whole; then it is capped.
        Self(i64::try_from(rounded).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let hundredths = self.0.unsigned_abs();
        write!(out, "{sign}{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

impl FromStr for Cents {
    type Err = String;

    /// Reads `12`, `12.3`, `12.34` and the same with a minus sign.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an amount with at most two decimals");
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (units, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(units) || !plain(fraction) || fraction.len() > 2 {
            return Err(wrong());
        }
        let units: i64 = units.parse().map_err(|_| wrong())?;
        let hundredths: i64 = format!("{fraction:0<2}").parse().map_err(|_| wrong())?;
        let total = units.checked_mul(100).and_then(|n| n.checked_add(hundredths));
        let total = total.ok_or_else(wrong)?;
        Ok(Self(if negative { -total } else { total }))
    }
}

impl From<Cents> for String {
    fn from(amount: Cents) -> Self {
        amount.to_string()
    }
}

impl TryFrom<String> for Cents {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Add for Cents {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Cents {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Cents {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Cents {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Cents {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

#[cfg(test)]
mod tests {
    use super::Cents;

    #[test]
    fn text() {
        let check = |text: &str, expected: Option<&str>| {
            let read = text.parse::<Cents>().ok().map(|amount| amount.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        };
        check("1337.42", Some("1337.42"));
        check("12", Some("12.00"));
        check("12.3", Some("12.30"));
        check("0.05", Some("0.05"));
        check("-0.05", Some("-0.05"));
        check("1.234", None);
        check("", None);
        check(".5", None);
        check("1.", None);
        check("1e3", None);
        check("+1", None);
        check("92233720368547758.08", None);
    }

    #[test]
    fn share() {
        let check = |amount: i64, part: i64, whole: i64, expected: i64| {
            assert_eq!(Cents::new(amount).share(part, whole).hundredths(), expected);
        };
        check(100, 1, 3, 33);
        check(100, 2, 3, 67);
        check(1, 1, 2, 1);
        check(-1, 1, 2, -1);
        check(100, 3, 2, 150);
        check(100, 0, 3, 0);
        check(100, 1, 0, 0);
    }
}
