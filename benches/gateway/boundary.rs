//! A call into a plugin that was loaded as it is in production: what the boundary, the scope and the
//! registry cost together, for an operation that answers at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use purveyor::plugin::{Clock, Environment, PluginsConfig, ProviderConfig, Registry, SystemClock};
use purveyor_sdk::plugin::v1::{CallContext, CallKind, Op};

use crate::stage::Stage;
use crate::table::{head, median, row};

const ROUNDS: usize = 9;
const SPAN: Duration = Duration::from_millis(300);

pub(crate) async fn measure(stage: &Stage) -> Result<String> {
    let plugins = PluginsConfig {
        directory: stage.artifacts.plugins.clone(),
        pins: stage.artifacts.pins.clone(),
        ..PluginsConfig::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::open()?);
    let account = ProviderConfig::new("memory", "memory", "http://127.0.0.1:9/".parse()?);
    let registry = Registry::open(plugins, vec![account], Environment::new(clock)).await;
    let provider = registry.get("memory").context("the plugin is not loaded")?;
    let context = CallContext::default();
    let mut measured = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut calls = 0_u32;
        while began.elapsed() < SPAN {
            for _ in 0..1000 {
                provider.call(CallKind::Read, Op::Identify, &[], &context).await?;
            }
            calls += 1000;
        }
        measured.push(began.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    let mut table =
        head("A call into a loaded plugin", &["operation", "median", "fastest", "slowest"]);
    let fastest = measured.iter().copied().fold(f64::INFINITY, f64::min);
    let slowest = measured.iter().copied().fold(0.0, f64::max);
    let nanoseconds = |time: f64| format!("{time:.0} ns");
    row(
        &mut table,
        &[
            "one that answers at once".to_owned(),
            nanoseconds(median(measured)),
            nanoseconds(fastest),
            nanoseconds(slowest),
        ],
    );
    Ok(table)
}
