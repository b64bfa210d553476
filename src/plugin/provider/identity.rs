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
use crate::plugin::redact::CUT;
use crate::plugin::work_slot::pause_work;

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
    /// When the upstream was asked.
    asked: BootInstant,
    /// How many refusals of a credential were noted before that. One more, and it is asked again: also
    /// for a refusal that was noted while the answer was on its way.
    refusals: u64,
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
        if let Some(told) = self.fresh_identity() {
            return self.identified(told.identity.as_deref(), false);
        }
        let failures = self.identification.known().failures;
        // Whoever waits for another one's question does not hold a place for it.
        pause_work();
        let _asking = self.identification.asking.lock().await;
        if let Some(told) = self.fresh_identity() {
            return self.identified(told.identity.as_deref(), false);
        }
        if let Some(error) = self.identification.failed_since(failures) {
            return Err(error);
        }
        let refusals = self.lifecycle.refusals();
        match self.ask_identity().await {
            Ok(identity) => {
                let asked = self.identification.clock.boot();
                let identified = self.identified(identity.as_deref(), true)?;
                self.identification.accounts.learn(self.id(), &identified.account.identity);
                self.lifecycle.share_limits(&identified.account.key);
                self.identification.known().told = Some(Told { identity, asked, refusals });
                Ok(identified)
            }
            Err(error) => {
                let mut known = self.identification.known();
                known.failures += 1;
                known.failed = Some((error.reason, error.message.clone()));
                Err(error)
            }
        }
    }

    /// What the upstream told within the hour, unless a credential was refused since.
    fn fresh_identity(&self) -> Option<Told> {
        let (now, refusals) = (self.identification.clock.boot(), self.lifecycle.refusals());
        let told = self.identification.known().told.clone()?;
        let is_young = now.since(told.asked).is_some_and(|age| age < FRESH);
        (is_young && told.refusals == refusals).then_some(told)
    }

    async fn ask_identity(&self) -> Result<Option<String>, Error> {
        let request = IdentifyRequest {}.encode_to_vec();
        let answer =
            self.call(CallKind::Read, Op::Identify, &request, &CallContext::default()).await;
        let account = match answer {
            Ok(bytes) => {
                IdentifyResponse::decode(bytes)
                    .map_err(|error| answers::undecodable(error.to_string()))?
                    .account
            }
            Err(error) if error.reason == ErrorReason::CapabilityUnsupported => return Ok(None),
            Err(error) => return Err(error),
        };
        if account.is_empty() {
            return Err(Error::fault("the plugin told an empty account"));
        }
        if account.contains(CUT) {
            // Accounts that differ in nothing but their secret would be taken for one.
            return Err(Error::fault("the plugin told an account that holds a credential"));
        }
        Ok(Some(account))
    }

    fn identified(&self, identity: Option<&str>, asked: bool) -> Result<Identified, Error> {
        let account = self.identification.accounts.account(self.id(), identity);
        let account = account.ok_or_else(|| Error::fault("the provider is not registered"))?;
        Ok(Identified { account, asked })
    }

    /// The account as it was told to this process, however long ago.
    pub fn told_account(&self) -> Option<Account> {
        let told = self.identification.known().told.clone()?;
        self.identification.accounts.account(self.id(), told.identity.as_deref())
    }

    /// The account as far as it is known: as it was told, else as it was stored; by the configuration
    /// where the plugin cannot tell.
    pub fn account(&self) -> Option<Account> {
        if let Some(told) = self.told_account() {
            return Some(told);
        }
        let stored = self.identification.known().stored.clone()?;
        let from_configuration = self.identification.accounts.account(self.id(), None)?;
        if self.cannot_identify() || from_configuration.identity == stored {
            return Some(from_configuration);
        }
        self.identification.accounts.account(self.id(), Some(&stored))
    }

    /// Takes over what was stored of its account, by this or another process. What was told at another
    /// origin or by another plugin is passed over.
    pub fn recall_account(&self, plugin: &str, origin: &str, identity: &str) {
        if self.identification.accounts.recall(self.id(), plugin, origin, identity) {
            self.identification.known().stored = Some(identity.to_owned());
        }
    }

    /// Lets [`Provider::identify`] ask the upstream again: it has refused a credential.
    pub fn forget_identity(&self) {
        self.lifecycle.note_refusal();
    }

    /// Whether its plugin declares no method that tells the identity: then the configuration alone says
    /// whose account it is, and what was stored under an earlier one does not count.
    fn cannot_identify(&self) -> bool {
        self.plugin.is_some() && self.method(Op::Identify).is_none()
    }

    /// Notes what the configuration says, where that is all there is to know.
    pub(super) fn identify_from_configuration(&self) {
        let from_configuration = self.identification.accounts.account(self.id(), None);
        if let Some(account) = from_configuration.filter(|_| self.cannot_identify()) {
            self.identification.accounts.learn(self.id(), &account.identity);
        }
    }

    /// Whether it may write: not while another provider has its identity at another origin and the
    /// configuration does not say whether they are one account or two.
    ///
    /// # Errors
    ///
    /// ACCOUNT_CHANGED, with what to set.
    pub fn may_write(&self) -> Result<(), Error> {
        self.identification.accounts.may_write(self.id())
    }

    /// Why it takes no writes, for a person.
    pub fn undecided_account(&self) -> Option<String> {
        self.identification.accounts.undecided(self.id())
    }

    /// An error of the plugin's; one that tells of the credential lets the account be asked again.
    pub(super) fn note_credential_error(&self, error: Error) -> Error {
        if error.reason == ErrorReason::UpstreamCredentials {
            self.forget_identity();
        }
        error
    }

    /// As [`Provider::note_credential_error`], for a step that was rejected.
    pub(super) fn note_rejection(&self, outcome: Option<&StepOutcome>) {
        if let Some(Said::Rejected(rejected)) = outcome.and_then(|it| it.outcome.as_ref())
            && let Some(error) = &rejected.error
            && error.reason() == ErrorReason::UpstreamCredentials
        {
            self.forget_identity();
        }
    }
}
