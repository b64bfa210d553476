//! Tables without lines around them: what people read and other programs can still cut. It must not
//! shorten a cell: a name that cannot be copied is of no use.

use comfy_table::{ContentArrangement, Table, presets};

/// An empty table with these headings.
pub(crate) fn headed(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    table
}
