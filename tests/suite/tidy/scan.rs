//! Tells code from comments and texts, well enough for rules about words. It is no parser: what it
//! has to get right is where a comment or a text begins and ends.

/// The text with comments and the insides of texts blanked out, line for line.
pub(super) fn code(text: &str) -> String {
    let mut rest = text;
    let mut code = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let skipped = blanked(rest, code.chars().next_back());
        let (length, blank) = match skipped {
            0 => (first.len_utf8(), false),
            length => (length, true),
        };
        let (taken, after) = rest.split_at(length);
        if blank {
            code.extend(taken.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        } else {
            code.push_str(taken);
        }
        rest = after;
    }
    code
}

/// The words of a line: what identifiers and keywords are made of.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|w| !w.is_empty())
}

/// The length of the comment or text that begins here; 0 where none does.
fn blanked(rest: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block(rest)
    } else if rest.starts_with('"') {
        quoted(rest)
    } else if !in_word && (rest.starts_with("r\"") || rest.starts_with("r#")) {
        raw(rest)
    } else if rest.starts_with('\'') {
        letter(rest)
    } else {
        0
    }
}

fn block(rest: &str) -> usize {
    let mut depth = 0_usize;
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return at + 2,
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// `r"…"` and `r#"…"#`; 0 for a raw identifier.
fn raw(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = hashes + 2;
    rest[begin..].find(&end).map_or(rest.len(), |at| begin + at + end.len())
}

/// A letter in quotes; 0 for a lifetime.
fn letter(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    match letters.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(0, |at| at + 4),
        Some(_) => letters.next().filter(|(_, end)| *end == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

#[test]
fn comments_and_texts_are_blanked_out() {
    for (text, expected) in [
        ("a // b", "a     "),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("f(\"a \\\" b\", c)", "f(        , c)"),
        ("r#\"a \" b\"# c", "           c"),
        ("r#type: r\"x\"", "r#type:     "),
        ("'\"' 'a x", "    'a x"),
        ("'\\'' b '\\u{1}'", "     b        "),
        ("a \"x\ny\" b", "a   \n   b"),
        ("for\"x\"", "for   "),
    ] {
        assert_eq!(code(text), expected, "for {text:?}");
    }
}
