//! What replicas of one store compare: a digest of the part of the configuration that decides how operations
//! are carried out. It holds no secret and nothing that differs between replicas that work alike.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Config;
use crate::plugin::ProviderConfig;

impl Config {
    /// SHA-256 over the providers with their plugins, endpoints, accounts and times.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update([u8::from(self.development)]);
        for provider in &self.providers {
            add_provider(&mut hash, provider);
        }
        hash.finalize().into()
    }
}

fn add_provider(hash: &mut Sha256, provider: &ProviderConfig) {
    let account = format!("{:?}", provider.account);
    let moved = provider.formerly_endpoint.as_ref().map(url::Url::as_str);
    let texts = [
        Some(provider.id.as_str()),
        Some(provider.plugin.as_str()),
        Some(provider.endpoint.as_str()),
        moved,
        Some(account.as_str()),
        provider.account_id.as_deref(),
        Some(provider.time_zone.as_str()),
    ];
    for text in texts {
        add_text(hash, text);
    }
    hash.update([u8::from(provider.account_shared)]);
    hash.update((provider.formerly.len() as u64).to_be_bytes());
    for former in &provider.formerly {
        add_text(hash, Some(former));
    }
    let timing = &provider.timing;
    let times = [
        timing.attempt_timeout,
        timing.upstream_idle,
        timing.upstream_processing,
        timing.listing_lag,
        timing.effect_lag,
    ];
    for time in times {
        let time = time.as_ref().map(Duration::as_nanos).map(|time| time.to_string());
        add_text(hash, time.as_deref());
    }
}

/// A text with its length before it, so that no two lists of texts are one.
fn add_text(hash: &mut Sha256, text: Option<&str>) {
    let length = text.map_or(u64::MAX, |text| text.len() as u64);
    hash.update(length.to_be_bytes());
    hash.update(text.unwrap_or_default());
}
