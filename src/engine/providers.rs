//! What the methods of Providers mean: what is configured, what it can do, and whether it works.
//!
//! Everything but CheckProvider is told from the configuration and the manifest; no upstream is asked.

use prost_types::{Duration, Timestamp};
use purveyor_sdk::Result;
use purveyor_sdk::names::ProviderName;
use purveyor_sdk::op::{self, OpKind};
use purveyor_sdk::page;
use purveyor_sdk::plugin::v1::{Method, Op, Rate};
use purveyor_sdk::term::Period;
use purveyor_sdk::v1::provider::State;
use purveyor_sdk::v1::{
    CheckProviderRequest, CheckProviderResponse, Confirmation, Effect, GetProviderRequest,
    ListProvidersRequest, ListProvidersResponse, MethodCapability, Notice, Plugin,
    Provider as Shown, ProviderLimits, Term,
};

use super::Engine;
use super::call::Call;
use super::made_here::timestamp;
use super::naming::{from_records, parse};
use super::page_token::PageTokens;
use super::policy::{SETTLE_DEFAULT, settle};
use super::reading::read;
use crate::plugin::{Availability, Provider};

const LIST: &str = "Providers.ListProviders";

/// The configured upstream accounts.
#[derive(Clone)]
pub struct Providers {
    engine: Engine,
    tokens: PageTokens,
}

impl Providers {
    /// The providers of this engine.
    pub fn new(engine: Engine) -> Providers {
        let tokens = PageTokens::new(engine.store().identity());
        Providers { engine, tokens }
    }

    /// Lists the configured providers, also those that are unavailable.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION, PAGE_TOKEN_INVALID.
    pub async fn list(
        &self,
        _call: &Call,
        request: ListProvidersRequest,
    ) -> Result<ListProvidersResponse> {
        let size = page::size(request.page_size)?;
        let after = self.tokens.upstream_cursor(LIST, &[], &request.page_token)?;
        let mut rest = self.engine.providers().iter().filter(|it| it.id() > after.as_str());
        let page: Vec<_> = rest.by_ref().take(size).collect();
        let mut next_page_token = match (rest.next(), page.last()) {
            (Some(_), Some(last)) => last.id().to_owned(),
            _ => String::new(),
        };
        self.tokens.seal_upstream(LIST, &[], &mut next_page_token);
        let providers = page.into_iter().map(|provider| shown(provider)).collect();
        Ok(ListProvidersResponse { providers, next_page_token })
    }

    /// Shows one provider: its state, its plugin, and what it can do.
    ///
    /// # Errors
    ///
    /// FIELD_VIOLATION, PROVIDER_NOT_FOUND.
    pub async fn get(&self, _call: &Call, request: GetProviderRequest) -> Result<Shown> {
        let name: ProviderName = parse(&request.name, "name")?;
        Ok(shown(self.engine.configured(&name)?.as_ref()))
    }

    /// Asks the upstream whether the provider works.
    ///
    /// # Errors
    ///
    /// As Providers.CheckProvider.
    pub async fn check(
        &self,
        call: &Call,
        request: CheckProviderRequest,
    ) -> Result<CheckProviderResponse> {
        let name: ProviderName = parse(&request.name, "name")?;
        let provider = self.engine.able(&name, Op::CheckProvider)?;
        let deadline = call.deadline;
        let told: CheckProviderResponse =
            read(&provider, Op::CheckProvider, &request, &[], deadline).await?;
        let account = match told.account.as_str() {
            "" => provider.account().map(|account| account.identity).unwrap_or_default(),
            account => account.to_owned(),
        };
        let check_time: Option<Timestamp> = Some(timestamp(self.engine.clock().wall()));
        Ok(CheckProviderResponse { name: name.to_string(), account, check_time, ..told })
    }
}

/// A provider as a caller sees it.
fn shown(provider: &Provider) -> Shown {
    let (config, manifest) = (provider.config(), provider.manifest());
    let (state, state_message) = match provider.state() {
        Availability::Available => (State::Available, String::new()),
        Availability::Unavailable { reason } => (State::Unavailable, reason),
    };
    let mut methods: Vec<MethodCapability> =
        manifest.methods.iter().filter_map(|method| capability(provider, method)).collect();
    methods.extend(from_records(manifest).into_iter().map(|method| MethodCapability {
        method: method.to_owned(),
        effect: Effect::Read.into(),
        ..MethodCapability::default()
    }));
    Shown {
        name: config.name(),
        display_name: config.display_name.clone(),
        state: state.into(),
        state_message,
        plugin: plugin(provider),
        methods,
        limits: Some(limits(provider)),
        configuration_schema: manifest.configuration_schema.clone(),
        account: provider.account().map(|account| account.identity).unwrap_or_default(),
        time_zone: config.time_zone.clone(),
        account_shared: config.account_shared,
        endpoint: config.endpoint.origin().ascii_serialization(),
        notices: manifest.notices.iter().cloned().chain(undecided(provider)).collect(),
    }
}

/// Why nothing is written at the provider, where the configuration has to say whose account it is.
fn undecided(provider: &Provider) -> Option<Notice> {
    let message = provider.undecided_account()?;
    let reason = "ACCOUNT_UNDECIDED".to_owned();
    Some(Notice { reason, message, ..Notice::default() })
}

/// A method of the API; `None` for what serves the gateway alone.
fn capability(provider: &Provider, method: &Method) -> Option<MethodCapability> {
    let info = op::info(method.op()).filter(|info| info.kind != OpKind::Engine)?;
    Some(MethodCapability {
        method: info.method.to_owned(),
        effect: provider.effect(method.op()).into(),
        evidence: method.evidence,
        validate_asks_upstream: method.validate_asks_upstream,
        price_known: method.price_known,
        calls: method.calls.clone(),
        updatable_paths: method.updatable_paths.clone(),
        terms: method.terms.iter().map(|period| term(period)).collect(),
        max_items: method.max_items,
        cancel_policies: method.cancel_policies.clone(),
        can_leave_unpaid: method.can_leave_unpaid,
        notices: method.notices.iter().cloned().chain(unread(method)).collect(),
        confirmation: method.confirmation,
        effect_lag: match method.confirmation() {
            Confirmation::Read => {
                provider.effect_lag(method.op()).and_then(|it| it.try_into().ok())
            }
            Confirmation::Answer | Confirmation::Unspecified => None,
        },
    })
}

/// What a caller should know of a write whose effect nobody can read.
fn unread(method: &Method) -> Option<Notice> {
    (method.confirmation() == Confirmation::Answer).then(|| Notice {
        reason: "EFFECT_NOT_READ".to_owned(),
        message: "the effect cannot be read upstream; its answer counts as the effect".to_owned(),
        ..Notice::default()
    })
}

/// A term of the manifest, which has no spelling of the upstream's.
fn term(period: &str) -> Term {
    match period.parse::<Period>() {
        Ok(period) => Term::recurring(period, ""),
        Err(_) => Term::unknown(period),
    }
}

fn plugin(provider: &Provider) -> Option<Plugin> {
    let info = provider.plugin_info()?;
    Some(Plugin {
        name: info.name.clone(),
        version: info.version.clone(),
        sha256: info.sha256.clone(),
        abi_version: info.abi_version.clone(),
        generation: i32::try_from(info.generation).unwrap_or(i32::MAX),
    })
}

fn limits(provider: &Provider) -> ProviderLimits {
    let config = provider.config();
    let declared = provider.manifest().rate.filter(|rate| rate.requests > 0);
    // What egress keeps to: the lower of the manifest's rate and the configuration's, unless lifted.
    let configured = config.rate.map(|rate| Rate {
        requests: i32::try_from(rate.requests).unwrap_or(i32::MAX),
        period: Duration::try_from(rate.period).ok(),
    });
    let rate = match (declared, configured) {
        (Some(_), Some(lifted)) if config.rate_lifted => Some(lifted),
        (Some(declared), Some(configured)) => Some(slower(declared, configured)),
        (declared, configured) => declared.or(configured),
    };
    ProviderLimits {
        rate_requests: rate.map_or(0, |rate| rate.requests),
        rate_period: rate.and_then(|rate| rate.period),
        concurrent_requests: i32::try_from(config.concurrent_requests).unwrap_or(i32::MAX),
        settle: Duration::try_from(settle(provider.timing()).unwrap_or(SETTLE_DEFAULT)).ok(),
    }
}

fn slower(one: Rate, other: Rate) -> Rate {
    let nanos = |rate: &Rate| {
        let period = rate.period.unwrap_or_default();
        i128::from(period.seconds) * 1_000_000_000 + i128::from(period.nanos)
    };
    // Requests by time, compared without a division.
    let less = i128::from(one.requests) * nanos(&other) <= i128::from(other.requests) * nanos(&one);
    if less { one } else { other }
}

#[cfg(test)]
mod tests {
    use prost_types::Duration;
    use purveyor_sdk::plugin::v1::Rate;
    use purveyor_sdk::v1::term::Kind;

    use super::{slower, term};

    #[test]
    fn the_slower_rate_is_told() {
        fn check(one: (i32, i64), other: (i32, i64), expected: (i32, i64)) {
            let rate = |(requests, seconds)| Rate {
                requests,
                period: Some(Duration { seconds, nanos: 0 }),
            };
            assert_eq!(slower(rate(one), rate(other)), rate(expected));
            assert_eq!(slower(rate(other), rate(one)), rate(expected));
        }
        check((30, 2), (10, 2), (10, 2));
        check((30, 2), (10, 1), (10, 1));
        check((60, 60), (2, 1), (60, 60));
    }

    #[test]
    fn terms_of_the_manifest_recur() {
        assert_eq!((term("P12M").kind(), term("P12M").period), (Kind::Recurring, "P1Y".to_owned()));
        assert_eq!(term("Decennial").kind(), Kind::Unspecified);
    }
}
