//! Whether one and the same request could be sent under two names. It must err on the side of yes: a
//! spend that can be sent under the name of a read is a spend without a journal.

use crate::plugin::v1::Call;

/// Whether some request fits both calls: same method, paths that can meet, words in common.
pub(super) fn same_request(left: &Call, right: &Call) -> bool {
    left.method == right.method && paths_meet(left, right) && words_meet(left, right)
}

/// `{}` stands for any one segment. A fixed segment beside `{}` is a meeting only where the effects
/// differ: `/service/{}` and `/service/list` are two reads that nobody confuses.
fn paths_meet(left: &Call, right: &Call) -> bool {
    if left.path == right.path {
        return true;
    }
    let (ours, theirs): (Vec<_>, Vec<_>) =
        (left.path.split('/').collect(), right.path.split('/').collect());
    let meets = |(one, other): (&&str, &&str)| one == other || *one == "{}" || *other == "{}";
    left.effect != right.effect && ours.len() == theirs.len() && ours.iter().zip(&theirs).all(meets)
}

/// A call without words takes every body.
fn words_meet(left: &Call, right: &Call) -> bool {
    left.words.is_empty()
        || right.words.is_empty()
        || left.body_format != right.body_format
        || left.word_pointer != right.word_pointer
        || left.words.iter().any(|word| right.words.contains(word))
}
