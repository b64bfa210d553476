//! Days as the upstream writes them, and the day on which the next payment is due.

use purveyor_sdk::v1::Date;
use purveyor_sdk::{Error, Period, Result};

use super::Cycle;

/// A day as DD/MM/YYYY.
///
/// # Errors
///
/// FIELD_VIOLATION of `field` for a day that no calendar has.
pub(crate) fn written(date: &Date, field: &str) -> Result<String> {
    // The calendar is asked first: the parts alone do not tell a day from the 31st of June.
    let read = date.to_text().map_err(|_| Error::field(field, "is no day of the calendar"));
    read.map(|_| format!("{:02}/{:02}/{:04}", date.day, date.month, date.year))
}

/// The day one cycle later; the last day of a month stands in for one that the month does not have.
/// `None` for a cycle that is not counted in months.
///
/// # Errors
///
/// FIELD_VIOLATION of `field` for a day after the year 9999.
pub(crate) fn next_due(start: Date, cycle: Cycle, field: &str) -> Result<Option<Date>> {
    let Some(Period::Months(months)) = cycle.period() else { return Ok(None) };
    let later = start.add_months(months);
    later.map(Some).map_err(|_| Error::field(field, "is out of the calendar: it has to be given"))
}

#[cfg(test)]
mod tests {
    use super::{Cycle, Date, next_due, written};

    fn date(year: i32, month: i32, day: i32) -> Date {
        Date { year, month, day }
    }

    /// Reckoned by hand, without the calendar that the code uses.
    fn days_of(year: i32, month: i32) -> i32 {
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    #[test]
    fn days_are_written_day_first() {
        assert_eq!(written(&date(2019, 7, 23), "d").unwrap(), "23/07/2019");
        assert_eq!(written(&date(999, 1, 2), "d").unwrap(), "02/01/0999");
        for (year, month, day) in [(2019, 6, 31), (2019, 2, 29), (2019, 0, 1), (0, 1, 1)] {
            let error = written(&date(year, month, day), "order.items[0].start_date").unwrap_err();
            assert_eq!(error.violations[0].field, "order.items[0].start_date");
        }
    }

    #[test]
    fn the_end_of_a_month_is_never_overrun() {
        fn check(start: Date, word: &str, expected: Date) {
            let cycle = Cycle::of_word(word).unwrap();
            assert_eq!(next_due(start, cycle, "d").unwrap(), Some(expected), "{start:?} {word}");
        }
        check(date(2019, 1, 31), "Monthly", date(2019, 2, 28));
        check(date(2020, 1, 31), "Monthly", date(2020, 2, 29));
        check(date(2020, 2, 29), "Annually", date(2021, 2, 28));
        check(date(2020, 2, 29), "Quadrennial", date(2024, 2, 29));
        check(date(2019, 11, 30), "Quarterly", date(2020, 2, 29));
        check(date(2019, 8, 31), "Semi-Annually", date(2020, 2, 29));
        check(date(2019, 7, 23), "Annually", date(2020, 7, 23));
        check(date(2019, 12, 31), "Decennial", date(2029, 12, 31));
    }

    #[test]
    fn every_day_of_some_years_in_every_cycle_of_months() {
        let cycles = [
            ("Monthly", 1),
            ("Quarterly", 3),
            ("Semi-Annually", 6),
            ("Annually", 12),
            ("Biennially", 24),
            ("Triennially", 36),
            ("Quadrennial", 48),
            ("Quinquennial", 60),
            ("Decennial", 120),
        ];
        for year in [1999, 2000, 2019, 2020, 2099, 2100] {
            for month in 1..=12 {
                for day in 1..=days_of(year, month) {
                    for (word, months) in cycles {
                        let cycle = Cycle::of_word(word).unwrap();
                        let found = next_due(date(year, month, day), cycle, "d").unwrap().unwrap();
                        let count = month - 1 + months;
                        let (year, month) = (year + count / 12, count % 12 + 1);
                        let expected = date(year, month, day.min(days_of(year, month)));
                        assert_eq!(found, expected, "{word}");
                    }
                }
            }
        }
    }

    #[test]
    fn other_cycles_have_no_end_that_is_known() {
        for word in ["Free", "Free Trial", "One Time", "Hourly"] {
            let cycle = Cycle::of_word(word).unwrap();
            assert_eq!(next_due(date(2019, 7, 23), cycle, "d").unwrap(), None, "{word}");
        }
        let cycle = Cycle::of_word("Monthly").unwrap();
        assert!(next_due(date(9999, 12, 31), cycle, "order.items[0].next_due_date").is_err());
    }
}
