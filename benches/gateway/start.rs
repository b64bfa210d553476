//! From the start of the process until it accepts calls, and its memory when nobody calls.

use anyhow::Result;

use crate::stage::{Stage, instant, memory, resident_mib};
use crate::table::{head, median, row};

/// How often a gateway is started.
const STARTS: usize = 9;

pub(crate) async fn measure(stage: &Stage) -> Result<String> {
    let mut table =
        head("Start and rest", &["plugins", "start to serving (median)", "slowest", "resident"]);
    let mut times = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..STARTS {
        let configuration = stage
            .configuration()
            .provider("memory", memory())
            .provider("instant", instant().await?);
        let gateway = stage.start(configuration)?;
        times.push(gateway.started_in.as_secs_f64() * 1000.0);
        resident.push(resident_mib(gateway.process.id())?);
        gateway.process.stop()?;
    }
    let slowest = times.iter().copied().fold(0.0, f64::max);
    row(
        &mut table,
        &[
            stage.artifacts.pins.len().to_string(),
            format!("{:.0} ms", median(times)),
            format!("{slowest:.0} ms"),
            format!("{:.1} MiB", median(resident)),
        ],
    );
    Ok(table)
}
