//! The thirteen billing cycles, each with its word and its term.

use purveyor_sdk::v1::Term;
use purveyor_sdk::{Error, Period, Result};

/// A billing cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cycle {
    /// As a request writes it.
    pub(crate) word: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Free,
    FreeTrial,
    OneTime,
    Every(Period),
}

impl Cycle {
    pub(crate) const ALL: [Self; 13] = [
        Self { word: "Free", kind: Kind::Free },
        Self { word: "Free Trial", kind: Kind::FreeTrial },
        Self { word: "One Time", kind: Kind::OneTime },
        Self { word: "Hourly", kind: Kind::Every(Period::Seconds(3600)) },
        Self::months("Monthly", 1),
        Self::months("Quarterly", 3),
        Self::months("Semi-Annually", 6),
        Self::months("Annually", 12),
        Self::months("Biennially", 24),
        Self::months("Triennially", 36),
        Self::months("Quadrennial", 48),
        Self::months("Quinquennial", 60),
        Self::months("Decennial", 120),
    ];

    const fn months(word: &'static str, months: u32) -> Self {
        Self { word, kind: Kind::Every(Period::Months(months)) }
    }

    /// The cycle of a requested term.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `field` for every other term.
    pub(crate) fn of(term: &Term, field: &str) -> Result<Self> {
        let period = term.checked_period();
        let period = period.map_err(|error| Error::field(field, error.to_string()))?;
        let same = |cycle: &Self| cycle.term().kind == term.kind && cycle.period() == period;
        Self::ALL.into_iter().find(same).ok_or_else(|| {
            let message = "must be free, a free trial, one time, or recur every PT1H, P1M, P3M, P6M, \
                           P1Y, P2Y, P3Y, P4Y, P5Y or P10Y";
            Error::field(field, message)
        })
    }

    /// The cycle of a word of the upstream, however it writes case, spaces and hyphens.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let letters = |text: &str| -> String {
            let letters = text.chars().filter(|c| !matches!(c, ' ' | '-' | '_'));
            letters.flat_map(char::to_lowercase).collect()
        };
        let wanted = letters(word);
        Self::ALL.into_iter().find(|cycle| letters(cycle.word) == wanted)
    }

    /// The term of a word of the upstream, which is kept as it came.
    pub(crate) fn term_of(word: &str) -> Term {
        let known = Self::of_word(word).map(Self::term).unwrap_or_default();
        Term { upstream_value: word.to_owned(), ..known }
    }

    pub(crate) fn term(self) -> Term {
        match self.kind {
            Kind::Free => Term::free(self.word),
            Kind::FreeTrial => Term::free_trial(self.word),
            Kind::OneTime => Term::one_time(self.word),
            Kind::Every(period) => Term::recurring(period, self.word),
        }
    }

    /// What it recurs after; none where it does not recur.
    pub(crate) fn period(self) -> Option<Period> {
        match self.kind {
            Kind::Every(period) => Some(period),
            Kind::Free | Kind::FreeTrial | Kind::OneTime => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cycle, Term};
    use purveyor_sdk::Period;

    #[test]
    fn every_word_and_its_term() {
        fn check(word: &str, kind: &str, period: &str) {
            let term = Cycle::term_of(word);
            assert_eq!(term.kind().as_str_name(), format!("KIND_{kind}"), "{word}");
            assert_eq!((term.period.as_str(), term.upstream_value.as_str()), (period, word));
            let cycle = Cycle::of(&term, "term").unwrap();
            assert_eq!(cycle.word, word);
        }
        check("Free", "FREE", "");
        check("Free Trial", "FREE_TRIAL", "");
        check("One Time", "ONE_TIME", "");
        check("Hourly", "RECURRING", "PT1H");
        check("Monthly", "RECURRING", "P1M");
        check("Quarterly", "RECURRING", "P3M");
        check("Semi-Annually", "RECURRING", "P6M");
        check("Annually", "RECURRING", "P1Y");
        check("Biennially", "RECURRING", "P2Y");
        check("Triennially", "RECURRING", "P3Y");
        check("Quadrennial", "RECURRING", "P4Y");
        check("Quinquennial", "RECURRING", "P5Y");
        check("Decennial", "RECURRING", "P10Y");
    }

    #[test]
    fn words_in_other_spellings() {
        fn check(word: &str, expected: Option<&str>) {
            assert_eq!(Cycle::of_word(word).map(|cycle| cycle.word), expected, "{word:?}");
        }
        check("semiannually", Some("Semi-Annually"));
        check("FREE TRIAL", Some("Free Trial"));
        check("one_time", Some("One Time"));
        check("Yearly", None);
        check("", None);
    }

    #[test]
    fn other_terms_are_refused() {
        let spelled = |period: &str| Term {
            period: period.to_owned(),
            ..Term::recurring(Period::Months(1), "")
        };
        for term in [
            spelled("P2M"),
            spelled("P30D"),
            spelled("PT2H"),
            spelled("P7Y"),
            spelled(""),
            Term::metered(""),
            Term::unknown(""),
            Term { period: "P1M".to_owned(), ..Term::free("") },
        ] {
            let error = Cycle::of(&term, "order.items[0].term").unwrap_err();
            assert_eq!(error.violations[0].field, "order.items[0].term", "{term:?}");
        }
        assert_eq!(Cycle::of(&spelled("P12M"), "term").unwrap().word, "Annually");
        assert_eq!(Cycle::of(&spelled("PT60M"), "term").unwrap().word, "Hourly");
    }
}
