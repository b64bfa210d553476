//! A table as Markdown, which a terminal shows as well as a page.

use std::fmt::Write;

/// Begins a table.
pub(crate) fn head(title: &str, columns: &[&str]) -> String {
    let mut table = format!("## {title}\n\n");
    row(&mut table, columns);
    row(&mut table, &vec!["---"; columns.len()]);
    table
}

/// Adds a row.
pub(crate) fn row<T: AsRef<str>>(table: &mut String, cells: &[T]) {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    // Writing to a string cannot fail.
    let _written = writeln!(table, "| {} |", cells.join(" | "));
}

/// A rate for people: three digits are all that a measurement here is worth.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second >= 1000.0 {
        format!("{:.1}k/s", per_second / 1000.0)
    } else {
        format!("{per_second:.0}/s")
    }
}

/// The middle of some measurements.
pub(crate) fn median(mut measured: Vec<f64>) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured.get(measured.len() / 2).copied().unwrap_or_default()
}
