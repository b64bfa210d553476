//! Who calls, and whether they may: application key, consumer key, clock, signature and access
//! rules, each wrong in its own way. It must not look at what is called beyond method and path.

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use sha1::{Digest, Sha1};

use super::account::{Account, Rule};
use super::answer::Refusal;
use super::state::World;

/// How far a timestamp may be from the upstream's clock.
///
/// Assumption: the upstream says "only for a short amount of time".
const WINDOW_SECONDS: i64 = 180;

/// A key that acts for an account.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub(super) id: i64,
    pub(super) consumer_key: String,
    pub(super) application_key: String,
    pub(super) rules: Vec<Rule>,
    pub(super) created: Timestamp,
    /// Nobody has agreed to it yet.
    pub(super) pending: bool,
}

/// A request as far as it is signed.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// Below the endpoint, without a query.
    pub(super) path: &'a str,
    /// Scheme, host, path and query exactly as sent.
    pub(super) url: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    /// The position of the account.
    pub(super) account: usize,
    /// The number of the credential.
    pub(super) credential: i64,
}

/// Judges a signed request.
///
/// Assumption: the keys are looked at first, then the clock, the signature and the rules.
pub(super) fn caller(
    world: &World,
    now: Timestamp,
    signed: &Signed<'_>,
) -> Result<Caller, Refusal> {
    let login = || forbidden("NOT_CREDENTIAL", "You must login first");
    let header = |name: &str| signed.headers.get(name).and_then(|value| value.to_str().ok());
    let application = header("x-ovh-application").ok_or_else(login)?;
    let (position, account) = application_of(world, application)?;
    let consumer = header("x-ovh-consumer").ok_or_else(login)?;
    let credential = world.credentials.iter().find(|one| one.consumer_key == consumer);
    let credential = credential.filter(|one| one.application_key == application);
    let credential =
        credential.ok_or_else(|| forbidden("NOT_CREDENTIAL", "This credential does not exist"))?;
    if credential.pending {
        return Err(forbidden("INVALID_CREDENTIAL", "This credential is not valid"));
    }
    let stamp = header("x-ovh-timestamp").ok_or_else(login)?;
    let signature = header("x-ovh-signature").ok_or_else(login)?;
    let age = stamp.parse::<i64>().ok().map(|stamp| now.as_second().abs_diff(stamp));
    if age.is_none_or(|age| age > WINDOW_SECONDS.unsigned_abs()) {
        // Assumption: the code's word; a third party's simulator has the message.
        let status = StatusCode::BAD_REQUEST;
        return Err(Refusal::gateway(status, "QUERY_TIME_OUT", "Query out of time"));
    }
    if signature != sign(account, consumer, signed, stamp) {
        let status = StatusCode::BAD_REQUEST;
        return Err(Refusal::gateway(status, "INVALID_SIGNATURE", "Invalid signature"));
    }
    if account.locked {
        return Err(forbidden("FORBIDDEN", "This account is locked"));
    }
    if !credential.rules.iter().any(|rule| rule.allows(signed.method, signed.path)) {
        return Err(forbidden("NOT_GRANTED_CALL", "This call has not been granted"));
    }
    Ok(Caller { account: position, credential: credential.id })
}

/// The account whose application has this key.
pub(super) fn application_of<'a>(
    world: &'a World,
    application: &str,
) -> Result<(usize, &'a Account), Refusal> {
    let found =
        world.accounts.iter().enumerate().find(|(_, one)| one.application_key == application);
    found.ok_or_else(|| forbidden("INVALID_KEY", "This application key is invalid"))
}

fn forbidden(code: &str, message: &str) -> Refusal {
    Refusal::gateway(StatusCode::FORBIDDEN, code, message)
}

fn sign(account: &Account, consumer: &str, signed: &Signed<'_>, stamp: &str) -> String {
    let mut hash = Sha1::new();
    let parts: [&[u8]; 6] = [
        account.application_secret.as_bytes(),
        consumer.as_bytes(),
        signed.method.as_bytes(),
        signed.url.as_bytes(),
        signed.body,
        stamp.as_bytes(),
    ];
    for (at, part) in parts.into_iter().enumerate() {
        if at > 0 {
            hash.update(b"+");
        }
        hash.update(part);
    }
    format!("$1${}", hex::encode(hash.finalize()))
}
