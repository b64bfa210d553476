//! Accounts: who may call, from where, and what they can spend.

use serde::{Deserialize, Serialize};

use crate::money::Cents;

/// The fewest characters of a token. Assumption: the document shows none.
const MIN_TOKEN: usize = 16;

/// An account as it is put into the simulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountSeed {
    /// What stands in `X-Account-Token`. It tells accounts apart.
    pub account_token: String,
    /// The customer profile, as the ledger names it.
    pub profile: String,
    /// `user:password` of HTTP Basic; none: the account has no such login.
    pub login: Option<String>,
    /// The login needs a second factor, so that HTTP Basic fails with it.
    pub two_factor: bool,
    /// Addresses from which the token may be used; empty: from everywhere.
    pub ip_filter: Vec<std::net::IpAddr>,
    /// The user may not use the API.
    pub locked: bool,
    /// What the account can spend, NOK.
    pub credit: Cents,
    /// The account begins with one old order that nobody has paid: it has no server, and no line of the
    /// ledger.
    pub old_order: bool,
}

impl Default for AccountSeed {
    fn default() -> Self {
        Self {
            account_token: "klikk0account0token0000".to_owned(),
            profile: "profile-0".to_owned(),
            login: None,
            two_factor: false,
            ip_filter: Vec::new(),
            locked: false,
            credit: Cents::new(10_000_000),
            old_order: true,
        }
    }
}

impl AccountSeed {
    /// Refuses what could not be told from other accounts or from nothing.
    pub(super) fn check(&self) -> Result<(), String> {
        let token = &self.account_token;
        let plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if token.len() < MIN_TOKEN || !plain {
            return Err(format!("a token has at least {MIN_TOKEN} letters and digits"));
        }
        match self.login.as_deref().map(|login| login.split_once(':')) {
            Some(None) => Err("a login is user:password".to_owned()),
            _ => Ok(()),
        }
    }
}
