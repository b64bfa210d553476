//! Days and times between the upstream's spellings and the contract's. A time without a zone is read
//! in the provider's zone. Where clocks are put forward, a time that does not exist is taken as the
//! one as much later as was skipped; where they are put back, the earlier of two is meant.

use std::fmt;

use jiff::Span;
use jiff::civil::{self, DateTime};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use prost_types::Timestamp;

use crate::error::{Error, Result};
use crate::term::Period;
use crate::v1::Date;

/// The spellings of a time without a zone that are read, in the order of trying.
const FORMATS: &[&str] =
    &["%Y%m%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y%m%dT%H%M%S%.f"];

/// The spellings of an offset from UTC, in the order of trying.
const OFFSETS: &[&str] = &["%:z", "%z"];

/// The shortest text before an offset: what comes earlier is a hyphen of the date.
const DAY_BYTES: usize = "20110324T".len();

/// The spelling of a time in XML-RPC.
const XML_RPC: &str = "%Y%m%dT%H:%M:%S";

/// A zone of the IANA database.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of this name, `Europe/Paris`; UTC for the empty name.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION of `time_zone` for a name that the database does not have.
    pub fn new(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Ok(Self::UTC);
        }
        TimeZone::get(name).map(Self).map_err(|error| {
            Error::field("time_zone", "is not a zone of the IANA database").with_source(error)
        })
    }

    /// The zone's name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The moment that a time means here: `20110324T15:49:50`, `2011-03-24 15:49:50`, with `T` or a space
    /// between, and with a fraction or without. A text that ends in `Z` or an offset means the same
    /// everywhere.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE for a text that is no such time.
    pub fn moment(&self, text: &str) -> Result<Timestamp> {
        let (local, offset) = split_offset(text);
        let parsed = FORMATS.iter().find_map(|format| DateTime::strptime(format, local).ok());
        let parsed = parsed.ok_or_else(|| not_understood("time"))?;
        let zone = match offset {
            None => self.0.clone(),
            Some(offset) => fixed(offset).ok_or_else(|| not_understood("time"))?,
        };
        let zoned =
            zone.to_zoned(parsed).map_err(|error| not_understood("time").with_source(error))?;
        Ok(to_wire(zoned.timestamp()))
    }

    /// The time of a moment here, as XML-RPC spells it; a fraction of a second is cut.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION for a moment before the year 1 or after 9999.
    pub fn xml_rpc(&self, moment: &Timestamp) -> Result<String> {
        let zoned = from_wire(moment)?.to_zoned(self.0.clone());
        strtime::format(XML_RPC, &zoned).map_err(|error| out_of_range().with_source(error))
    }

    /// The day of a moment here.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION for a moment before the year 1 or after 9999.
    pub fn day(&self, moment: &Timestamp) -> Result<Date> {
        Ok(from_wire(moment)?.to_zoned(self.0.clone()).date().into())
    }

    /// The moment one period later by this zone's clocks. The last day of a month stands in for a day
    /// that the month does not have.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION for a moment before the year 1 or after 9999.
    pub fn add(&self, moment: &Timestamp, period: Period) -> Result<Timestamp> {
        let zoned = from_wire(moment)?.to_zoned(self.0.clone());
        let later = zoned.checked_add(span(period)?);
        let later = later.map_err(|error| out_of_range().with_source(error))?;
        Ok(to_wire(later.timestamp()))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name()).finish()
    }
}

/// The moment of an RFC 3339 text, which has a zone.
///
/// # Errors
///
/// UPSTREAM_UNAVAILABLE for a text that is none.
pub fn rfc3339(text: &str) -> Result<Timestamp> {
    let parsed = text.parse::<jiff::Timestamp>();
    parsed.map(to_wire).map_err(|error| not_understood("time").with_source(error))
}

/// The RFC 3339 text of a moment, in UTC.
///
/// # Errors
///
/// FIELD_VIOLATION for a moment before the year 1 or after 9999.
pub fn to_rfc3339(moment: &Timestamp) -> Result<String> {
    Ok(from_wire(moment)?.to_string())
}

impl Date {
    /// The day of a text `2011-03-24`.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE for a text that is none.
    pub fn parse(text: &str) -> Result<Self> {
        let parsed = civil::Date::strptime("%Y-%m-%d", text);
        parsed.map(Into::into).map_err(|error| not_understood("day").with_source(error))
    }

    /// The text `2011-03-24`.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION for a day that no calendar has.
    pub fn to_text(self) -> Result<String> {
        Ok(self.civil()?.to_string())
    }

    /// The day so many months later. The last day of a month stands in for a day that the month does
    /// not have: 31 January and one month is 28 or 29 February.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION for a day that no calendar has, or after the year 9999.
    pub fn add_months(self, months: u32) -> Result<Self> {
        let later = self.civil()?.checked_add(span(Period::Months(months))?);
        later.map(Into::into).map_err(|error| out_of_range().with_source(error))
    }

    fn civil(self) -> Result<civil::Date> {
        let part = |number: i32| i8::try_from(number).ok();
        let date = (|| {
            let (year, month, day) =
                (i16::try_from(self.year).ok()?, part(self.month)?, part(self.day)?);
            civil::Date::new(year, month, day).ok().filter(|_| year >= 1)
        })();
        date.ok_or_else(|| Error::field("date", "is no day of the calendar"))
    }
}

impl From<civil::Date> for Date {
    fn from(date: civil::Date) -> Self {
        Self { year: date.year().into(), month: date.month().into(), day: date.day().into() }
    }
}

/// A time and the offset at its end, if one is there.
fn split_offset(text: &str) -> (&str, Option<&str>) {
    let zulu = text.len().checked_sub(1).filter(|_| text.ends_with(['Z', 'z']));
    let sign = text.rfind(['+', '-']).filter(|&at| at >= DAY_BYTES);
    match zulu.or(sign) {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    }
}

fn fixed(offset: &str) -> Option<TimeZone> {
    if offset.eq_ignore_ascii_case("z") {
        return Some(TimeZone::UTC);
    }
    // An offset of whole hours may stand without its minutes.
    let whole = if offset.len() == "+01".len() { format!("{offset}00") } else { offset.to_owned() };
    let parsed = OFFSETS.iter().find_map(|format| strtime::parse(format, &whole).ok())?;
    parsed.offset().map(TimeZone::fixed)
}

/// FIELD_VIOLATION for more than a calendar can hold.
fn span(period: Period) -> Result<Span> {
    let span = match period {
        Period::Months(months) => Span::new().try_months(months),
        Period::Days(days) => Span::new().try_days(days),
        Period::Seconds(seconds) => Span::new().try_seconds(seconds),
    };
    span.map_err(|error| out_of_range().with_source(error))
}

fn to_wire(moment: jiff::Timestamp) -> Timestamp {
    // Nanos of the contract count forward from the second, also before 1970.
    let (mut seconds, mut nanos) = (moment.as_second(), moment.subsec_nanosecond());
    if nanos < 0 {
        seconds -= 1;
        nanos += 1_000_000_000;
    }
    Timestamp { seconds, nanos }
}

fn from_wire(moment: &Timestamp) -> Result<jiff::Timestamp> {
    jiff::Timestamp::new(moment.seconds, moment.nanos)
        .map_err(|error| out_of_range().with_source(error))
}

fn not_understood(what: &str) -> Error {
    Error::unavailable(format!("the upstream's {what} cannot be understood"))
}

fn out_of_range() -> Error {
    Error::field("time", "is out of range")
}

#[cfg(test)]
mod tests;
