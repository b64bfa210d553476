//! Amounts between decimal text and [`Money`], never through a float. What a caller or a configuration
//! writes is taken in one spelling and never rounded; what an upstream tells is a [`ToldPrice`].

mod decimal;
mod told;

use std::cmp::Ordering;
use std::error::Error as StdError;
use std::fmt;

pub use self::decimal::Decimal;
pub use self::told::{PRICE_DIGITS, PRICE_NOT_UNDERSTOOD, PRICE_PATH, ToldPrice};
use crate::v1::{Money, Price, price::Tax};

/// The billionths of one unit.
const NANOS: i128 = 1_000_000_000;

/// The most decimals that [`Money::nanos`] can hold.
const MAX_DECIMALS: usize = 9;

/// Why a text is no amount, or amounts cannot be reckoned with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyError {
    /// Not `-?[0-9]+(\.[0-9]+)?`.
    Syntax,
    /// Written with an exponent.
    Exponent,
    /// More than nine decimals.
    TooManyDecimals,
    /// More units than 64 bits hold.
    Overflow,
    /// Units and nanos contradict each other, or nanos reach a whole unit.
    Inconsistent,
    /// The currencies differ.
    Currency,
    /// Nothing is told.
    Missing,
    /// Longer than any amount.
    TooLong,
}

impl Money {
    /// The amount that `text` says: `45.44`, `-0.5`, `1337`.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Syntax`], [`MoneyError::Exponent`], [`MoneyError::TooManyDecimals`],
    /// [`MoneyError::Overflow`].
    pub fn parse(currency_code: impl Into<String>, text: &str) -> Result<Self, MoneyError> {
        Self::from_nanos(currency_code.into(), nanos_of(text)?)
    }

    /// The amount as decimal text with as few digits as it takes: `45.44`.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Inconsistent`] for an amount that somebody else put together wrongly.
    pub fn to_decimal(&self) -> Result<String, MoneyError> {
        let nanos = self.total()?;
        let sign = if nanos < 0 { "-" } else { "" };
        let (units, rest) = (nanos.abs() / NANOS, nanos.abs() % NANOS);
        let decimals = format!("{rest:09}");
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        Ok(format!("{sign}{units}{point}{decimals}"))
    }

    /// How two amounts of one currency compare.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Currency`], also where only one has a currency; [`MoneyError::Inconsistent`].
    pub fn compare(&self, other: &Self) -> Result<Ordering, MoneyError> {
        self.same_currency(other)?;
        Ok(self.total()?.cmp(&other.total()?))
    }

    /// The sum of two amounts of one currency.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Currency`], [`MoneyError::Overflow`], [`MoneyError::Inconsistent`].
    pub fn checked_add(&self, other: &Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        Self::from_nanos(self.currency_code.clone(), self.total()? + other.total()?)
    }

    /// The amount of so many of it.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`], [`MoneyError::Inconsistent`].
    pub fn checked_mul(&self, quantity: i64) -> Result<Self, MoneyError> {
        let product = self.total()?.checked_mul(i128::from(quantity));
        Self::from_nanos(self.currency_code.clone(), product.ok_or(MoneyError::Overflow)?)
    }

    /// Whether it costs nothing.
    pub fn is_zero(&self) -> bool {
        self.units == 0 && self.nanos == 0
    }

    /// Checks an amount that somebody else put together.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Inconsistent`].
    pub fn check(&self) -> Result<(), MoneyError> {
        self.total().map(|_| ())
    }

    fn same_currency(&self, other: &Self) -> Result<(), MoneyError> {
        let same = self.currency_code == other.currency_code;
        if same { Ok(()) } else { Err(MoneyError::Currency) }
    }

    fn total(&self) -> Result<i128, MoneyError> {
        let contradiction =
            (self.units > 0 && self.nanos < 0) || (self.units < 0 && self.nanos > 0);
        if contradiction || i128::from(self.nanos).abs() >= NANOS {
            return Err(MoneyError::Inconsistent);
        }
        Ok(i128::from(self.units) * NANOS + i128::from(self.nanos))
    }

    fn from_nanos(currency_code: String, nanos: i128) -> Result<Self, MoneyError> {
        let units = i64::try_from(nanos / NANOS).map_err(|_| MoneyError::Overflow)?;
        let nanos = i32::try_from(nanos % NANOS).map_err(|_| MoneyError::Overflow)?;
        Ok(Self { currency_code, units, nanos })
    }
}

/// The amount first, then the currency where it is known; an inconsistent amount as its parts.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_decimal() {
            Ok(decimal) => f.write_str(&decimal)?,
            Err(_) => write!(f, "{} units {} nanos", self.units, self.nanos)?,
        }
        if self.currency_code.is_empty() { Ok(()) } else { write!(f, " {}", self.currency_code) }
    }
}

impl Price {
    /// A price of which nothing more is known than amount and tax.
    pub fn of(amount: Money, tax: Tax) -> Self {
        Self { amount: Some(amount), tax: tax.into(), ..Self::default() }
    }
}

fn nanos_of(text: &str) -> Result<i128, MoneyError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.contains(['e', 'E']) {
        return Err(MoneyError::Exponent);
    }
    let (units, decimals) = match digits.split_once('.') {
        Some((units, decimals)) if !decimals.is_empty() => (units, decimals),
        Some(_) => return Err(MoneyError::Syntax),
        None => (digits, ""),
    };
    let only_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if units.is_empty() || !only_digits(units) || !only_digits(decimals) {
        return Err(MoneyError::Syntax);
    }
    if decimals.len() > MAX_DECIMALS {
        return Err(MoneyError::TooManyDecimals);
    }
    let units: i64 = units.parse().map_err(|_| MoneyError::Overflow)?;
    let decimals: i64 = format!("{decimals:0<9}").parse().map_err(|_| MoneyError::Syntax)?;
    let nanos = i128::from(units) * NANOS + i128::from(decimals);
    Ok(if text.starts_with('-') { -nanos } else { nanos })
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "the amount is not a decimal number",
            Self::Exponent => "the amount is written with an exponent",
            Self::TooManyDecimals => "the amount has more than nine decimals",
            Self::Overflow => "the amount is out of range",
            Self::Inconsistent => "units and nanos of the amount contradict each other",
            Self::Currency => "the amounts are in different currencies",
            Self::Missing => "there is no amount",
            Self::TooLong => "the text is longer than any amount",
        })
    }
}

impl StdError for MoneyError {}

#[cfg(test)]
mod tests;
