//! Who calls: tokens and what they may do. It must never repeat a token.

use http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusal::{Cause, Refusal};

/// The header that carries the token.
const HEADER: &str = "validate";

/// An account: a venture with its customers and partners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountSeed {
    /// What callers authenticate with; at least 8 printable characters without spaces.
    pub token: String,
    /// What the ledger calls the account.
    pub name: String,
    /// The customers that services can be created for.
    pub customers: Vec<i64>,
    /// The partners that it can be done through, beside 0, the main venture.
    pub partners: Vec<i64>,
    /// The currency of the amounts that are written, which no call names.
    pub currency: String,
    /// From then on the token is no good any more.
    pub expires: Option<Timestamp>,
    /// Whether everything is refused.
    pub locked: bool,
}

impl Default for AccountSeed {
    /// The document's customer, and a token of our own.
    fn default() -> Self {
        Self {
            token: "racknap-token-0001".to_owned(),
            name: "racknap".to_owned(),
            customers: vec![652],
            partners: vec![7],
            currency: "INR".to_owned(),
            expires: None,
            locked: false,
        }
    }
}

impl AccountSeed {
    /// Whether it can be an account's: what could not stand in a header or name a ledger line cannot.
    pub(super) fn check(&self) -> Result<(), String> {
        let plain = |byte: u8| byte.is_ascii_graphic();
        if self.token.len() < 8 || !self.token.bytes().all(plain) {
            return Err("a token has at least 8 printable characters and no space".to_owned());
        }
        if self.name.is_empty() {
            return Err("an account has a name".to_owned());
        }
        Ok(())
    }
}

/// The caller's account.
///
/// Assumptions: the word `Bearer` is needed, in any case; a token that expired is told apart from one
/// that never was; a locked account is refused whatever its token.
pub(super) fn authenticate(
    accounts: &[AccountSeed],
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<usize, Refusal> {
    let refuse = |cause, message: &str| Err(Refusal::new(cause, message));
    let Some(value) = headers.get(HEADER) else {
        return refuse(Cause::TokenMissing, "Token is required.");
    };
    let text = value.to_str().unwrap_or_default();
    let Some((scheme, token)) = text.split_once(' ') else {
        return refuse(Cause::NoBearer, "Validate: Bearer <Token> is required.");
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return refuse(Cause::NoBearer, "Validate: Bearer <Token> is required.");
    }
    let known = accounts.iter().position(|account| account.token == token.trim());
    let Some((position, account)) =
        known.and_then(|position| Some((position, accounts.get(position)?)))
    else {
        return refuse(Cause::TokenUnknown, "Token is invalid.");
    };
    if account.locked {
        return refuse(Cause::AccountLocked, "Account is locked.");
    }
    if account.expires.is_some_and(|expires| expires <= now) {
        return refuse(Cause::TokenExpired, "Token has expired.");
    }
    Ok(position)
}
