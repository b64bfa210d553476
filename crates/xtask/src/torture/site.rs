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
use super::options::{Hazard, Options};
use super::person::is_shared;
use super::subject::Subject;
use super::upstream::Upstream;
use super::workload::{entry_id, twice};

/// How long gateways that share a store hold what they work on: the least that can be configured, so
/// that others take over soon.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// What each account is asked at the most, in a second and by all gateways.
const RATE: u32 = 100_000;

/// Long enough that no clock that is stepped ends an order that nobody has begun: an hour and more ahead,
/// or days behind.
const START_WITHIN_S: i64 = 30 * 86_400;

/// What the gateways have in common.
pub(crate) struct Site<'a> {
    pub(crate) options: &'a Options,
    pub(crate) artifacts: &'a Artifacts,
    pub(crate) folder: &'a Path,
    pub(crate) subjects: &'a [Box<dyn Subject>],
    /// The simulators of each provider, those of one site after those of another.
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
            .engine("start_within_s", START_WITHIN_S);
        if let Some(url) = shared {
            let lease = i64::try_from(LEASE.as_secs()).unwrap_or(i64::MAX);
            configuration = configuration.store(url).engine("lease_s", lease);
        }
        // Each gateway lacks another one for a while.
        let lacks = index % self.subjects.len();
        let mut lacking = configuration.clone();
        for (number, (subject, upstreams)) in self.subjects.iter().zip(self.upstreams).enumerate() {
            for account in 0..self.options.accounts() {
                for (id, provider) in self.entries(subject.as_ref(), upstreams, account) {
                    if number != lacks {
                        lacking = lacking.provider(&id, provider.clone());
                    }
                    configuration = configuration.provider(&id, provider);
                }
            }
        }
        let program = self.folder.join("purveyor");
        let restarts = index >= self.options.gateways()?;
        let lacking = lacking.write_as("lacking.toml", &folder)?;
        let configuration = configuration.write(&folder)?;
        Ok(Gateway { index, program, configuration, lacking, restarts })
    }

    /// The provider entries of one account: one, two of the same account, one more at another upstream.
    fn entries(
        &self,
        subject: &dyn Subject,
        upstreams: &[Upstream],
        account: usize,
    ) -> Vec<(String, Provider)> {
        let simulators = subject.simulators(self.options.accounts());
        let mut entries = Vec::new();
        let separate = upstreams.len() > simulators;
        for (site, upstreams) in upstreams.chunks(simulators).enumerate() {
            let twice = twice(self.options, subject) && site == 0;
            for entry in 0..=usize::from(twice) {
                let upstream = &upstreams[account % upstreams.len()];
                let mut provider = timed(subject.provider(account, &upstream.url));
                if self.options.has(Hazard::Person) && is_shared(account) {
                    provider = provider.shared();
                }
                if separate {
                    // Its upstreams tell one identity of accounts that are two.
                    provider = provider.account("separate");
                } else if twice && !subject.tells_identity() {
                    // The upstream does not say that both are one account.
                    provider = provider.account_id(&subject.holder(account));
                }
                entries.push((entry_id(subject.name(), account, entry, site), provider));
            }
        }
        entries
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
        .timing("effect_lag_ms", ms(TIMING.effect))
        .requests_per_second(RATE)
}
