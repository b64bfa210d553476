//! The mark in an item's name, by which an item is known again: derived from the request and the
//! item's place in it, so that every attempt of a request carries the same. It must not look at
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

/// The longest name, with its mark, that is assumed to come back whole.
const WHOLE: usize = 32;

/// A name with a mark; a mark alone for the empty name. The mark stands at the end, and in front of a
/// name that is too long: an upstream that cuts names then cuts the name and not its mark.
pub(crate) fn put(name: &str, token: &str) -> String {
    let blank = if name.is_empty() { "" } else { " " };
    let marked = format!("{name}{blank}[{token}]");
    if marked.chars().count() <= WHOLE { marked } else { format!("[{token}]{blank}{name}") }
}

/// A name in its parts: what was given, and the mark, where there is one.
pub(crate) fn split(name: &str) -> (&str, Option<&str>) {
    match at_end(name).or_else(|| in_front(name)) {
        Some((given, token)) => (given, Some(token)),
        None => (name, None),
    }
}

/// Everything in a name that is formed like a mark: a name can have been cut behind what looks like one.
pub(crate) fn all(name: &str) -> impl Iterator<Item = &str> {
    [at_end(name), in_front(name)].into_iter().flatten().map(|(_, token)| token)
}

/// The parts of a name with a mark at its end.
pub(crate) fn at_end(name: &str) -> Option<(&str, &str)> {
    let (before, token) = name.strip_suffix(']')?.rsplit_once('[')?;
    let given = if before.is_empty() { Some("") } else { before.strip_suffix(' ') };
    given.filter(|_| is_token(token)).map(|given| (given, token))
}

fn in_front(name: &str) -> Option<(&str, &str)> {
    let (token, behind) = name.strip_prefix('[')?.split_once(']')?;
    let given = if behind.is_empty() { Some("") } else { behind.strip_prefix(' ') };
    given.filter(|_| is_token(token)).map(|given| (given, token))
}

fn is_token(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| LETTERS.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{all, of, put, split};

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
        let long = "a name that is much longer than others are";
        for name in ["My testserver 1", "", "æøå", "a [b]", "ends with ]", "[", " ", long] {
            let token = of("r", 0);
            assert_eq!(split(&put(name, &token)), (name, Some(token.as_str())), "{name:?}");
        }
    }

    #[test]
    fn mark_of_long_name_survives_cut() {
        fn check(name: &str, cut_to: usize) {
            let token = of("r", 0);
            let cut: String = put(name, &token).chars().take(cut_to).collect();
            assert!(all(&cut).any(|mark| mark == token), "{cut:?}");
        }
        check("web", 32);
        check("web-server-of-the-shop", 32);
        check("a name that is much longer than others are", 10);
        // What is left of the name looks like a mark.
        check("a shop [database] of everything", 28);
        check("[database] of everything in the shop", 32);
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
            "[01234567]a",
            " [01234567] a",
        ] {
            assert_eq!(split(name), (name, None), "{name:?}");
        }
    }
}
