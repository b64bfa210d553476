//! What the gateway costs: a read beside a bare tonic server, operations beside the raw commits of
//! SQLite on the same disk, the time to start and the memory at rest. Everything that is compared is
//! measured alternately in one run. Prints tables and writes them to `target/benchmarks.md`; it must
//! not judge a number.

#[path = "gateway/bare.rs"]
mod bare;
#[path = "gateway/boundary.rs"]
mod boundary;
#[path = "gateway/load.rs"]
mod load;
#[path = "gateway/operations.rs"]
mod operations;
#[path = "gateway/reads.rs"]
mod reads;
#[path = "gateway/stage.rs"]
mod stage;
#[path = "gateway/start.rs"]
mod start;
#[path = "gateway/table.rs"]
mod table;

use std::io::Write;
use std::{env, fs, io};

use anyhow::{Context, Result};
use xtask::workspace;

use self::stage::Stage;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    // This program again, as the bare server: a process of its own, as the gateway is one.
    if let Some(file) = env::args().skip_while(|argument| argument != "bare").nth(1) {
        return runtime.block_on(bare::serve(file.as_ref()));
    }
    let stage = Stage::build()?;
    let mut report = String::new();
    for part in ["start", "boundary", "reads", "operations"] {
        let measured = match part {
            "start" => runtime.block_on(start::measure(&stage)),
            "boundary" => runtime.block_on(boundary::measure(&stage)),
            "reads" => runtime.block_on(reads::measure(&stage)),
            _ => runtime.block_on(operations::measure(&stage)),
        };
        let measured = measured.with_context(|| format!("cannot measure {part}"))?;
        writeln!(io::stdout(), "{measured}")?;
        report.push_str(&measured);
        report.push('\n');
    }
    let file = workspace::target()?.join("benchmarks.md");
    fs::write(&file, report).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}
