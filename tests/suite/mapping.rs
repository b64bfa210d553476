//! Holds `docs/mapping.md` to the scope lists in `tests/data/scope` and to the contract: every item
//! of the five documents has one row, and every name of the contract that a row uses exists.
//!
//! It must not know a provider's code: what a plugin does with an item is told by its own tests.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::DescriptorPool;

use contract::{PACKAGE, Target, contract, names_in, resolve};
use page::{Item, Page, Place, Row, parse_scope};

mod contract;
mod page;

const PAGE: &str = include_str!("../../docs/mapping.md");

/// Heading on the page, and the scope list that belongs to it.
const PROVIDERS: [(&str, &str); 5] = [
    ("Gandi", include_str!("../data/scope/gandi.csv")),
    ("ComputeStacks", include_str!("../data/scope/computestacks.csv")),
    ("Klikk", include_str!("../data/scope/klikk.csv")),
    ("RackNap", include_str!("../data/scope/racknap.csv")),
    ("OVH", include_str!("../data/scope/ovh.csv")),
];

#[test]
fn every_item_has_exactly_one_row_and_every_row_its_item() {
    let page = Page::parse(PAGE);
    let mut problems = page.problems.clone();
    for (heading, list) in PROVIDERS {
        let items = parse_scope(heading, list, &mut problems);
        let rows = page.rows.get(heading).map_or(&[][..], Vec::as_slice);
        compare(heading, &items, rows, &mut problems);
    }
    let known: BTreeSet<&str> = PROVIDERS.iter().map(|(heading, _)| *heading).collect();
    for heading in page.rows.keys().filter(|heading| !known.contains(**heading)) {
        problems.push(format!("{heading}: a section without a scope list"));
    }
    assert_none(&problems);
}

#[test]
fn every_section_is_as_long_as_its_scope_list() {
    let page = Page::parse(PAGE);
    for (heading, list) in PROVIDERS {
        let items = list.lines().count().saturating_sub(1);
        assert!(items > 0, "{heading}: the scope list is empty");
        assert_eq!(page.rows.get(heading).map_or(0, Vec::len), items, "{heading}: rows, items");
    }
}

#[test]
fn every_place_exists_and_fits_its_item() {
    let contract = contract();
    let page = Page::parse(PAGE);
    let mut problems = Vec::new();
    for (heading, list) in PROVIDERS {
        let items = parse_scope(heading, list, &mut problems);
        let kinds: BTreeMap<&str, &str> = items.iter().map(|it| (it.name, it.kind)).collect();
        for row in page.rows.get(heading).map_or(&[][..], Vec::as_slice) {
            let kind = kinds.get(row.item).copied().unwrap_or_default();
            for problem in check_row(&contract, &page, row, kind) {
                problems.push(format!("line {}: {heading} `{}`: {problem}", row.line, row.item));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn every_name_of_the_contract_in_the_texts_exists() {
    let contract = contract();
    let texts = PROVIDERS.iter().copied().chain([("docs/mapping.md", PAGE)]);
    let mut problems = Vec::new();
    for (source, text) in texts {
        for (line, name) in names_in(text) {
            if let Err(problem) = resolve(&contract, name) {
                problems.push(format!("{source} line {line}: {problem}"));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn every_notice_reason_is_explained_and_used() {
    let page = Page::parse(PAGE);
    let used: BTreeSet<&str> = page
        .rows
        .values()
        .flatten()
        .flat_map(|row| &row.places)
        .filter_map(Place::notice_reason)
        .collect();
    let explained: BTreeSet<&str> = page.notices.iter().copied().collect();
    assert_eq!(explained, used, "the table of notices (left) and the reasons in the rows (right)");
    assert_eq!(explained.len(), page.notices.len(), "a reason is explained twice");
}

#[test]
fn resolving_follows_every_kind_of_name() {
    let contract = contract();
    let check = |name: &str, exists: bool| {
        let found = resolve(&contract, &format!("{PACKAGE}{name}"));
        assert_eq!(found.is_ok(), exists, "{name}: {:?}", found.err());
    };
    check("Order", true);
    check("Order.items.term.period", true);
    check("Product.Package.cpu_cores", true);
    check("Product.package.cpu_cores", true);
    check("Product.ResourceKind.RESOURCE_KIND_IPADDR", true);
    check("CancelPolicy.CANCEL_POLICY_AT_TERM_END", true);
    check("Orders.CreateOrder", true);
    check("Orders", true);
    check("Ordr", false);
    check("Order.itms", false);
    check("Order.items.term.perid", false);
    check("Order.reference.length", false);
    check("Product.resource.kind.RESOURCE_KIND_CPU", false);
    check("Product.ResourceKind.RESOURCE_KIND_IP", false);
    check("Orders.MakeOrder", false);
    check("Orders.CreateOrder.order", false);
    check("", false);
}

#[test]
fn a_page_that_is_not_as_it_should_be_is_told_so() {
    let check = |rows: &str, list: &str, expected: &[&str]| {
        let text = format!("## Notices\n## OVH\n{rows}");
        let page = Page::parse(&text);
        let mut problems = page.problems.clone();
        let items = parse_scope("OVH", list, &mut problems);
        compare("OVH", &items, page.rows.get("OVH").map_or(&[], Vec::as_slice), &mut problems);
        assert_eq!(problems, expected, "{rows}");
    };
    let list = "item,kind,says\na,field,x\n";
    check("| `a` | transport | |", list, &[]);
    check("", list, &["OVH `a`: no row in docs/mapping.md"]);
    check(
        "| `a` | transport | |\n| `a` | transport | |",
        list,
        &["OVH `a`: 2 rows in docs/mapping.md"],
    );
    check(
        "| `a` | transport | |\n| `b` | transport | |",
        list,
        &["OVH `b`: not in the scope list"],
    );
    check(
        "| `a` | transport |",
        list,
        &[
            "line 3: not a row of item, place, conversion: | `a` | transport |",
            "OVH `a`: no row in docs/mapping.md",
        ],
    );
    check(
        "| `a` | transport | |",
        "item,kind,says\na,field,x\na,field,y\n",
        &["OVH `a`: 2 times in the scope list"],
    );
    check(
        "| `a` | transport | |",
        "item,kind,says\na,thing,x\n",
        &["OVH line 2: not an item of a known kind: a,thing,x", "OVH `a`: not in the scope list"],
    );
}

#[test]
fn a_row_whose_place_does_not_fit_is_told_so() {
    let contract = contract();
    let check = |place: &str, kind: &str, expected: &[&str]| {
        let text = format!("## OVH\n| `a` | {place} | |");
        let page = Page::parse(&text);
        let problems: Vec<String> = page
            .rows
            .values()
            .flatten()
            .flat_map(|row| check_row(&contract, &page, row, kind))
            .collect();
        assert_eq!(problems, expected, "{place}");
    };
    check("`purveyor.v1.OrderItem.options#/os`", "parameter", &[]);
    check("`purveyor.v1.OrderItem.options#`, transport", "parameter", &[]);
    check(
        "`purveyor.v1.OrderItem.options`",
        "parameter",
        &["`purveyor.v1.OrderItem.options` is a Struct and wants a JSON pointer"],
    );
    check(
        "`purveyor.v1.OrderItem.term#/os`",
        "parameter",
        &["`purveyor.v1.OrderItem.term` is no Struct and has no members"],
    );
    check("`purveyor.v1.OrderItem.options#os`", "parameter", &["`os` is no JSON pointer"]);
    check("`purveyor.v1.OrderPricing.first_payment`", "amount", &[]);
    check("`purveyor.v1.OrderItem.options#/amount`", "amount", &["an amount that is no Money"]);
    check("transport", "amount", &["an amount that is no Money"]);
    check("`purveyor.v1.Order.items`", "operation", &["an operation without a method"]);
    check(
        "`purveyor.v1.Order.itms`",
        "field",
        &["`purveyor.v1.Order.itms`: nothing is named `itms` in `purveyor.v1.Order`"],
    );
    check(
        "`purveyor.v1.Provider.notices = ODD`",
        "warning",
        &["`ODD` is not in the table of notices"],
    );
    check("somewhere", "field", &["`somewhere` is no place"]);
    check("", "field", &["`` is no place"]);
}

/// Every item exactly once in the list and exactly once on the page, and no row without an item.
fn compare(heading: &str, items: &[Item<'_>], rows: &[Row<'_>], problems: &mut Vec<String>) {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for item in items {
        counts.entry(item.name).or_default().0 += 1;
    }
    for row in rows {
        counts.entry(row.item).or_default().1 += 1;
    }
    for (name, (in_list, on_page)) in counts {
        let problem = match (in_list, on_page) {
            (1, 1) => continue,
            (0, _) => "not in the scope list".to_owned(),
            (1, 0) => "no row in docs/mapping.md".to_owned(),
            (1, rows) => format!("{rows} rows in docs/mapping.md"),
            (times, _) => format!("{times} times in the scope list"),
        };
        problems.push(format!("{heading} `{name}`: {problem}"));
    }
}

fn check_row(contract: &DescriptorPool, page: &Page<'_>, row: &Row<'_>, kind: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut targets = Vec::new();
    for place in &row.places {
        if let Some(reason) = place.notice_reason().filter(|it| !page.notices.contains(it)) {
            problems.push(format!("`{reason}` is not in the table of notices"));
        }
        match place {
            Place::Outside => {}
            Place::Malformed(cell) => problems.push(format!("`{cell}` is no place")),
            Place::Name { path, pointer, .. } => match resolve(contract, path) {
                Ok(target) => {
                    problems.extend(check_pointer(path, &target, *pointer));
                    targets.push(target);
                }
                Err(problem) => problems.push(problem),
            },
        }
    }
    if !problems.is_empty() {
        return problems;
    }
    if kind == "operation" && !targets.iter().any(|it| matches!(it, Target::Method)) {
        problems.push("an operation without a method".to_owned());
    }
    let is_money = |it: &Target| it.holds("purveyor.v1.Money");
    if kind == "amount" && (targets.is_empty() || !targets.iter().all(is_money)) {
        problems.push("an amount that is no Money".to_owned());
    }
    problems
}

/// A Struct wants the member told, and nothing else has members.
fn check_pointer(path: &str, target: &Target, pointer: Option<&str>) -> Option<String> {
    match (target.holds("google.protobuf.Struct"), pointer) {
        (false, None) => None,
        (false, Some(_)) => Some(format!("`{path}` is no Struct and has no members")),
        (true, None) => Some(format!("`{path}` is a Struct and wants a JSON pointer")),
        (true, Some(it)) if it.is_empty() || (it.starts_with('/') && !it.ends_with('/')) => None,
        (true, Some(it)) => Some(format!("`{it}` is no JSON pointer")),
    }
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
