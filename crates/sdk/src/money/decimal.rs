//! A decimal number with all its digits. It must not know a currency.

use std::fmt;

use super::{MoneyError, NANOS};
use crate::v1::Money;

/// The most digits beyond the ninth decimal: more than any double has in front of its last one.
const MAX_REST: usize = 1100;

/// The most digits of whole billionths: sums of many amounts, each of up to 64 bits, stay below.
const MAX_FLOOR: i64 = 30;

/// A number: the billionths below it, and the digits between them and it. The last of them is no
/// zero, so that equal numbers are equal and derived order is the numbers' order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Decimal {
    floor: i128,
    rest: Vec<u8>,
}

impl Decimal {
    /// The number that `text` says, in any spelling of a decimal: `45.44`, `-0.5`, `1e1`, `1.5E-05`,
    /// `.5`, `+3`. Space around it does not count.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Syntax`] for what is no number, [`MoneyError::Overflow`] and
    /// [`MoneyError::TooManyDecimals`] for one that is far beyond any amount.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let text = text.trim_ascii();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (text, 0),
        };
        let (negative, mantissa) = signed(mantissa);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = [whole, fraction].concat().into_bytes();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(MoneyError::Syntax);
        }
        let digits: Vec<u8> = digits.iter().map(|digit| digit - b'0').collect();
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        let digits = trimmed(digits[zeros..].to_vec());
        if digits.is_empty() {
            return Ok(Self::default());
        }
        // How many of the digits are whole billionths; below zero: how many zeros are in front.
        let length = |count: usize| i64::try_from(count).map_err(|_| MoneyError::Overflow);
        let whole = length(whole.len())? - length(zeros)? + 9;
        let found = Self::placed(digits, exponent.saturating_add(whole))?;
        Ok(if negative { found.negated() } else { found })
    }

    /// Digits of which the first `whole` are whole billionths.
    fn placed(digits: Vec<u8>, whole: i64) -> Result<Self, MoneyError> {
        if whole > MAX_FLOOR {
            return Err(MoneyError::Overflow);
        }
        let count = usize::try_from(whole).unwrap_or(0);
        let in_front = usize::try_from(-whole).unwrap_or(0);
        let below = digits.len().saturating_sub(count);
        if in_front.saturating_add(below) > MAX_REST {
            return Err(MoneyError::TooManyDecimals);
        }
        let digit = |index: usize| i128::from(digits.get(index).copied().unwrap_or(0));
        let floor = (0..count).fold(0, |floor, index| floor * 10 + digit(index));
        let zeros = std::iter::repeat_n(0, in_front);
        let rest = zeros.chain(digits.into_iter().skip(count)).collect();
        Ok(Self { floor, rest })
    }

    /// The sum.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`].
    pub fn checked_add(&self, other: &Self) -> Result<Self, MoneyError> {
        let length = self.rest.len().max(other.rest.len());
        let digit = |rest: &[u8], index: usize| rest.get(index).copied().unwrap_or(0);
        let (mut rest, mut carry) = (vec![0; length], 0);
        for index in (0..length).rev() {
            let sum = digit(&self.rest, index) + digit(&other.rest, index) + carry;
            (rest[index], carry) = (sum % 10, sum / 10);
        }
        let floor = self.floor.checked_add(other.floor);
        let floor = floor.and_then(|floor| floor.checked_add(carry.into()));
        Ok(Self { floor: floor.ok_or(MoneyError::Overflow)?, rest: trimmed(rest) })
    }

    /// So many of it.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`].
    pub fn checked_mul(&self, quantity: i64) -> Result<Self, MoneyError> {
        let times = u128::from(quantity.unsigned_abs());
        let (mut rest, mut carry) = (self.rest.clone(), 0);
        for digit in rest.iter_mut().rev() {
            let product = u128::from(*digit) * times + carry;
            carry = product / 10;
            // A remainder of ten is one digit.
            *digit = u8::try_from(product % 10).unwrap_or(0);
        }
        let signed = |number: u128| i128::try_from(number).ok();
        let floor = signed(times).and_then(|times| self.floor.checked_mul(times));
        let floor = floor.zip(signed(carry)).and_then(|(floor, carry)| floor.checked_add(carry));
        let found = Self { floor: floor.ok_or(MoneyError::Overflow)?, rest: trimmed(rest) };
        Ok(if quantity < 0 { found.negated() } else { found })
    }

    /// Whether nine decimals are enough.
    pub fn is_exact(&self) -> bool {
        self.rest.is_empty()
    }

    /// The whole number that it is, if it is one.
    pub fn whole(&self) -> Option<i64> {
        let whole = self.is_exact() && self.floor % NANOS == 0;
        i64::try_from(self.floor / NANOS).ok().filter(|_| whole)
    }

    /// The nearest amount of nine decimals; in the middle, the even one.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`].
    pub fn nearest(&self, currency_code: &str) -> Result<Money, MoneyError> {
        let up = match self.rest.as_slice().cmp(&[5]) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => self.floor & 1,
            std::cmp::Ordering::Greater => 1,
        };
        Money::from_nanos(currency_code.to_owned(), self.floor + up)
    }

    /// The least amount of nine decimals that is not below it.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`].
    pub fn ceiling(&self, currency_code: &str) -> Result<Money, MoneyError> {
        Money::from_nanos(currency_code.to_owned(), self.floor + i128::from(!self.is_exact()))
    }

    fn negated(&self) -> Self {
        let Some((last, others)) = self.rest.split_last() else {
            return Self { floor: -self.floor, rest: Vec::new() };
        };
        let complement = others.iter().map(|digit| 9 - digit).chain([10 - last]);
        Self { floor: -self.floor - 1, rest: complement.collect() }
    }
}

impl TryFrom<&Money> for Decimal {
    type Error = MoneyError;

    fn try_from(money: &Money) -> Result<Self, MoneyError> {
        Ok(Self { floor: money.total()?, rest: Vec::new() })
    }
}

/// All digits, without an exponent and with no needless zero.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, positive) =
            if self.floor < 0 { ("-", self.negated()) } else { ("", self.clone()) };
        let (units, nanos) = (positive.floor / NANOS, positive.floor % NANOS);
        let rest = positive.rest.iter().map(|digit| char::from(b'0' + digit));
        let decimals: String = format!("{nanos:09}").chars().chain(rest).collect();
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        write!(f, "{sign}{units}{point}{decimals}")
    }
}

/// A sign, and what is behind it.
fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// An exponent; one that no machine number holds is as far beyond any amount as the largest.
fn exponent_of(text: &str) -> Result<i64, MoneyError> {
    let (negative, digits) = signed(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(MoneyError::Syntax);
    }
    let exponent: i64 = digits.parse().unwrap_or(i64::MAX);
    Ok(if negative { -exponent } else { exponent })
}

fn trimmed(mut digits: Vec<u8>) -> Vec<u8> {
    let kept = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    digits.truncate(kept);
    digits
}
