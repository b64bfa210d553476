//! Times and days: spellings, summer time, ends of months.

use prost_types::Timestamp;

use super::{Date, Zone, rfc3339, to_rfc3339};
use crate::term::Period;
use crate::v1::ErrorReason;

fn paris() -> Zone {
    Zone::new("Europe/Paris").unwrap()
}

#[test]
fn times_without_a_zone() {
    fn check(text: &str, expected: Option<&str>) {
        let found = paris().moment(text).ok();
        let found = found.map(|moment| to_rfc3339(&moment).unwrap());
        assert_eq!(found.as_deref(), expected, "{text}");
    }
    check("20110324T15:49:50", Some("2011-03-24T14:49:50Z"));
    check("20110724T15:49:50", Some("2011-07-24T13:49:50Z"));
    check("2011-03-24T15:49:50", Some("2011-03-24T14:49:50Z"));
    check("2011-03-24 15:49:50", Some("2011-03-24T14:49:50Z"));
    check("2011-03-24T15:49:50.25", Some("2011-03-24T14:49:50.25Z"));
    check("20110324T154950", Some("2011-03-24T14:49:50Z"));
    // Two o'clock does not exist on this day, and is three o'clock.
    check("20260329T02:30:00", Some("2026-03-29T01:30:00Z"));
    // Half past two is there twice on this day; the first one is meant.
    check("20261025T02:30:00", Some("2026-10-25T00:30:00Z"));
    for text in [
        "",
        "20110324",
        "20110230T00:00:00",
        "20110324T25:00:00",
        "20110324T15:49:50 ",
        "yesterday",
        "2011-03-24T15:49:50.",
        "2011-03-24T15:49:50ZZ",
        "2011-03-24T15:49:50 Z",
        "2011-03-24T15:49:50+",
        "2011-03-24T15:49:50+1",
        "2011-03-24T15:49:50+99:00",
        "Z",
    ] {
        check(text, None);
    }
}

#[test]
fn time_with_an_offset_means_the_same_in_every_zone() {
    for (text, expected) in [
        ("2011-03-24T15:49:50Z", "2011-03-24T15:49:50Z"),
        ("20110324T15:49:50Z", "2011-03-24T15:49:50Z"),
        ("20110324T154950z", "2011-03-24T15:49:50Z"),
        ("2011-03-24 15:49:50.5Z", "2011-03-24T15:49:50.5Z"),
        ("20110324T15:49:50.25", "2011-03-24T14:49:50.25Z"),
        ("2011-03-24T15:49:50+01:00", "2011-03-24T14:49:50Z"),
        ("20110324T15:49:50-0230", "2011-03-24T18:19:50Z"),
        ("2011-03-24T15:49:50.125+02", "2011-03-24T13:49:50.125Z"),
        ("2011-03-24T15:49:50-00:00", "2011-03-24T15:49:50Z"),
    ] {
        let found = paris().moment(text).map(|moment| to_rfc3339(&moment).unwrap());
        assert_eq!(found.unwrap(), expected, "{text}");
    }
}

#[test]
fn moments_before_1970() {
    let moment = Zone::UTC.moment("1969-12-31T23:59:59.75").unwrap();
    assert_eq!(moment, Timestamp { seconds: -1, nanos: 750_000_000 });
    assert_eq!(to_rfc3339(&moment).unwrap(), "1969-12-31T23:59:59.75Z");
}

#[test]
fn there_and_back() {
    let moment = paris().moment("20110324T15:49:50").unwrap();
    assert_eq!(paris().xml_rpc(&moment).unwrap(), "20110324T15:49:50");
    assert_eq!(Zone::UTC.xml_rpc(&moment).unwrap(), "20110324T14:49:50");
    assert_eq!(rfc3339("2011-03-24T15:49:50+01:00").unwrap(), moment);
    assert!(rfc3339("2011-03-24T15:49:50").is_err());
    let beyond = Timestamp { seconds: i64::MAX, nanos: 0 };
    assert_eq!(paris().xml_rpc(&beyond).unwrap_err().reason, ErrorReason::FieldViolation);
}

#[test]
fn zones() {
    assert_eq!(Zone::new("").unwrap(), Zone::UTC);
    assert_eq!(paris().name(), "Europe/Paris");
    let error = Zone::new("Europe/Atlantis").unwrap_err();
    assert_eq!(error.violations[0].field, "time_zone");
}

#[test]
fn the_day_of_a_moment_is_a_matter_of_the_zone() {
    let moment = rfc3339("2011-03-24T23:30:00Z").unwrap();
    assert_eq!(Zone::UTC.day(&moment).unwrap().to_text().unwrap(), "2011-03-24");
    assert_eq!(paris().day(&moment).unwrap().to_text().unwrap(), "2011-03-25");
}

#[test]
fn later_by_a_period() {
    fn check(from: &str, period: Period, expected: &str) {
        let moment = paris().moment(from).unwrap();
        let later = paris().add(&moment, period).unwrap();
        assert_eq!(paris().xml_rpc(&later).unwrap(), expected, "{from} {period}");
    }
    check("20110131T12:00:00", Period::Months(1), "20110228T12:00:00");
    check("20120131T12:00:00", Period::Months(1), "20120229T12:00:00");
    check("20120229T12:00:00", Period::Months(12), "20130228T12:00:00");
    check("20260328T12:00:00", Period::Days(1), "20260329T12:00:00");
    check("20260328T12:00:00", Period::Seconds(86_400), "20260329T13:00:00");
    let moment = Zone::UTC.moment("20110131T12:00:00").unwrap();
    for period in [Period::Months(u32::MAX), Period::Days(u32::MAX)] {
        assert!(Zone::UTC.add(&moment, period).is_err(), "{period}");
    }
}

#[test]
fn days() {
    fn check(text: &str, months: u32, expected: Option<&str>) {
        let date = Date::parse(text).and_then(|date| date.add_months(months));
        let found = date.ok().map(|date| date.to_text().unwrap());
        assert_eq!(found.as_deref(), expected, "{text} {months}");
    }
    check("2011-03-24", 0, Some("2011-03-24"));
    check("2011-01-31", 1, Some("2011-02-28"));
    check("2011-12-31", 2, Some("2012-02-29"));
    check("2011-01-31", 13, Some("2012-02-29"));
    check("9999-12-01", 1, None);
    check("2011-01-31", u32::MAX, None);
    check("2011-02-30", 0, None);
    check("24.03.2011", 0, None);
    check("", 0, None);
    let invalid = Date { year: 0, month: 1, day: 1 };
    assert!(invalid.to_text().is_err());
    assert!(Date { year: 2011, month: 300, day: 1 }.to_text().is_err());
}
