//! Plugins as the rest of the host uses them: loading and checking them, one [`Provider`] for every
//! configured account, and the only way from a plugin to its upstream. It knows the plugin boundary
//! and the SDK's types, and nothing of operations, stores or callers; what it must ask them it asks
//! through [`Permits`] and [`WorkSlot`].

mod registry;

mod provider;

mod permits;
mod spend;

mod scope;

mod services;

mod egress;

mod redact;
mod sanitize;

mod loader;

mod account;
mod clock;
mod config;
mod timing;
mod work_slot;

pub use account::{Account, AccountKey, AccountSetting, origin_of};
pub use clock::{BootInstant, Clock, ManualClock, SystemClock};
pub use config::{
    CONCURRENT_REQUESTS, MAX_ANSWER_BYTES, PluginsConfig, ProviderConfig, RateOverride,
    TimingOverride,
};
pub use egress::{AddressError, CredentialError, EgressError, Resolve, SystemResolver, TlsError};
pub use loader::{ElfError, FileError, LoadError, Loader, Plugin};
pub use permits::{Permit, PermitRequest, Permits};
pub use provider::{Availability, Identified, PluginInfo, Provider};
pub use registry::{Environment, Refusal, Registry};
pub use spend::{Answer, ProofSeen, Seen, Spend, Stepped};
pub use timing::Timing;
pub use work_slot::{WorkSlot, pause_work, work_from};
