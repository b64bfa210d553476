//! The mark at the end of an item's name, by which an item is known again: derived from the request and
//! the item's place in it, so that every attempt of a request carries the same. It must not look at
//! anything but texts.

use sha2::{Digest, Sha256};

/// Letters and digits that are not mistaken for each other, 5 bits each.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Letters of a mark: 40 bits.
const LENGTH: usize = 8;

/// The mark of one item of a request.
pub(crate) fn of(request_id: &str, index: usize) -> String {
    let digest = Sha256::digest(format!("purveyor klikk 1\n{request_id}\n{index}"));
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    digest.iter().take(LENGTH).map(letter).collect()
}

/// A name with a mark; a mark alone for the empty name.
pub(crate) fn put(name: &str, token: &str) -> String {
    let blank = if name.is_empty() { "" } else { " " };
    format!("{name}{blank}[{token}]")
}

/// A name in its parts: what was given, and the mark, where there is one.
pub(crate) fn split(name: &str) -> (&str, Option<&str>) {
    let marked = name.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    let Some((before, token)) = marked else { return (name, None) };
    let is_token = token.len() == LENGTH && token.bytes().all(|byte| LETTERS.contains(&byte));
    let given = if before.is_empty() { Some("") } else { before.strip_suffix(' ') };
    match given.filter(|_| is_token) {
        Some(given) => (given, Some(token)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::{of, put, split};

    #[test]
    fn marks_are_the_same_for_every_attempt_and_differ_otherwise() {
        let request = "5c0a3f1e-4f3b-4f5e-9d53-111111111111";
        // A mark that changed between versions would lose the orders that are on their way.
        assert_eq!(of(request, 0), "8qck159v");
        assert_ne!(of(request, 0), of(request, 1));
        assert_ne!(of(request, 0), of("5c0a3f1e-4f3b-4f5e-9d53-111111111112", 0));
        // Place and request are told apart, whatever the request is called.
        assert_ne!(of("a\n1", 1), of("a", 11));
    }

    #[test]
    fn names_are_what_was_given() {
        for name in ["My testserver 1", "", "æøå", "a [b]", "ends with ]", "[", " "] {
            let token = of("r", 0);
            assert_eq!(split(&put(name, &token)), (name, Some(token.as_str())), "{name:?}");
        }
    }

    #[test]
    fn what_is_no_mark_is_left_alone() {
        for name in [
            "a",
            "",
            "a [0123456]",
            "a [012345678]",
            "a [0123456I]",
            "a[01234567]",
            "a [01234567] ",
        ] {
            assert_eq!(split(name), (name, None), "{name:?}");
        }
    }
}
