//! How long things take at one account: the manifest's values, or those that the configuration puts
//! in their place. It knows no clock.

use std::time::Duration;

use purveyor_sdk::plugin::v1::Manifest;

use super::config::ProviderConfig;

/// Where neither the manifest nor the configuration says how long an attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// The five settings of an account; the fifth, the permit's life, is the executor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long one spend may take until its answer is complete.
    pub attempt_timeout: Duration,
    /// How long the upstream keeps an idle connection; `None`: nobody has said.
    pub upstream_idle: Option<Duration>,
    /// How long the upstream may work on after its connection is gone; `None`: nobody has said.
    pub upstream_processing: Option<Duration>,
    /// How long something that exists may be missing from listings; `None`: nobody has said.
    pub listing_lag: Option<Duration>,
}

impl Timing {
    /// The account's settings. Whether an override may lie below the manifest's floor was decided
    /// when the configuration was read.
    pub fn new(config: &ProviderConfig, manifest: &Manifest) -> Self {
        let declared = manifest.timing.unwrap_or_default();
        let over = config.timing;
        let pick = |over: Option<Duration>, declared: Option<prost_types::Duration>| {
            over.or_else(|| declared.and_then(|declared| declared.try_into().ok()))
        };
        Self {
            attempt_timeout: pick(over.attempt_timeout, declared.attempt_timeout)
                .unwrap_or(ATTEMPT_TIMEOUT),
            upstream_idle: pick(over.upstream_idle, declared.upstream_idle),
            upstream_processing: pick(over.upstream_processing, declared.upstream_processing),
            listing_lag: pick(over.listing_lag, declared.listing_lag),
        }
    }
}
