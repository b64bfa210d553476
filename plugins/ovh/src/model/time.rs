//! Times as the upstream writes them: with an offset, or a day alone.

use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::time::{self, Zone};
use purveyor_sdk::{Error, Result};

/// The moment of a text: with an offset as it says, without one in the account's zone, a day at its
/// beginning.
///
/// # Errors
///
/// UPSTREAM_UNAVAILABLE for a text that is none.
pub(crate) fn moment(zone: &Zone, text: &str) -> Result<Timestamp> {
    if let Ok(moment) = time::rfc3339(text) {
        return Ok(moment);
    }
    let day = text.len() == "2026-05-15".len();
    let moment = if day { zone.moment(&format!("{text}T00:00:00")) } else { zone.moment(text) };
    moment.map_err(|error| {
        Error::unavailable("the upstream's time cannot be understood").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::{Zone, moment};

    #[test]
    fn texts() {
        fn check(text: &str, expected: Option<i64>) {
            let zone = Zone::new("Europe/Paris").unwrap();
            assert_eq!(moment(&zone, text).ok().map(|it| it.seconds), expected, "{text}");
        }
        check("2018-05-16T15:49:06+02:00", Some(1_526_478_546));
        check("2018-05-16T15:49:06", Some(1_526_478_546));
        check("2018-05-16", Some(1_526_421_600));
        check("soon", None);
        check("", None);
    }
}
