//! Texts as PostgreSQL can hold them: it has no NUL, and what upstreams say may have one. It must
//! change neither what is equal nor what comes first.

use std::borrow::Cow;

/// Stands before a zero for NUL, and before a one for itself.
const MARK: char = '\u{1}';

/// A text without NUL. Different texts stay different and in the order of their bytes.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => escaped.extend([MARK, '0']),
            MARK => escaped.extend([MARK, '1']),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// The text of [`escaped`]; `None` for what it never makes.
pub(super) fn restored(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(MARK) {
        return Some(Cow::Borrowed(text));
    }
    let mut restored = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        restored.push(match (character, character == MARK) {
            (other, false) => other,
            _ => match characters.next()? {
                '0' => '\0',
                '1' => MARK,
                _ => return None,
            },
        });
    }
    Some(Cow::Owned(restored))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, proptest};
    use proptest::{collection, prop_assert, prop_assert_eq, prop_oneof};

    use super::{escaped, restored};

    fn text() -> impl Strategy<Value = String> {
        let character =
            prop_oneof![Just('\0'), Just('\u{1}'), Just('\u{2}'), Just('0'), any::<char>()];
        collection::vec(character, 0..8).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn every_text_comes_back_and_keeps_its_place(left in text(), right in text()) {
            let (a, b) = (escaped(&left), escaped(&right));
            prop_assert!(!a.contains('\0'));
            prop_assert_eq!(restored(&a).unwrap(), left.as_str());
            prop_assert_eq!(a.as_bytes().cmp(b.as_bytes()), left.as_bytes().cmp(right.as_bytes()));
        }
    }

    #[test]
    fn what_was_never_written_is_not_read() {
        assert_eq!(restored("a\u{1}"), None);
        assert_eq!(restored("a\u{1}2"), None);
    }
}
