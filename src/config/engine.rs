//! How operations are carried out: times and numbers that hold for every provider.

use super::document::Section;
use crate::engine::EngineConfig;
use crate::engine::machine::Backoff;

/// The engine's configuration, and whether manifests' floors of times and their rates are
/// lifted.
pub(crate) fn read(mut section: Section<'_>) -> (EngineConfig, bool) {
    let default = EngineConfig::default();
    let development = section.or("development", false);
    let s = &mut section;
    let config = EngineConfig {
        concurrent_operations: s.size(
            "concurrent_operations",
            default.concurrent_operations,
            1..=10_000,
        ),
        lease: s.seconds("lease_s", default.lease, 3..=3600),
        retry: Backoff {
            first: s.milliseconds("retry_first_ms", default.retry.first, 1..=600_000),
            longest: s.milliseconds("retry_longest_ms", default.retry.longest, 1..=3_600_000),
        },
        look: Backoff {
            first: s.milliseconds("look_first_ms", default.look.first, 1..=600_000),
            longest: s.milliseconds("look_longest_ms", default.look.longest, 1..=3_600_000),
        },
        start_within: s.seconds("start_within_s", default.start_within, 1..=2_592_000),
        retention: s.days("retention_days", default.retention, 400..=36_500),
        hold: s.or("hold", default.hold),
    };
    if config.retry.first > config.retry.longest {
        s.refuse("retry_first_ms", "is longer than retry_longest_ms");
    }
    if config.look.first > config.look.longest {
        s.refuse("look_first_ms", "is longer than look_longest_ms");
    }
    section.end();
    (config, development)
}
