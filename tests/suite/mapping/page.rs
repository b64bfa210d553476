//! Reads `docs/mapping.md` and the scope lists.
//!
//! It must not judge: what is malformed is kept or told, and the tests decide.

use std::collections::BTreeMap;

use super::contract::PACKAGE;

/// Places that are no part of the contract.
const OUTSIDE: [&str; 3] = ["credential", "configuration", "transport"];

const KINDS: [&str; 8] =
    ["operation", "parameter", "field", "amount", "value", "warning", "error", "behaviour"];

/// An item of a document, as its scope list has it.
pub(super) struct Item<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
}

/// The page: its rows by section, and the reasons of its table of notices.
#[derive(Default)]
pub(super) struct Page<'a> {
    pub(super) rows: BTreeMap<&'a str, Vec<Row<'a>>>,
    pub(super) notices: Vec<&'a str>,
    pub(super) problems: Vec<String>,
}

pub(super) struct Row<'a> {
    pub(super) line: usize,
    pub(super) item: &'a str,
    pub(super) places: Vec<Place<'a>>,
}

pub(super) enum Place<'a> {
    Outside,
    /// A name of the contract, with the text that stands there or the member of a Struct.
    Name {
        path: &'a str,
        text: Option<&'a str>,
        pointer: Option<&'a str>,
    },
    Malformed(&'a str),
}

impl<'a> Place<'a> {
    /// The reason that the place gives a notice.
    pub(super) fn notice_reason(&self) -> Option<&'a str> {
        match self {
            Self::Name { path, text, .. } if path.ends_with(".notices") => *text,
            _ => None,
        }
    }
}

impl<'a> Page<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let mut page = Self::default();
        let mut section = "";
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(heading) = line.strip_prefix("## ") {
                section = heading.trim();
            } else if line.starts_with('|') {
                page.add(section, number, line);
            }
        }
        page
    }

    fn add(&mut self, section: &'a str, number: usize, line: &'a str) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let quoted = cells[0].strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
        match (section, quoted, cells.as_slice()) {
            (_, None, [head, ..]) if matches!(*head, "document item" | "reason" | "---") => {}
            ("Notices", Some(reason), [_, _]) => self.notices.push(reason),
            (_, Some(item), [_, places, _]) => {
                let places = places.split(',').map(|place| parse_place(place.trim())).collect();
                self.rows.entry(section).or_default().push(Row { line: number, item, places });
            }
            _ => self
                .problems
                .push(format!("line {number}: not a row of item, place, conversion: {line}")),
        }
    }
}

fn parse_place(cell: &str) -> Place<'_> {
    if OUTSIDE.contains(&cell) {
        return Place::Outside;
    }
    match cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')) {
        Some(name) if name.starts_with(PACKAGE) => {
            if let Some((path, text)) = name.split_once(" = ") {
                Place::Name { path, text: Some(text), pointer: None }
            } else if let Some((path, pointer)) = name.split_once('#') {
                Place::Name { path, text: None, pointer: Some(pointer) }
            } else {
                Place::Name { path: name, text: None, pointer: None }
            }
        }
        _ => Place::Malformed(cell),
    }
}

/// Reads a scope list. Its cells hold no comma and no quotation mark, so that no escaping is needed.
pub(super) fn parse_scope<'a>(
    heading: &str,
    list: &'a str,
    problems: &mut Vec<String>,
) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    for (number, line) in (1..).zip(list.lines()) {
        match line.split(',').collect::<Vec<_>>().as_slice() {
            ["item", "kind", "says"] if number == 1 => {}
            [name, kind, says]
                if KINDS.contains(kind) && !says.is_empty() && !line.contains('"') =>
            {
                items.push(Item { name, kind });
            }
            _ => problems
                .push(format!("{heading} line {number}: not an item of a known kind: {line}")),
        }
    }
    items
}
