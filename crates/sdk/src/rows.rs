//! Rows that cannot be read whole. One bad row must not hide the others: it is shown with what is known of
//! it and a notice for each gap. Only a write that depends on the row is refused for it.

use crate::v1::{ErrorReason, Notice};
use crate::{Error, Result};

/// The reason of the notice on a row that could not be read whole.
pub const ROW_INCOMPLETE: &str = "ROW_INCOMPLETE";

/// What could not be read of one row, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gaps(Vec<Gap>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Gap {
    source: String,
    message: String,
}

impl Gaps {
    /// A row of which nothing but its identifier could be read: `source` is the call or member that failed.
    pub fn of(source: impl Into<String>, error: &Error) -> Self {
        let mut gaps = Self::default();
        gaps.add(source, error);
        gaps
    }

    /// Notes a gap. `source` is the member or the call that could not be read.
    pub fn add(&mut self, source: impl Into<String>, error: &Error) {
        self.0.push(Gap { source: source.into(), message: error.message.clone() });
    }

    /// What was read; in the place of what could not be, nothing, and a gap.
    pub fn keep<T: Default>(&mut self, source: &str, read: Result<T>) -> T {
        read.unwrap_or_else(|error| {
            self.add(source, &error);
            T::default()
        })
    }

    /// As [`Gaps::keep`] where the gap concerns this row alone.
    ///
    /// # Errors
    ///
    /// What keeps every other row from being read too.
    pub fn keep_alone<T: Default>(&mut self, source: &str, read: Result<T>) -> Result<T> {
        match read {
            Err(error) if !is_of_one_row(&error) => Err(error),
            read => Ok(self.keep(source, read)),
        }
    }

    /// Whether the row was read whole.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this member or call could not be read.
    pub fn has(&self, source: &str) -> bool {
        self.0.iter().any(|gap| gap.source == source)
    }

    /// Adds the gaps of a part of the row.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().cloned());
    }

    /// What a reader should know of the row.
    pub fn notices(&self) -> Vec<Notice> {
        let notice = |gap: &Gap| Notice {
            reason: ROW_INCOMPLETE.to_owned(),
            message: gap.message.clone(),
            source: gap.source.clone(),
        };
        self.0.iter().map(notice).collect()
    }

    /// Refuses what depends on the row.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where the row was not read whole.
    pub fn check(&self, what: &str) -> Result<()> {
        let Some(gap) = self.0.first() else { return Ok(()) };
        let Gap { source, message } = gap;
        Err(Error::unavailable(format!("{what} cannot be read whole: {source}: {message}")))
    }
}

/// One row of a list, whose listing was answered: as it was read, or as `known` shows it with its gap;
/// `None` for one that went away between the list and the look.
///
/// # Errors
///
/// What keeps every other row from being read too.
pub fn shown<T>(
    source: &str,
    read: Result<T>,
    known: impl FnOnce(&Gaps) -> Result<T>,
) -> Result<Option<T>> {
    match read {
        Ok(row) => Ok(Some(row)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) if is_of_one_row(&error) => known(&Gaps::of(source, &error)).map(Some),
        Err(error) => Err(error),
    }
}

/// Whether a shown row was not read whole: no filter may leave it out by what it does not tell.
pub fn is_incomplete(notices: &[Notice]) -> bool {
    notices.iter().any(|notice| notice.reason == ROW_INCOMPLETE)
}

/// Whether the upstream says that there is no such row.
pub fn is_gone(error: &Error) -> bool {
    use ErrorReason::{OrderNotFound, ProductNotFound, RenewalNotFound, ServiceNotFound};
    matches!(error.reason, OrderNotFound | ProductNotFound | RenewalNotFound | ServiceNotFound)
}

/// Whether an error at one row tells nothing about the others: the upstream answered for the row, and its
/// listing was answered with the same credentials. A rate, a deadline and a fault of the gateway's own
/// would meet each further row too.
pub fn is_of_one_row(error: &Error) -> bool {
    matches!(
        error.reason,
        ErrorReason::UpstreamUnavailable
            | ErrorReason::UpstreamRejected
            | ErrorReason::UpstreamCredentials
            | ErrorReason::UpstreamFailed
            | ErrorReason::StateConflict
    )
}

#[cfg(test)]
mod tests {
    use super::{Gaps, ROW_INCOMPLETE, shown};
    use crate::v1::ErrorReason;
    use crate::{Error, Result};

    #[test]
    fn gap_keeps_the_rest_and_is_a_notice() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.keep("quantity", Ok(Some(3))), Some(3));
        assert!(gaps.is_empty() && gaps.check("service 7").is_ok());
        let unread: Option<i64> = gaps.keep("date_end", Err(Error::unavailable("no time: x")));
        assert_eq!(unread, None);
        assert!(gaps.has("date_end") && !gaps.has("quantity"));
        let notices = gaps.notices();
        let [notice] = notices.as_slice() else { panic!("{notices:?}") };
        let told = (notice.reason.as_str(), notice.message.as_str(), notice.source.as_str());
        assert_eq!(told, (ROW_INCOMPLETE, "no time: x", "date_end"));
        let error = gaps.check("service 7").unwrap_err();
        assert_eq!(error.reason, ErrorReason::UpstreamUnavailable);
        assert_eq!(error.message, "service 7 cannot be read whole: date_end: no time: x");
    }

    #[test]
    fn row_is_shown_left_out_or_fails_the_list() {
        fn check(read: Result<&str>, expected: Result<Option<&str>, ErrorReason>) {
            let row = shown("service.get", read, |gaps| {
                assert_eq!(gaps.notices()[0].source, "service.get");
                Ok("known")
            });
            assert_eq!(row.map_err(|error| error.reason), expected);
        }
        let of = |reason| Err(Error::new(reason, "x"));
        check(Ok("whole"), Ok(Some("whole")));
        for reason in [
            ErrorReason::UpstreamUnavailable,
            ErrorReason::UpstreamRejected,
            ErrorReason::UpstreamCredentials,
            ErrorReason::StateConflict,
        ] {
            check(of(reason), Ok(Some("known")));
        }
        for reason in [ErrorReason::OrderNotFound, ErrorReason::ServiceNotFound] {
            check(of(reason), Ok(None));
        }
        for reason in [
            ErrorReason::UpstreamRateLimit,
            ErrorReason::DeadlineExceeded,
            ErrorReason::ProviderUnavailable,
            ErrorReason::PluginFault,
            ErrorReason::Internal,
        ] {
            check(of(reason), Err(reason));
        }
    }
}
