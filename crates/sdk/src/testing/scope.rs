//! Holds a test to the list of what an upstream's document names: every item is shown, once, and
//! nothing is shown that is not on the list. It does not know what an item means.

use std::collections::BTreeMap;

/// The items of one document, and which of them a test has shown.
#[derive(Debug)]
pub struct Scope {
    shown: BTreeMap<String, bool>,
}

impl Scope {
    /// The first column of a list with a head line, `item,kind,says`. No item has a comma.
    ///
    /// # Panics
    ///
    /// When an item is there twice, or there is none.
    #[track_caller]
    pub fn of(list: &str) -> Self {
        let mut shown = BTreeMap::new();
        for line in list.lines().skip(1) {
            let item = line.split(',').next().unwrap_or_default();
            let twice = shown.insert(item.to_owned(), false).is_some();
            assert!(!twice, "{item:?} is on the list twice");
        }
        assert!(!shown.is_empty(), "the list is empty");
        Self { shown }
    }

    /// `item` is where it should be if `right`.
    ///
    /// # Panics
    ///
    /// When it is not, or is not on the list, or was shown before.
    #[track_caller]
    pub fn shows(&mut self, item: &str, right: bool) {
        assert!(right, "{item:?} is not where it should be");
        match self.shown.get_mut(item) {
            Some(shown) => assert!(!std::mem::replace(shown, true), "{item:?} was shown before"),
            None => panic!("{item:?} is not on the list"),
        }
    }

    /// All is shown.
    ///
    /// # Panics
    ///
    /// When an item is missing.
    #[track_caller]
    pub fn finish(self) {
        let missing = self.shown.into_iter().filter(|(_, shown)| !shown);
        let missing: Vec<String> = missing.map(|(item, _)| item).collect();
        assert!(missing.is_empty(), "not shown: {missing:#?}");
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    const LIST: &str = "item,kind,says\na,field,x\nb: c,field,y\n";

    #[test]
    fn every_item_is_shown_once() {
        let mut scope = Scope::of(LIST);
        scope.shows("a", true);
        scope.shows("b: c", true);
        scope.finish();
    }

    #[test]
    fn what_is_wrong_is_told() {
        fn check(expected: &str, test: impl FnOnce() + std::panic::UnwindSafe) {
            let panic = std::panic::catch_unwind(test).unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            assert!(message.contains(expected), "{message}");
        }
        check("is not where it should be", || Scope::of(LIST).shows("a", false));
        check("is not on the list", || Scope::of(LIST).shows("c", true));
        check("was shown before", || {
            let mut scope = Scope::of(LIST);
            scope.shows("a", true);
            scope.shows("a", true);
        });
        check("not shown: [\n    \"a\",", || Scope::of(LIST).finish());
        check("is on the list twice", || drop(Scope::of("item\na\na\n")));
    }
}
