//! The second half of the check: what each plugin's manifest demands of the accounts that use it.
//! It takes manifests as they are and loads nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use purveyor_sdk::body;
use purveyor_sdk::plugin::v1::Manifest;
use purveyor_sdk::plugin::v1::r#match::Test;

use super::document::nearest;
use super::report::{Mistake, Report};
use super::{Config, server};
use crate::engine::drain::{ATTEMPT_MARGIN, Drain};
use crate::plugin::{ProviderConfig, Timing};

impl Config {
    /// Checks every provider against its plugin's manifest: credentials, the plugin's own table,
    /// floors of times, the rate. A provider whose plugin is in `quarantined` is passed over: that
    /// is told elsewhere and keeps no other from starting.
    ///
    /// # Errors
    /// Every mistake, each with line and key.
    pub fn check_declared(
        &self,
        manifests: &BTreeMap<String, &Manifest>,
        quarantined: &[&str],
    ) -> Result<(), Report> {
        let mut mistakes = Vec::new();
        for provider in &self.providers {
            match manifests.get(&provider.plugin) {
                Some(manifest) => self.check_provider(provider, manifest, &mut mistakes),
                None if quarantined.contains(&provider.plugin.as_str()) => {}
                None => mistakes.push(self.no_plugin(provider, manifests)),
            }
        }
        if mistakes.is_empty() { Ok(()) } else { Err(Report::of(&self.file, mistakes)) }
    }

    /// Checks that each former id is of a provider with the same plugin. `plugins` are those that the store
    /// knows of former ids.
    ///
    /// # Errors
    /// Every mistake, each with line and key.
    pub fn check_formers(&self, plugins: &BTreeMap<String, String>) -> Result<(), Report> {
        let mut mistakes = Vec::new();
        for provider in &self.providers {
            for former in &provider.formerly {
                let Some(stored) = plugins.get(former).filter(|it| **it != provider.plugin) else {
                    continue;
                };
                let message = format!(
                    "{former:?} had plugin {stored:?}, and this provider has {:?}: what is stored of one \
                     upstream cannot go on at another",
                    provider.plugin
                );
                let hint = format!("configure [providers.{former}] with plugin {stored:?}");
                mistakes.push(self.mistake(provider, "formerly", message, Some(hint)));
            }
        }
        if mistakes.is_empty() { Ok(()) } else { Err(Report::of(&self.file, mistakes)) }
    }

    /// How long a stop may take, and the warning that it cuts attempts which the slowest provider allows.
    pub fn drain(&self, manifests: &BTreeMap<String, &Manifest>) -> (Drain, Option<Mistake>) {
        let timeouts = self.providers.iter().filter_map(|provider| {
            let manifest = manifests.get(&provider.plugin)?;
            Some((Timing::new(provider, manifest).attempt_timeout, provider))
        });
        let slowest = timeouts.max_by_key(|(timeout, _)| *timeout);
        let reads = self.server.limits.drain;
        let needed = slowest.map(|(timeout, _)| timeout.saturating_add(ATTEMPT_MARGIN));
        let attempts = match (self.server.drain, needed) {
            (Some(configured), _) => configured,
            (None, needed) => needed.unwrap_or_default().max(reads),
        };
        let short = slowest.zip(needed).filter(|(_, needed)| attempts < *needed);
        let warning = short.map(|((timeout, provider), needed)| Mistake {
            line: self.lines.of(server::DRAIN),
            key: server::DRAIN.to_owned(),
            message: format!(
                "is {}, less than the {} ms that an attempt at {} may take ({} ms, and {} ms to store its \
                 outcome): a stop can cut a purchase, whose outcome a person may have to find out",
                attempts.as_millis(),
                needed.as_millis(),
                provider.name(),
                timeout.as_millis(),
                ATTEMPT_MARGIN.as_millis(),
            ),
            hint: Some("leave it out".to_owned()),
        });
        (Drain { reads, attempts }, warning)
    }

    fn check_provider(
        &self,
        provider: &ProviderConfig,
        manifest: &Manifest,
        mistakes: &mut Vec<Mistake>,
    ) {
        mistakes.extend(self.credentials(provider, manifest));
        mistakes.extend(self.settings(provider, manifest));
        mistakes.extend(self.refusal_words(provider, manifest));
        if !self.development {
            mistakes.extend(self.floors(provider, manifest));
            mistakes.extend(self.rate(provider, manifest));
        }
    }

    fn no_plugin(
        &self,
        provider: &ProviderConfig,
        manifests: &BTreeMap<String, &Manifest>,
    ) -> Mistake {
        let names: Vec<&str> = manifests.keys().map(String::as_str).collect();
        let directory = self.plugins.directory.display();
        let message = format!("no plugin {:?} is in {directory}", provider.plugin);
        let hint = nearest(&provider.plugin, &names).map(|near| format!("did you mean {near:?}?"));
        self.mistake(provider, "plugin", message, hint)
    }

    fn credentials(&self, provider: &ProviderConfig, manifest: &Manifest) -> Vec<Mistake> {
        let known: Vec<&str> = manifest.credentials.iter().map(|c| c.name.as_str()).collect();
        let missing = manifest
            .credentials
            .iter()
            .filter(|c| !c.optional && !provider.credentials.contains_key(&c.name))
            .map(|c| {
                (format!("credentials.{}", c.name), "is missing".to_owned(), Some(&c.description))
            })
            .map(|(key, message, hint)| self.mistake(provider, &key, message, hint.cloned()));
        let unknown = provider.credentials.keys().filter(|name| !known.contains(&name.as_str()));
        let unknown = unknown.map(|name| {
            let hint = nearest(name, &known).map(|near| format!("did you mean {near:?}?"));
            let message = format!("is not known to plugin {:?}", provider.plugin);
            self.mistake(provider, &format!("credentials.{name}"), message, hint)
        });
        missing.chain(unknown).collect()
    }

    fn settings(&self, provider: &ProviderConfig, manifest: &Manifest) -> Vec<Mistake> {
        let validator = match validator(&manifest.configuration_schema) {
            Ok(validator) => validator,
            Err(error) => {
                let message = format!("plugin {:?} has no usable schema: {error}", provider.plugin);
                return vec![self.mistake(provider, "plugin", message, None)];
            }
        };
        let errors = validator.iter_errors(&provider.configuration);
        errors.flat_map(|error| self.setting(provider, &error)).collect()
    }

    /// A setting that its schema refuses. Values are not repeated: an operator may have put a secret
    /// where it does not belong.
    fn setting(&self, provider: &ProviderConfig, error: &ValidationError<'_>) -> Vec<Mistake> {
        let place = format!("settings{}", error.instance_path().to_string().replace('/', "."));
        let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
            return vec![self.mistake(provider, &place, error.masked().to_string(), None)];
        };
        // Each of them has a line of its own.
        let unknown = unexpected.iter().map(|key| {
            let message = format!("is not known to plugin {:?}", provider.plugin);
            self.mistake(provider, &format!("{place}.{key}"), message, None)
        });
        unknown.collect()
    }

    /// Words of refusal for a plugin that takes none, and those that are its words of success.
    fn refusal_words(&self, provider: &ProviderConfig, manifest: &Manifest) -> Vec<Mistake> {
        let refusals = manifest.proofs.iter().flat_map(|proof| &proof.matches);
        let taken =
            refusals.filter(|one| matches!(&one.test, Some(Test::Words(it)) if it.configurable));
        let pointers: Vec<&str> = taken.map(|one| one.pointer.as_str()).collect();
        if pointers.is_empty() && !provider.refusal_words.is_empty() {
            let message = format!("plugin {:?} takes no words of refusal", provider.plugin);
            return vec![self.mistake(
                provider,
                "refusal_words",
                message,
                Some("leave it out".into()),
            )];
        }
        let shapes = manifest.calls.iter().flat_map(|call| [&call.success, &call.payment_due]);
        let conditions = shapes.flatten().flat_map(|shape| &shape.matches);
        let there = conditions.filter(|one| pointers.contains(&one.pointer.as_str()));
        let success: Vec<String> = there.flat_map(|one| words_of(one.test.as_ref())).collect();
        let wrong = provider.refusal_words.iter().enumerate();
        let wrong = wrong.filter(|(_, word)| body::is_word(word, &success)).map(|(index, word)| {
            let message = format!("{word:?} is a word of success to plugin {:?}", provider.plugin);
            self.mistake(provider, &format!("refusal_words.{index}"), message, None)
        });
        wrong.collect()
    }

    fn floors(&self, provider: &ProviderConfig, manifest: &Manifest) -> Vec<Mistake> {
        let floors = manifest.timing.unwrap_or_default();
        let lags = manifest.methods.iter().filter_map(|method| method.effect_lag);
        let effect_lag = lags.max_by_key(|lag| (lag.seconds, lag.nanos));
        let configured = &provider.timing;
        let pairs = [
            ("attempt_timeout_ms", configured.attempt_timeout, &floors.attempt_timeout),
            ("upstream_idle_ms", configured.upstream_idle, &floors.upstream_idle),
            ("upstream_processing_ms", configured.upstream_processing, &floors.upstream_processing),
            ("listing_lag_ms", configured.listing_lag, &floors.listing_lag),
            ("effect_lag_ms", configured.effect_lag, &effect_lag),
        ];
        let mistakes = pairs.into_iter().filter_map(|(key, configured, floor)| {
            let floor = Duration::try_from((*floor)?).ok()?;
            (configured? < floor).then(|| {
                let message = format!("is below the plugin's floor of {} ms", floor.as_millis());
                let hint = "only engine.development lifts floors, for simulators".to_owned();
                self.mistake(provider, &format!("timing.{key}"), message, Some(hint))
            })
        });
        mistakes.collect()
    }

    fn rate(&self, provider: &ProviderConfig, manifest: &Manifest) -> Option<Mistake> {
        let rate = provider.rate?;
        let allowed = manifest.rate.filter(|allowed| allowed.requests > 0)?;
        let period = Duration::try_from(allowed.period?).ok()?;
        let requests = u128::from(allowed.requests.unsigned_abs());
        // Compared crosswise, so that nothing is rounded.
        let above =
            u128::from(rate.requests) * period.as_nanos() > requests * rate.period.as_nanos();
        above.then(|| {
            let message = format!(
                "is above what the upstream allows: {requests} in {} ms",
                period.as_millis()
            );
            let hint = "only engine.development lifts rates, for simulators".to_owned();
            self.mistake(provider, "rate", message, Some(hint))
        })
    }

    fn mistake(
        &self,
        provider: &ProviderConfig,
        key: &str,
        message: String,
        hint: Option<String>,
    ) -> Mistake {
        let key = format!("providers.{}.{key}", provider.id);
        Mistake { line: self.lines.of(&key), key, message, hint }
    }
}

/// The words that a condition of success is met by.
fn words_of(test: Option<&Test>) -> Vec<String> {
    match test {
        Some(Test::Equals(text)) => vec![text.clone()],
        Some(Test::Words(it)) => it.words.clone(),
        _ => Vec::new(),
    }
}

/// The validator of a plugin's table. It fetches nothing: a schema that points elsewhere is refused.
fn validator(schema: &str) -> Result<Validator, String> {
    let schema = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    jsonschema::draft202012::new(&schema).map_err(|error| error.to_string())
}
