//! The rules of page sizes, for every list of every plugin and of the gateway.

use crate::error::{Error, Result};

/// Rows where the caller names no size.
pub const DEFAULT: usize = 50;

/// The most rows of a page: more would not fit into a message of the usual limit.
pub const MAX: usize = 200;

/// How many rows a caller gets at most: 0 is [`DEFAULT`], more than [`MAX`] is [`MAX`].
///
/// # Errors
///
/// FIELD_VIOLATION of `page_size` when it is negative.
pub fn size(page_size: i32) -> Result<usize> {
    match usize::try_from(page_size) {
        Ok(0) => Ok(DEFAULT),
        Ok(size) => Ok(size.min(MAX)),
        Err(_) => Err(Error::field("page_size", "must not be negative")),
    }
}

/// One page of rows that are all known already. The token is the index of the first row, as text;
/// the gateway seals it before a caller sees it.
///
/// # Errors
///
/// FIELD_VIOLATION of `page_size`; PAGE_TOKEN_INVALID for a token that this did not make.
pub fn of<T>(rows: Vec<T>, page_size: i32, page_token: &str) -> Result<(Vec<T>, String)> {
    let size = size(page_size)?;
    let first = match page_token {
        "" => 0,
        token => {
            token.parse::<usize>().ok().filter(|first| *first <= rows.len()).ok_or_else(|| {
                let reason = crate::v1::ErrorReason::PageTokenInvalid;
                Error::new(reason, "the page token is not of this list")
            })?
        }
    };
    let last = rows.len().min(first.saturating_add(size));
    let next = if last < rows.len() { last.to_string() } else { String::new() };
    Ok((rows.into_iter().skip(first).take(size).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::{of, size};
    use crate::v1::ErrorReason;

    #[test]
    fn sizes() {
        fn check(page_size: i32, expected: Option<usize>) {
            assert_eq!(size(page_size).ok(), expected, "{page_size}");
        }
        check(0, Some(50));
        check(1, Some(1));
        check(200, Some(200));
        check(201, Some(200));
        check(i32::MAX, Some(200));
        check(-1, None);
        check(i32::MIN, None);
        assert_eq!(size(-1).unwrap_err().violations[0].field, "page_size");
    }

    #[test]
    fn pages() {
        fn check(size: i32, token: &str, expected: (&[u8], &str)) {
            let (rows, next) = of(vec![0, 1, 2, 3, 4], size, token).unwrap();
            assert_eq!((rows.as_slice(), next.as_str()), expected, "{size} {token}");
        }
        check(2, "", (&[0, 1], "2"));
        check(2, "2", (&[2, 3], "4"));
        check(2, "4", (&[4], ""));
        check(5, "", (&[0, 1, 2, 3, 4], ""));
        check(2, "5", (&[], ""));
        for token in ["6", "-1", "x", "99999999999999999999999"] {
            let error = of(vec![0, 1, 2, 3, 4], 2, token).unwrap_err();
            assert_eq!(error.reason, ErrorReason::PageTokenInvalid, "{token}");
        }
    }
}
