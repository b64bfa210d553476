//! Whose account a provider is: asked of the upstream, remembered for an hour, and asked again once a
//! credential was refused. Nothing is stored here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prost::Message;
use purveyor_sdk::Error;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Said;
use purveyor_sdk::plugin::v1::{
    CallContext, CallKind, IdentifyRequest, IdentifyResponse, Op, StepOutcome,
};
use purveyor_sdk::v1::ErrorReason;

use super::{Provider, answers};
use crate::plugin::account::{Account, Accounts};
use crate::plugin::clock::{BootInstant, Clock};

/// How long an identity that the upstream told counts before a spend: a credential can be pointed to
/// another account while the gateway runs.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// What one provider knows of its account.
#[derive(Debug)]
pub(in crate::plugin) struct Identification {
    accounts: Arc<Accounts>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// Held while the upstream is asked, so that it is asked once for all who wait.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// As the upstream told it to this process.
    told: Option<Told>,
    /// As it was stored, by whichever process.
    stored: Option<String>,
    /// How often the upstream was asked in vain, and why the last time.
    failures: u64,
    failed: Option<(ErrorReason, String)>,
}

#[derive(Debug, Clone)]
struct Told {
    /// `None`: the plugin cannot tell.
    identity: Option<String>,
    /// `None`: it has to be asked again.
    asked: Option<BootInstant>,
}

/// An account, and whether the upstream was asked for it just now.
#[derive(Debug, Clone)]
pub struct Identified {
    /// The account.
    pub account: Account,
    /// Whether it was asked now.
    pub asked: bool,
}

impl Identification {
    pub(in crate::plugin) fn new(accounts: Arc<Accounts>, clock: Arc<dyn Clock>) -> Self {
        Self { accounts, clock, known: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> Option<Told> {
        let now = self.clock.boot();
        let is_fresh = |asked: BootInstant| now.since(asked).is_some_and(|age| age < FRESH);
        self.known().told.clone().filter(|told| told.asked.is_some_and(is_fresh))
    }

    /// Why the upstream could not be asked, if it was asked in vain since there were `failures`.
    fn failed_since(&self, failures: u64) -> Option<Error> {
        let known = self.known();
        let (reason, message) = known.failed.as_ref()?;
        (known.failures > failures).then(|| Error::new(*reason, message.clone()))
    }
}

impl Provider {
    /// Whose account it is, as the upstream says; asked at most every hour, and again after a
    /// credential was refused. Where the plugin cannot tell: `account_id` of the configuration, or the
    /// provider's id.
    ///
    /// # Errors
    ///
    /// As [`Provider::call`].
    pub async fn identify(&self) -> Result<Identified, Error> {
        if self.lifecycle.take_refused_credential() {
            self.forget_identity();
        }
        if let Some(told) = self.whose.fresh() {
            return self.identified(told.identity.as_deref(), false);
        }
        let failures = self.whose.known().failures;
        let _asking = self.whose.asking.lock().await;
        if let Some(told) = self.whose.fresh() {
            return self.identified(told.identity.as_deref(), false);
        }
        if let Some(error) = self.whose.failed_since(failures) {
            return Err(error);
        }
        let asked = self.ask_identity().await;
        // What it was refused itself is told in its answer.
        self.lifecycle.take_refused_credential();
        let now = self.whose.clock.boot();
        match asked {
            Ok(identity) => {
                let identified = self.identified(identity.as_deref(), true)?;
                self.whose.accounts.learn(self.id(), &identified.account.identity);
                self.lifecycle.share_limits(&identified.account.key);
                let mut known = self.whose.known();
                known.told = Some(Told { identity, asked: Some(now) });
                Ok(identified)
            }
            Err(error) => {
                let mut known = self.whose.known();
                known.failures += 1;
                known.failed = Some((error.reason, error.message.clone()));
                Err(error)
            }
        }
    }

    async fn ask_identity(&self) -> Result<Option<String>, Error> {
        let request = IdentifyRequest {}.encode_to_vec();
        let answer =
            self.call(CallKind::Read, Op::Identify, &request, &CallContext::default()).await;
        let account = match answer {
            Ok(bytes) => IdentifyResponse::decode(bytes).map_err(answers::undecodable)?.account,
            Err(error) if error.reason == ErrorReason::CapabilityUnsupported => return Ok(None),
            Err(error) => return Err(error),
        };
        if account.is_empty() {
            return Err(Error::fault("the plugin told an empty account"));
        }
        Ok(Some(account))
    }

    fn identified(&self, identity: Option<&str>, asked: bool) -> Result<Identified, Error> {
        let account = self.whose.accounts.account(self.id(), identity);
        let account = account.ok_or_else(|| Error::fault("the provider is not registered"))?;
        Ok(Identified { account, asked })
    }

    /// The account as it was told to this process, however long ago.
    pub fn told_account(&self) -> Option<Account> {
        let told = self.whose.known().told.clone()?;
        self.whose.accounts.account(self.id(), told.identity.as_deref())
    }

    /// The account as far as it is known: as it was told, else as it was stored.
    pub fn account(&self) -> Option<Account> {
        if let Some(told) = self.told_account() {
            return Some(told);
        }
        let stored = self.whose.known().stored.clone()?;
        // What is stored where the plugin cannot tell is what the configuration says.
        let account = self.whose.accounts.account(self.id(), None)?;
        if account.identity == stored {
            return Some(account);
        }
        self.whose.accounts.account(self.id(), Some(&stored))
    }

    /// Takes over what was stored of its account, by this or another process. What was told at another
    /// origin or by another plugin is passed over.
    pub fn recall_account(&self, plugin: &str, origin: &str, identity: &str) {
        if self.whose.accounts.recall(self.id(), plugin, origin, identity) {
            self.whose.known().stored = Some(identity.to_owned());
        }
    }

    /// Lets [`Provider::identify`] ask the upstream again.
    pub fn forget_identity(&self) {
        if let Some(told) = &mut self.whose.known().told {
            told.asked = None;
        }
    }

    /// Whether it may write: not while another provider has its identity at another origin and the
    /// configuration does not say whether they are one account or two.
    ///
    /// # Errors
    ///
    /// ACCOUNT_CHANGED, with what to set.
    pub fn may_write(&self) -> Result<(), Error> {
        self.whose.accounts.may_write(self.id())
    }

    /// Why it takes no writes, for a person.
    pub fn undecided_account(&self) -> Option<String> {
        self.whose.accounts.undecided(self.id())
    }

    /// An error of the plugin's; one that tells of the credential lets the account be asked again.
    pub(super) fn noting(&self, error: Error) -> Error {
        if error.reason == ErrorReason::UpstreamCredentials {
            self.forget_identity();
        }
        error
    }

    /// As [`Provider::noting`], for a step that was rejected.
    pub(super) fn note_rejection(&self, outcome: Option<&StepOutcome>) {
        if let Some(Said::Rejected(rejected)) = outcome.and_then(|it| it.outcome.as_ref())
            && let Some(error) = &rejected.error
            && error.reason() == ErrorReason::UpstreamCredentials
        {
            self.forget_identity();
        }
    }
}
