//! What can be bought and for how long, in the upstream's words.

use purveyor_sdk::v1::Term;
use purveyor_sdk::{Error, Period, Result};

/// The `product_name`s that can be bought.
pub(crate) const PRODUCTS: [&str; 5] = ["shares", "cores", "disk", "memory", "ips"];

/// The durations that can be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Duration {
    Month,
    Year,
}

impl Duration {
    pub(crate) const ALL: [Self; 2] = [Self::Month, Self::Year];

    /// The duration of a requested term.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `field` for every other term.
    pub(crate) fn of(term: Option<&Term>, field: &str) -> Result<Self> {
        let term = term.ok_or_else(|| Error::field(field, "is missing"))?;
        let period = term.checked_period();
        let period = period.map_err(|error| Error::field(field, error.to_string()))?;
        match period {
            Some(Period::Months(1)) => Ok(Self::Month),
            Some(Period::Months(12)) => Ok(Self::Year),
            _ => Err(Error::field(field, "must recur every P1M or every P1Y")),
        }
    }

    pub(crate) fn months(self) -> i64 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }

    /// As a request writes it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Month => "1m",
            Self::Year => "12m",
        }
    }

    pub(crate) fn term(self) -> Term {
        term_of(self.word())
    }
}

/// The term of a word like `1m`, `12m`, `1y`; only the word where it is none that is known.
pub(crate) fn term_of(word: &str) -> Term {
    let period = word.char_indices().last().and_then(|(end, unit)| {
        let count = word.get(..end)?;
        let count =
            count.parse::<u32>().ok().filter(|count| *count > 0 && !word.starts_with('+'))?;
        match unit {
            'm' => Some(Period::Months(count)),
            'y' => count.checked_mul(12).map(Period::Months),
            _ => None,
        }
    });
    period.map_or_else(|| Term::unknown(word), |period| Term::recurring(period, word))
}

#[cfg(test)]
mod tests {
    use super::{Duration, Term, term_of};
    use purveyor_sdk::Period;

    #[test]
    fn words_of_the_upstream() {
        fn check(word: &str, expected: &str) {
            let term = term_of(word);
            assert_eq!((term.period.as_str(), term.upstream_value.as_str()), (expected, word));
        }
        check("1m", "P1M");
        check("12m", "P1Y");
        check("1y", "P1Y");
        check("3m", "P3M");
        check("", "");
        check("m", "");
        check("0m", "");
        check("+1m", "");
        check("1w", "");
        check("1µ", "");
        check("99999999999y", "");
    }

    #[test]
    fn terms_of_a_request() {
        fn check(term: Option<Term>, expected: Option<&str>) {
            let word = Duration::of(term.as_ref(), "order.items[0].term").map(Duration::word);
            assert_eq!(word.ok(), expected, "{term:?}");
        }
        let spelled = |period: &str| {
            let term = Term::recurring(Period::Months(1), "");
            Some(Term { period: period.to_owned(), ..term })
        };
        check(spelled("P1M"), Some("1m"));
        check(spelled("P1Y"), Some("12m"));
        check(spelled("P12M"), Some("12m"));
        check(spelled("P2M"), None);
        check(spelled("P30D"), None);
        check(spelled(""), None);
        check(spelled("1m"), None);
        check(Some(Term::one_time("")), None);
        check(None, None);
        let error = Duration::of(None, "renewal.term").unwrap_err();
        assert_eq!(error.violations[0].field, "renewal.term");
    }
}
