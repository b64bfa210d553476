//! How the answers of several providers become one page.

use purveyor_sdk::Error;
use purveyor_sdk::v1::{ErrorReason, ListOrdersRequest, ListView};

use super::{ListRequest, Missed, PAGE_BYTES, Page, Place, fewer_rows, merge};

type Answer = (&'static str, Result<(&'static [u8], Option<&'static str>), ()>);

/// What the page shows, where the list goes on, and who is missing.
fn merged(answers: &[Answer], then: Option<&str>) -> (Vec<u8>, Option<(String, String)>, usize) {
    let answers = answers.iter().map(|(provider, answer)| {
        let answer = match answer {
            Ok((rows, next)) => {
                let rows = rows.iter().copied().map(u32::from).collect();
                Ok(Page { rows, next: next.map(|next| next.as_bytes().to_vec()) })
            }
            Err(()) => Err(Missed {
                provider: format!("providers/{provider}"),
                error: Error::unavailable("gone"),
            }),
        };
        ((*provider).to_owned(), answer)
    });
    let then = then.map(|provider| Place { provider: provider.to_owned(), cursor: Vec::new() });
    let (rows, next) = merge(answers.collect(), 4, then);
    let text = |cursor: Vec<u8>| String::from_utf8(cursor).unwrap();
    let shown = rows.rows.iter().map(|&row: &u32| row as u8).collect();
    (shown, next.map(|next| (next.provider, text(next.cursor))), rows.missed.len())
}

#[test]
fn answers_are_taken_in_order_as_far_as_they_fit() {
    fn check(
        answers: &[Answer],
        then: Option<&str>,
        rows: &[u8],
        next: Option<(&str, &str)>,
        missed: usize,
    ) {
        let next = next.map(|(provider, cursor)| (provider.to_owned(), cursor.to_owned()));
        assert_eq!(merged(answers, then), (rows.to_vec(), next, missed), "{answers:?}");
    }
    check(&[], None, &[], None, 0);
    check(&[("a", Ok((&[1, 2], None))), ("b", Ok((&[3, 4], None)))], None, &[1, 2, 3, 4], None, 0);
    check(
        &[("a", Ok((&[1], None))), ("b", Err(())), ("c", Ok((&[3], None)))],
        None,
        &[1, 3],
        None,
        1,
    );
    // A page that has more of one provider ends there.
    check(
        &[("a", Ok((&[1], Some("x")))), ("b", Ok((&[2], None)))],
        None,
        &[1],
        Some(("a", "x")),
        0,
    );
    // An answer that does not fit whole is asked for again.
    check(
        &[("a", Ok((&[1, 2], None))), ("b", Ok((&[3, 4, 5], Some("y"))))],
        Some("c"),
        &[1, 2],
        Some(("b", "")),
        0,
    );
    check(&[("a", Ok((&[], None)))], Some("j"), &[], Some(("j", "")), 0);
    // Who could not be asked is told on the page that it belongs to.
    check(
        &[("a", Ok((&[1, 2, 3, 4], Some("x")))), ("b", Err(()))],
        None,
        &[1, 2, 3, 4],
        Some(("a", "x")),
        0,
    );
}

#[test]
fn places_survive_the_token() {
    for (provider, cursor) in [("", &b""[..]), ("acme", b""), ("acme", b"a\0b")] {
        let place = Place { provider: provider.to_owned(), cursor: cursor.to_vec() };
        assert_eq!(Place::decode(&place.encode()).unwrap(), place);
    }
    for bytes in [&b""[..], b"acme", b"\xff\0"] {
        let error = Place::decode(bytes).unwrap_err();
        assert_eq!(error.reason, ErrorReason::PageTokenInvalid, "{bytes:?}");
    }
}

#[test]
fn a_token_is_bound_to_everything_but_the_page() {
    let request = ListOrdersRequest {
        parent: "providers/acme".to_owned(),
        page_size: 7,
        page_token: "x".to_owned(),
        ..ListOrdersRequest::default()
    };
    let other_page =
        ListOrdersRequest { page_size: 9, page_token: "y".to_owned(), ..request.clone() };
    assert_eq!(request.fingerprint(), other_page.fingerprint());
    for other in [
        ListOrdersRequest { parent: "providers/-".to_owned(), ..request.clone() },
        ListOrdersRequest { view: ListView::Full.into(), ..request.clone() },
        ListOrdersRequest { customer: "1".to_owned(), ..request.clone() },
        ListOrdersRequest { states: vec![1], ..request.clone() },
    ] {
        assert_ne!(request.fingerprint(), other.fingerprint(), "{other:?}");
    }
}

#[test]
fn page_ends_before_the_answer_that_makes_it_too_large() {
    let row = "x".repeat(PAGE_BYTES / 2);
    let answers = ["a", "b", "c"].map(|provider| {
        let page = Page { rows: vec![row.clone()], next: None };
        (provider.to_owned(), Ok::<_, Missed>(page))
    });
    let (rows, next) = merge(answers.into(), 200, None);
    assert_eq!(rows.rows.len(), 1);
    assert_eq!(next, Some(Place { provider: "b".to_owned(), cursor: Vec::new() }));
}

#[test]
fn page_that_is_too_large_is_asked_for_with_fewer_rows() {
    assert_eq!(fewer_rows(200, PAGE_BYTES), None);
    assert_eq!(fewer_rows(200, PAGE_BYTES + 1), Some(100));
    assert_eq!(fewer_rows(1, PAGE_BYTES + 1), None);
}
