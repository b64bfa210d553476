//! A price as the upstream told it. Reading one never fails: what is no amount stays the text that it
//! is, hides nothing beside it, and is refused where something depends on it.

use serde_json::value::RawValue;

use super::{Decimal, MoneyError};
use crate::Error;
use crate::v1::price::Tax;
use crate::v1::{ErrorReason, Money, Notice, Price};

/// The word of a notice about a price that is no amount.
pub const PRICE_NOT_UNDERSTOOD: &str = "PRICE_NOT_UNDERSTOOD";

/// The key of [`Error::metadata`] that says where a price stands upstream.
pub const PRICE_PATH: &str = "path";

/// The key of [`Error::metadata`] that holds the digits of a price as the upstream told them.
pub const PRICE_DIGITS: &str = "digits";

/// The longest text that is read as a number, and shown.
const MAX_DIGITS: usize = 256;

/// A price as the upstream told it: digits, currency, and the place where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldPrice {
    path: String,
    digits: String,
    amount: Result<Decimal, MoneyError>,
    upstream_currency: String,
    text: String,
}

impl ToldPrice {
    /// The price that these digits say. `path` says where they stand in the upstream's answer, for a
    /// person who looks there: `billing_phases[6].prices[8].price`.
    pub fn new(path: impl Into<String>, digits: &str, upstream_currency: &str) -> Self {
        let amount = match digits.len() {
            0 => Err(MoneyError::Missing),
            1..=MAX_DIGITS => Decimal::parse(digits),
            _ => Err(MoneyError::TooLong),
        };
        Self {
            path: path.into(),
            digits: shortened(digits),
            amount,
            upstream_currency: upstream_currency.to_owned(),
            text: String::new(),
        }
    }

    /// What stands where a price, or what it is for, should stand, and is neither.
    pub fn none(path: impl Into<String>, text: &str, upstream_currency: &str) -> Self {
        let amount = Err(MoneyError::Syntax);
        Self { amount, ..Self::new(path, text, upstream_currency) }
    }

    /// The price that a member of a JSON document says: a number by its digits, a string by its text.
    /// Anything else is no amount.
    pub fn of_json(
        path: impl Into<String>,
        member: Option<&RawValue>,
        upstream_currency: &str,
    ) -> Self {
        let raw = member.map_or("null", RawValue::get);
        match serde_json::from_str::<Option<String>>(raw) {
            Ok(text) => Self::new(path, text.as_deref().unwrap_or_default(), upstream_currency),
            Err(_) => Self::new(path, raw, upstream_currency),
        }
    }

    /// The same price with the upstream's text for people.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..self }
    }

    /// The ISO 4217 code in the upstream's word, which may have a space before it; empty for any other
    /// word.
    pub fn currency_code(&self) -> &str {
        let word = self.upstream_currency.trim();
        let is_code = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_code { word } else { "" }
    }

    /// The price of so many. One that is no amount stays what it is.
    #[must_use]
    pub fn times(&self, quantity: i64) -> Self {
        let Ok(amount) = &self.amount else { return self.clone() };
        let digits = format!("{quantity} x {}", self.digits);
        self.reckoned(amount.checked_mul(quantity), digits, self.upstream_currency.clone())
    }

    /// The sum of two prices. It is no amount where one of them is none, or their currencies differ.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let (Ok(left), Ok(right)) = (&self.amount, &other.amount) else {
            return if self.amount.is_err() { self.clone() } else { other.clone() };
        };
        let same = self.currency_code() == other.currency_code();
        let sum = if same { left.checked_add(right) } else { Err(MoneyError::Currency) };
        let digits = format!(
            "{} {} + {} {}",
            self.digits, self.upstream_currency, other.digits, other.upstream_currency
        );
        let currency = if same { self.upstream_currency.clone() } else { String::new() };
        self.reckoned(sum, digits, currency)
    }

    /// The sum of several prices; `None` where there are none.
    pub fn sum<'a>(prices: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut prices = prices.into_iter();
        let first = prices.next()?.clone();
        Some(prices.fold(first, |sum, price| sum.plus(price)))
    }

    /// What was reckoned has its own digits; what could not be reckoned shows of what.
    fn reckoned(
        &self,
        amount: Result<Decimal, MoneyError>,
        tried: String,
        upstream_currency: String,
    ) -> Self {
        let digits = amount.as_ref().map_or(tried, Decimal::to_string);
        let path = self.path.clone();
        Self { path, digits: shortened(&digits), amount, upstream_currency, text: String::new() }
    }

    /// The price as it is shown. Its amount is the nearest of nine decimals, and the digits stand beside
    /// it where that is another number; what is no amount has its digits alone, or where there are none
    /// the text for people.
    pub fn price(&self, tax: Tax) -> Price {
        let upstream_currency = self.upstream_currency.clone();
        let shown = |display_text: &str| Price {
            tax: tax.into(),
            display_text: display_text.to_owned(),
            upstream_currency: upstream_currency.clone(),
            ..Price::default()
        };
        match self.rounded() {
            Ok((nearest, None)) => Price { amount: Some(nearest), ..shown(&self.text) },
            Ok((nearest, ceiling)) => Price {
                amount: Some(nearest),
                ceiling: ceiling.map(Box::new),
                ..shown(&self.digits)
            },
            Err(_) if self.digits.is_empty() => shown(&self.text),
            Err(_) => shown(&self.digits),
        }
    }

    /// What a reader should know of a price that is no amount.
    pub fn notice(&self) -> Option<Notice> {
        let error = self.rounded().err()?;
        Some(Notice {
            reason: PRICE_NOT_UNDERSTOOD.to_owned(),
            message: self.describe(error),
            source: self.path.clone(),
        })
    }

    /// Whether two prices are one, in whatever spelling.
    pub fn same(&self, other: &Self) -> bool {
        let told = match (&self.amount, &other.amount) {
            (Ok(one), Ok(other)) => one == other,
            _ => self.digits == other.digits,
        };
        told && self.upstream_currency == other.upstream_currency
    }

    /// Whether it is less than another price; `None` where one of them is no amount, or in another
    /// currency.
    pub fn is_less(&self, other: &Self) -> Option<bool> {
        let same = self.currency_code() == other.currency_code();
        let amounts = self.amount.as_ref().ok().zip(other.amount.as_ref().ok());
        amounts.filter(|_| same).map(|(one, other)| one < other)
    }

    /// Whether it is exactly this amount, its currency apart; with a ceiling, whether it is what is shown
    /// as this amount with that ceiling.
    ///
    /// # Errors
    ///
    /// PRICE_UNKNOWN where it is no amount, or `amount` is none.
    pub fn is(&self, amount: &Money, ceiling: Option<&Money>) -> crate::Result<bool> {
        let equal = match ceiling {
            Some(ceiling) => self.rounded().map(|(nearest, above)| {
                let numbers = |money: &Money| (money.units, money.nanos);
                numbers(&nearest) == numbers(amount)
                    && above.as_ref().map(numbers) == Some(numbers(ceiling))
            }),
            None => self.exactly(amount),
        };
        equal.map_err(|error| self.unknown(error))
    }

    fn exactly(&self, amount: &Money) -> Result<bool, MoneyError> {
        let told = self.amount.as_ref().map_err(|error| *error)?;
        Ok(*told == Decimal::try_from(amount)?)
    }

    /// The nearest amount, and where that is another number, the least that is not below.
    fn rounded(&self) -> Result<(Money, Option<Money>), MoneyError> {
        let amount = self.amount.as_ref().map_err(|error| *error)?;
        let code = self.currency_code();
        let ceiling = amount.ceiling(code)?;
        Ok((amount.nearest(code)?, Some(ceiling).filter(|_| !amount.is_exact())))
    }

    fn unknown(&self, error: MoneyError) -> Error {
        Error::new(ErrorReason::PriceUnknown, self.describe(error))
            .with_metadata(PRICE_PATH, &self.path)
            .with_metadata(PRICE_DIGITS, &self.digits)
    }

    fn describe(&self, error: MoneyError) -> String {
        let Self { path, digits, .. } = self;
        format!("the upstream's price at {path} is no amount that can be used: {digits:?}: {error}")
    }
}

/// The digits as they came, and the currency where one is told.
impl std::fmt::Display for ToldPrice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { digits, upstream_currency, .. } = self;
        match self.rounded() {
            Ok((amount, None)) => write!(f, "{}", amount.to_decimal().unwrap_or_default())?,
            _ => f.write_str(digits)?,
        }
        if upstream_currency.is_empty() { Ok(()) } else { write!(f, " {upstream_currency}") }
    }
}

/// A text that a message can hold.
fn shortened(text: &str) -> String {
    if text.len() <= MAX_DIGITS {
        return text.to_owned();
    }
    let kept: String = text.chars().take(MAX_DIGITS).collect();
    format!("{kept}…")
}
