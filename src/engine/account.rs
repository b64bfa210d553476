//! Which account an operation belongs to: asked before a spend, remembered for reads, stored so that a
//! write is accepted while the upstream cannot be asked.

use std::time::Duration;

use purveyor_sdk::{Error, Result};

use super::Engine;
use super::machine::{locks, transient};
use crate::plugin::{Account, Identified, Provider};
use crate::store::operation::{Lock, Operation};
use crate::store::{AccountAdoption, AccountRecord, PAGE_MAX, Query, Store, StoreError};

/// How long accepting a write waits for an upstream that is asked for the first time. Then it is
/// accepted by what is stored, and the account is asked again before anything is sent.
const ACCEPTANCE_WAIT: Duration = Duration::from_secs(3);

/// What an operation stores of its account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOf {
    /// As every version names it.
    pub identity: String,
    /// Among all accounts of all plugins.
    pub key: String,
}

impl AccountOf {
    /// What is stored of an account.
    pub fn new(account: &Account) -> AccountOf {
        let key = account.key.to_string();
        AccountOf { identity: account.legacy_identity.clone(), key }
    }
}

impl Engine {
    /// Takes over whose accounts the providers were, by what this and other processes have stored.
    pub(super) async fn recall_accounts(&self) -> Result<Vec<AccountRecord>, StoreError> {
        let records = self.inner.store.accounts().await?;
        for record in &records {
            if let Some(provider) = self.inner.providers.get(&record.provider) {
                provider.recall_account(&record.plugin, &record.origin, &record.identity);
            }
        }
        Ok(records)
    }

    /// Whose account a provider is, for a step: told within the hour, and stored, with everything that
    /// was held and claimed for it before.
    ///
    /// # Errors
    ///
    /// Those of the provider, STORE_UNAVAILABLE.
    pub(super) async fn account_for_step(&self, provider: &Provider) -> Result<Account> {
        let Identified { account, asked } = provider.identify().await?;
        if asked || !self.inner.adopted.contains(provider.id(), account.key.as_str()) {
            self.adopt_account(provider, &account).await?;
        }
        Ok(account)
    }

    /// As [`Engine::account_for_step`], for what sends nothing that changes anything: the account that
    /// was told to this process stands while the upstream cannot be asked again.
    ///
    /// # Errors
    ///
    /// As [`Engine::account_for_step`], where nothing was told yet.
    pub(super) async fn account_for_poll(&self, provider: &Provider) -> Result<Account> {
        match self.account_for_step(provider).await {
            Ok(account) => Ok(account),
            Err(error) => provider.told_account().ok_or(error),
        }
    }

    /// Whose account a provider is, for a caller's read: nobody is asked who has told it once.
    ///
    /// # Errors
    ///
    /// Those of the provider, where nothing is known.
    pub(super) async fn account_for_read(&self, provider: &Provider) -> Result<Account> {
        if let Some(told) = provider.told_account() {
            return Ok(told);
        }
        match self.account_for_step(provider).await {
            Ok(account) => Ok(account),
            Err(error) => provider.account().ok_or(error),
        }
    }

    /// The account that a write is accepted for: as it was told, else as it was stored; empty where
    /// nobody knows it yet, and the first step fills it in.
    ///
    /// # Errors
    ///
    /// Those of the provider that do not pass by themselves.
    pub(super) async fn account_at_acceptance(&self, provider: &Provider) -> Result<AccountOf> {
        if let Some(told) = provider.told_account() {
            return Ok(AccountOf::new(&told));
        }
        let asked = tokio::time::timeout(ACCEPTANCE_WAIT, self.account_for_step(provider)).await;
        match asked {
            Ok(Ok(account)) => Ok(AccountOf::new(&account)),
            Ok(Err(error)) if !transient(error.reason) => Err(error),
            Ok(Err(_)) | Err(_) => {
                Ok(provider.account().as_ref().map(AccountOf::new).unwrap_or_default())
            }
        }
    }

    /// Stores whose account a provider is where that is not stored yet, and learns what other processes
    /// have stored.
    async fn adopt_account(&self, provider: &Provider, account: &Account) -> Result<()> {
        let records = self.recall_accounts().await?;
        let record = AccountRecord {
            provider: provider.id().to_owned(),
            plugin: provider.config().plugin.clone(),
            origin: account.origin.clone(),
            identity: account.identity.clone(),
            key: account.key.to_string(),
            seen_time: self.wall(),
        };
        let stored = records.iter().find(|stored| stored.provider == record.provider);
        let unchanged = stored.is_some_and(|stored| {
            AccountRecord { seen_time: record.seen_time, ..stored.clone() } == record
        });
        if !unchanged {
            let formers = account.former_keys.iter().chain(&account.aliases).cloned().collect();
            let foreign = account.foreign.clone();
            let holders = self.holders(provider, account).await?;
            let adoption = AccountAdoption { record, formers, foreign, holders };
            self.inner.store.put_account(adoption).await?;
        }
        self.inner.adopted.insert(provider.id(), account.key.as_str());
        Ok(())
    }

    /// What open operations of the account hold that were stored before its key was known: they hold
    /// it from now on, and not only from their next commit.
    async fn holders(
        &self,
        provider: &Provider,
        account: &Account,
    ) -> Result<Vec<(uuid::Uuid, u64, Vec<Lock>)>, StoreError> {
        let mut query = Query {
            provider: Some(provider.id().to_owned()),
            open_only: true,
            limit: PAGE_MAX,
            ..Query::default()
        };
        let mut holders = Vec::new();
        loop {
            let page = self.inner.store.list(&query).await?;
            query.after = page.last().map(|last| (last.create_time, last.request_id));
            let is_last = page.len() < PAGE_MAX;
            let ours = |it: &Operation| account.owns(&it.account, &it.account_key);
            for operation in page.into_iter().filter(ours) {
                let held = locks(&operation, &self.policy(&operation));
                holders.push((operation.request_id, operation.version, held));
            }
            if is_last {
                return Ok(holders);
            }
        }
    }
}

/// The plugin that a provider had when something was stored of it; `None` where nothing is.
///
/// # Errors
///
/// When the store cannot be read.
pub async fn stored_plugin(
    store: &dyn Store,
    provider: &str,
) -> Result<Option<String>, StoreError> {
    let accounts = store.accounts().await?;
    if let Some(account) = accounts.into_iter().find(|account| account.provider == provider) {
        return Ok(Some(account.plugin));
    }
    let provider = Some(provider.to_owned());
    let query = Query { provider, limit: PAGE_MAX, ..Query::default() };
    let operations = store.list(&query).await?;
    // A key begins with the plugin.
    let plugins = operations.iter().filter_map(|it| it.account_key.split_once(' '));
    Ok(plugins.map(|(plugin, _)| plugin.to_owned()).next())
}

/// Refuses a provider that points to another account than an operation's.
///
/// # Errors
///
/// The account that it points to, for a person.
pub(super) fn check_owner(operation: &Operation, account: &Account) -> Result<(), String> {
    if account.owns(&operation.account, &operation.account_key) {
        return Ok(());
    }
    Err(account.key.to_string())
}

/// What a person is told of an operation whose provider points to the account `now`. Both accounts are
/// named by their keys, which differ also where the identity is the same.
pub(super) fn changed(operation: &Operation, now: &str) -> String {
    let theirs = match operation.account_key.as_str() {
        "" => operation.account.as_str(),
        key => key,
    };
    format!(
        "the provider points to account {now}, and this operation belongs to {theirs}; point the provider \
         back (credentials, account_id, or formerly_endpoint after a move), or resolve it"
    )
}

/// As [`check_owner`], as an error.
///
/// # Errors
///
/// ACCOUNT_CHANGED.
pub(super) fn owned(
    operation: &Operation,
    account: &Account,
    message: impl Fn(&str) -> String,
) -> Result<()> {
    check_owner(operation, account)
        .map_err(|now| Error::new(purveyor_sdk::v1::ErrorReason::AccountChanged, message(&now)))
}

/// The accounts whose records are stored as this process knows them.
#[derive(Debug, Default)]
pub(super) struct Adopted(std::sync::Mutex<std::collections::BTreeMap<String, String>>);

impl Adopted {
    fn contains(&self, provider: &str, key: &str) -> bool {
        let adopted = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        adopted.get(provider).is_some_and(|known| known == key)
    }

    fn insert(&self, provider: &str, key: &str) {
        let mut adopted = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        adopted.insert(provider.to_owned(), key.to_owned());
    }
}
