//! How the embedded store bears growth: the same questions to stores of a thousand to a million
//! finished operations, a tenth as many waiting ones beside them. Prints a table and writes it to
//! `target/growth.md`; it must not judge a number.

#[path = "growth/asking.rs"]
mod asking;
#[path = "growth/filling.rs"]
mod filling;
#[path = "gateway/table.rs"]
mod table;

use std::io::Write;
use std::time::Instant;
use std::{fs, io};

use anyhow::{Context, Result};
use purveyor::store::sqlite::SqliteStore;
use xtask::workspace;

use self::asking::Asked;

/// How many finished operations there are.
const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn main() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut columns: Vec<Vec<Asked>> = Vec::new();
    for size in SIZES {
        let folder = tempfile::tempdir_in(workspace::target()?)?;
        let file = folder.path().join("journal.db");
        let began = Instant::now();
        filling::fill(&runtime, &file, size)?;
        let filled = began.elapsed();
        let mut column = vec![Asked::new("file", asking::mebibytes(fs::metadata(&file)?.len()))];
        let began = Instant::now();
        let store = SqliteStore::open(&file)?;
        column.push(Asked::new("opening", asking::shown(began.elapsed())));
        column.extend(runtime.block_on(asking::ask(store, size))?);
        writeln!(io::stderr(), "{size} filled in {filled:?}")?;
        columns.push(column);
    }
    let head: Vec<String> = SIZES.iter().map(|size| format!("{size} + {}", size / 10)).collect();
    let mut head: Vec<&str> = head.iter().map(String::as_str).collect();
    head.insert(0, "finished + waiting");
    let mut report = table::head("Growth of the embedded store", &head);
    for (row, first) in columns.first().into_iter().flatten().enumerate() {
        let mut cells = vec![first.what];
        cells
            .extend(columns.iter().filter_map(|column| column.get(row)).map(|it| it.seen.as_str()));
        table::row(&mut report, &cells);
    }
    writeln!(io::stdout(), "{report}")?;
    let file = workspace::target()?.join("growth.md");
    fs::write(&file, report).with_context(|| format!("cannot write {}", file.display()))
}
