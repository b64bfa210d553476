//! Terms: ISO 8601 durations in one normal form, so that `P12M` and `P1Y` are one term.
//!
//! The normal form has the fewest designators. Months are summed, and whole years are written in
//! years: `P12M` is `P1Y`, `P1Y2M` is `P14M`. Weeks are days: `P1W` is `P7D`. Hours, minutes and
//! seconds are summed and written in the largest unit that holds them whole: `PT60M` is `PT1H`. A day
//! is not 24 hours and a month not 30 days, so the three kinds are never mixed or converted.

use std::error::Error as StdError;
use std::fmt;
use std::str::FromStr;

use crate::v1::{Term, term::Kind};

/// A length of time in its normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// Calendar months, years included.
    Months(u32),
    /// Calendar days, weeks included.
    Days(u32),
    /// Seconds, hours and minutes included.
    Seconds(u32),
}

/// Why a text is no period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermError {
    /// Not an ISO 8601 duration.
    Syntax,
    /// Zero long.
    Zero,
    /// Below zero.
    Negative,
    /// With a fraction.
    Fraction,
    /// Months, days and hours mixed.
    Mixed,
    /// Longer than 32 bits of its smallest unit.
    TooLong,
    /// A recurring term without a period.
    Missing,
    /// A period on a term that does not recur.
    NotRecurring,
}

impl FromStr for Period {
    type Err = TermError;

    fn from_str(text: &str) -> Result<Self, TermError> {
        if text.starts_with('-') || text.contains("P-") {
            return Err(TermError::Negative);
        }
        if text.contains(['.', ',']) {
            return Err(TermError::Fraction);
        }
        let rest = text.strip_prefix('P').ok_or(TermError::Syntax)?;
        let (date, time) = match rest.split_once('T') {
            // A `T` promises a time.
            Some((_, "")) => return Err(TermError::Syntax),
            Some((date, time)) => (date, time),
            None => (rest, ""),
        };
        let [years, months, weeks, days] = parts(date, ['Y', 'M', 'W', 'D'])?;
        let [hours, minutes, seconds] = parts(time, ['H', 'M', 'S'])?;
        let months = sum([years, months], [12, 1])?;
        let days = sum([weeks, days], [7, 1])?;
        let seconds = sum([hours, minutes, seconds], [3600, 60, 1])?;
        match (months, days, seconds) {
            (None, None, None) => Err(TermError::Syntax),
            (Some(0) | None, Some(0) | None, Some(0) | None) => Err(TermError::Zero),
            (Some(months), None, None) => Ok(Self::Months(months)),
            (None, Some(days), None) => Ok(Self::Days(days)),
            (None, None, Some(seconds)) => Ok(Self::Seconds(seconds)),
            _ => Err(TermError::Mixed),
        }
    }
}

/// The numbers before each designator, which stand in this order and at most once each.
fn parts<const N: usize>(
    text: &str,
    designators: [char; N],
) -> Result<[Option<u32>; N], TermError> {
    let mut found = [None; N];
    let (mut rest, mut next) = (text, 0);
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit()).ok_or(TermError::Syntax)?;
        let (number, tail) = rest.split_at(length);
        let mut tail = tail.chars();
        let designator = tail.next().ok_or(TermError::Syntax)?;
        let place = designators.iter().position(|known| *known == designator);
        let place = place.filter(|place| *place >= next && length > 0);
        let place = place.ok_or(TermError::Syntax)?;
        found[place] = Some(number.parse().map_err(|_| TermError::TooLong)?);
        next = place + 1;
        rest = tail.as_str();
    }
    Ok(found)
}

/// `None` where nothing is written at all.
fn sum<const N: usize>(parts: [Option<u32>; N], units: [u32; N]) -> Result<Option<u32>, TermError> {
    let mut total: Option<u32> = None;
    for (part, unit) in parts.into_iter().zip(units) {
        if let Some(part) = part {
            let part = part.checked_mul(unit);
            let sum = part.and_then(|part| total.unwrap_or(0).checked_add(part));
            total = Some(sum.ok_or(TermError::TooLong)?);
        }
    }
    Ok(total)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Months(months) if months % 12 == 0 => write!(f, "P{}Y", months / 12),
            Self::Months(months) => write!(f, "P{months}M"),
            Self::Days(days) => write!(f, "P{days}D"),
            Self::Seconds(seconds) if seconds % 3600 == 0 => write!(f, "PT{}H", seconds / 3600),
            Self::Seconds(seconds) if seconds % 60 == 0 => write!(f, "PT{}M", seconds / 60),
            Self::Seconds(seconds) => write!(f, "PT{seconds}S"),
        }
    }
}

impl Term {
    /// Paid again every `period`, which the upstream spells `upstream_value`.
    pub fn recurring(period: Period, upstream_value: impl Into<String>) -> Self {
        Self { period: period.to_string(), ..Self::of(Kind::Recurring, upstream_value) }
    }

    /// Paid once.
    pub fn one_time(upstream_value: impl Into<String>) -> Self {
        Self::of(Kind::OneTime, upstream_value)
    }

    /// Costs nothing.
    pub fn free(upstream_value: impl Into<String>) -> Self {
        Self::of(Kind::Free, upstream_value)
    }

    /// Costs nothing for a while.
    pub fn free_trial(upstream_value: impl Into<String>) -> Self {
        Self::of(Kind::FreeTrial, upstream_value)
    }

    /// Charged by use.
    pub fn metered(upstream_value: impl Into<String>) -> Self {
        Self::of(Kind::Metered, upstream_value)
    }

    /// Not known; only the upstream's spelling is.
    pub fn unknown(upstream_value: impl Into<String>) -> Self {
        Self::of(Kind::Unspecified, upstream_value)
    }

    fn of(kind: Kind, upstream_value: impl Into<String>) -> Self {
        Self { kind: kind.into(), period: String::new(), upstream_value: upstream_value.into() }
    }

    /// The period of a recurring term, `None` for any other.
    ///
    /// # Errors
    ///
    /// Why the period is none; [`TermError::Missing`] and [`TermError::NotRecurring`] where kind and
    /// period contradict each other.
    pub fn checked_period(&self) -> Result<Option<Period>, TermError> {
        match (self.kind(), self.period.as_str()) {
            (Kind::Recurring, "") => Err(TermError::Missing),
            (Kind::Recurring, period) => period.parse().map(Some),
            (_, "") => Ok(None),
            _ => Err(TermError::NotRecurring),
        }
    }

    /// The term with its period in normal form.
    ///
    /// # Errors
    ///
    /// As [`Term::checked_period`].
    pub fn normalized(self) -> Result<Self, TermError> {
        let period = self.checked_period()?.map(|period| period.to_string()).unwrap_or_default();
        Ok(Self { period, ..self })
    }
}

impl fmt::Display for TermError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "the period is not an ISO 8601 duration",
            Self::Zero => "the period is zero",
            Self::Negative => "the period is negative",
            Self::Fraction => "the period has a fraction",
            Self::Mixed => "the period mixes months, days or hours",
            Self::TooLong => "the period is too long",
            Self::Missing => "a recurring term needs a period",
            Self::NotRecurring => "only a recurring term has a period",
        })
    }
}

impl StdError for TermError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::{Kind, Period, Term, TermError};

    #[test]
    fn normal_form() {
        fn check(text: &str, expected: Result<&str, TermError>) {
            let found = text.parse::<Period>().map(|period| period.to_string());
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{text}");
        }
        check("P12M", Ok("P1Y"));
        check("P1Y", Ok("P1Y"));
        check("P1M", Ok("P1M"));
        check("P1Y2M", Ok("P14M"));
        check("P0Y6M", Ok("P6M"));
        check("P60M", Ok("P5Y"));
        check("P1W", Ok("P7D"));
        check("P1W1D", Ok("P8D"));
        check("P007D", Ok("P7D"));
        check("PT1H", Ok("PT1H"));
        check("PT60M", Ok("PT1H"));
        check("PT24H", Ok("PT24H"));
        check("PT90S", Ok("PT90S"));
        check("PT1M30S", Ok("PT90S"));
        check("P0D", Err(TermError::Zero));
        check("P0Y0M0DT0S", Err(TermError::Zero));
        check("-P1M", Err(TermError::Negative));
        check("P-1M", Err(TermError::Negative));
        check("P1.5M", Err(TermError::Fraction));
        check("PT0,5H", Err(TermError::Fraction));
        check("P1M1D", Err(TermError::Mixed));
        check("P1M0D", Err(TermError::Mixed));
        check("P1DT1H", Err(TermError::Mixed));
        check("P4294967296D", Err(TermError::TooLong));
        check("P357913942Y", Err(TermError::TooLong));
        for text in [
            "", "P", "PT", "P1MT", "1M", "p1m", "P1", "PM", "P1D1M", "P1M1M", "P1H", "PT1D",
            "P+1M", "P 1M", "P1M ", "P٣M",
        ] {
            check(text, Err(TermError::Syntax));
        }
    }

    #[test]
    fn kind_and_period_agree() {
        fn check(kind: Kind, period: &str, expected: Result<&str, TermError>) {
            let term = Term { kind: kind.into(), period: period.to_owned(), ..Term::default() };
            let found = term.normalized().map(|term| term.period);
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{kind:?} {period}");
        }
        check(Kind::Recurring, "P12M", Ok("P1Y"));
        check(Kind::Recurring, "", Err(TermError::Missing));
        check(Kind::OneTime, "", Ok(""));
        check(Kind::OneTime, "P1M", Err(TermError::NotRecurring));
        check(Kind::Unspecified, "P1M", Err(TermError::NotRecurring));
    }

    #[test]
    fn the_upstreams_spelling_is_kept() {
        let term = Term::recurring(Period::Months(12), "12m");
        assert_eq!((term.period.as_str(), term.upstream_value.as_str()), ("P1Y", "12m"));
        assert_eq!(Term::metered("credits").checked_period(), Ok(None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_normal_form_is_its_own(text in "P[0-9]{0,3}[YMWD]([0-9]{0,3}[MWD])?(T[0-9]{1,3}[HMS])?") {
            if let Ok(period) = text.parse::<Period>() {
                proptest::prop_assert_eq!(period.to_string().parse(), Ok(period));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = text.parse::<Period>();
        }
    }
}
