//! How the gateways are configured: every account of every provider, with the times that the simulators
//! keep to. It must not start anything.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use xtask::artifacts::Artifacts;
use xtask::configuration::{Configuration, Provider};

use super::faults::TIMING;
use super::fleet::Gateway;
use super::options::Options;
use super::subject::Subject;
use super::upstream::Upstream;

/// How long gateways that share a store hold what they work on: the least that can be configured, so
/// that others take over soon.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// What each account is asked at the most, in a second and by all gateways.
const RATE: u32 = 100_000;

/// What the gateways have in common.
pub(crate) struct Site<'a> {
    pub(crate) options: &'a Options,
    pub(crate) artifacts: &'a Artifacts,
    pub(crate) folder: &'a Path,
    pub(crate) subjects: &'a [Box<dyn Subject>],
    pub(crate) upstreams: &'a [Vec<Upstream>],
}

impl Site<'_> {
    /// One of the gateways, on a store that is shared, or on one of its own.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub(crate) fn gateway(&self, index: usize, shared: Option<&str>) -> Result<Gateway> {
        let folder = self.folder.join(format!("gateway-{index}"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {folder:?}"))?;
        let mut configuration = Configuration::new(self.artifacts)
            .log_filter("warn")
            .engine("retry_first_ms", 50)
            .engine("retry_longest_ms", 1000)
            .engine("look_first_ms", 100)
            .engine("look_longest_ms", 1000)
            .engine("start_within_s", 86_400);
        if let Some(url) = shared {
            let lease = i64::try_from(LEASE.as_secs()).unwrap_or(i64::MAX);
            configuration = configuration.store(url).engine("lease_s", lease);
        }
        for (subject, upstreams) in self.subjects.iter().zip(self.upstreams) {
            for account in 0..self.options.accounts {
                let upstream = &upstreams[account % upstreams.len()];
                let provider = timed(subject.provider(account, &upstream.url));
                let id = format!("{}-{account}", subject.name());
                configuration = configuration.provider(&id, provider);
            }
        }
        let program = self.folder.join("purveyor");
        Ok(Gateway { index, program, configuration: configuration.write(&folder)? })
    }
}

/// The times that the simulators keep to. They do not count requests, and gateways that were killed
/// count as alive for a while and would keep their shares of a rate.
fn timed(provider: Provider) -> Provider {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    provider
        .timing("attempt_timeout_ms", ms(TIMING.attempt))
        .timing("upstream_idle_ms", ms(TIMING.idle))
        .timing("upstream_processing_ms", ms(TIMING.processing))
        .timing("listing_lag_ms", ms(TIMING.lag))
        .requests_per_second(RATE)
}
