//! Dates as the upstream spells them, without a zone, and terms in calendar months. It must not
//! read any clock.

use dxr::Value;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A moment in the account's zone, to the second.
/// Assumption: the upstream writes no zone and documents none; it is taken to be one zone for
/// all of an account's dates.
pub(super) fn spell(time: Timestamp, zone: &TimeZone) -> Value {
    let text = time.to_zoned(zone.clone()).strftime("%Y%m%dT%H:%M:%S").to_string();
    // Every year of a timestamp has four digits or is before our era, where nothing was sold.
    text.parse().map_or(Value::Nil, Value::DateTime)
}

/// The same for a moment that may not exist.
pub(super) fn spell_maybe(time: Option<Timestamp>, zone: &TimeZone) -> Value {
    time.map_or(Value::Nil, |time| spell(time, zone))
}

/// So many months later (or earlier, when negative) at the same time of day.
/// Assumption: a day the month does not have becomes its last day, and stays it: 31 January,
/// 28 February, 28 March.
pub(super) fn add_months(time: Timestamp, months: i32, zone: &TimeZone) -> Timestamp {
    let later = time.to_zoned(zone.clone()).checked_add(months.months());
    later.map_or(Timestamp::MAX, |later| later.timestamp())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::{add_months, spell};

    #[test]
    fn months_end_safely() {
        let check = |from: &str, months: i32, expected: &str| {
            let from: Timestamp = from.parse().unwrap();
            assert_eq!(add_months(from, months, &TimeZone::UTC).to_string(), expected);
        };
        check("2011-01-31T10:00:00Z", 1, "2011-02-28T10:00:00Z");
        check("2012-01-31T10:00:00Z", 1, "2012-02-29T10:00:00Z");
        check("2012-02-29T10:00:00Z", 12, "2013-02-28T10:00:00Z");
        check("2011-12-15T23:59:59Z", 1, "2012-01-15T23:59:59Z");
        check("2011-03-31T10:00:00Z", -1, "2011-02-28T10:00:00Z");
    }

    #[test]
    fn dates_are_spelled_in_the_zone() {
        let check = |zone: &str, expected: &str| {
            let time: Timestamp = "2011-03-24T14:49:50.9Z".parse().unwrap();
            let dxr::Value::DateTime(date) = spell(time, &TimeZone::get(zone).unwrap()) else {
                panic!("no date");
            };
            assert_eq!(date.to_string(), expected);
        };
        check("UTC", "20110324T14:49:50");
        check("Europe/Paris", "20110324T15:49:50");
    }
}
