//! How the plugin proves who it is: a credential that the host places, or a token that is fetched
//! by the password grant, kept, and fetched anew before it ends. No secret of it is ever printed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use purveyor_sdk::http::Request;
use purveyor_sdk::secrecy::{ExposeSecret, SecretString};
use purveyor_sdk::{Cx, Error, Host, Result, names};

use super::Client;
use crate::config::Authentication;
use crate::error;
use crate::model::{Fields, not_understood};

/// HTTP Basic.
pub(crate) const API_CREDENTIAL: &str = "api-credential";
/// The password grant.
pub(crate) const USERNAME: &str = "username";
pub(crate) const PASSWORD: &str = "password";

/// What a token has to allow.
const SCOPES: &str = "public admin_read admin_write";

/// A token is not used for a request that it may not outlive: an attempt's time-out, and as much
/// again.
const MARGIN: Duration = Duration::from_secs(60);

/// The account's way in.
pub(crate) struct Session(Way);

enum Way {
    Basic,
    Oauth { username: SecretString, password: SecretString, token: Mutex<Option<Token>> },
}

#[derive(Clone)]
struct Token {
    value: SecretString,
    /// On the host's clock that never goes back.
    renew_at: Duration,
}

/// What is put into one request.
pub(crate) enum Key {
    Basic,
    Token {
        value: SecretString,
        /// Whether it was fetched for this very request.
        fresh: bool,
    },
}

impl Session {
    /// # Errors
    ///
    /// PROVIDER_UNAVAILABLE where the credentials of the configured way are missing.
    pub(crate) fn new(authentication: Authentication, host: &Host) -> Result<Self> {
        Ok(Self(match authentication {
            Authentication::Basic => {
                host.require(API_CREDENTIAL)?;
                Way::Basic
            }
            Authentication::Oauth => Way::Oauth {
                username: host.secret(USERNAME)?,
                password: host.secret(PASSWORD)?,
                token: Mutex::default(),
            },
        }))
    }

    /// What the next request presents.
    ///
    /// # Errors
    ///
    /// UPSTREAM_CREDENTIALS where no token is granted.
    pub(super) async fn key(&self, cx: &Cx, client: &Client) -> Result<Key> {
        let Way::Oauth { username, password, token } = &self.0 else { return Ok(Key::Basic) };
        let kept = lock(token).clone().filter(|token| token.renew_at > cx.monotonic_now());
        if let Some(Token { value, .. }) = kept {
            return Ok(Key::Token { value, fresh: false });
        }
        let fetched = fetch(cx, client, username, password).await?;
        let value = fetched.value.clone();
        *lock(token) = Some(fetched);
        Ok(Key::Token { value, fresh: true })
    }

    /// Forgets the token that the upstream no longer takes. Whether another can be better: not
    /// where this one had just been fetched, or none is used.
    pub(super) fn drop_token(&self, key: &Key) -> bool {
        let (Way::Oauth { token, .. }, Key::Token { value, fresh }) = (&self.0, key) else {
            return false;
        };
        let mut kept = lock(token);
        if kept.as_ref().is_some_and(|kept| kept.value.expose_secret() == value.expose_secret()) {
            *kept = None;
        }
        !fresh
    }
}

impl Key {
    pub(super) fn put_into<'a>(&self, request: Request<'a>) -> Request<'a> {
        match self {
            Self::Basic => request.auth(API_CREDENTIAL),
            Self::Token { value, .. } => {
                request.header("authorization", format!("Bearer {}", value.expose_secret()))
            }
        }
    }
}

/// `POST /api/oauth/token`: changes nothing of the account.
async fn fetch(
    cx: &Cx,
    client: &Client,
    username: &SecretString,
    password: &SecretString,
) -> Result<Token> {
    let fields = [
        ("grant_type", "password"),
        ("username", username.expose_secret()),
        ("password", password.expose_secret()),
        ("scope", SCOPES),
    ];
    let form = fields.map(|(name, value)| format!("{name}={}", names::encode(value))).join("&");
    let asked = cx.monotonic_now();
    let request = client.headed(cx.http().call("oauth.token")).body(form);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = request.send().await?;
    match answer.status {
        200 => {}
        400 | 401 => {
            let message = "the upstream grants no token for username and password";
            return Err(Error::credentials(message).with_upstream_code(answer.status));
        }
        _ => return Err(error::of_read(cx, &answer)),
    }
    let told = answer.json::<Fields>()?;
    let value = told.text("access_token")?.filter(|token| !token.is_empty());
    let value = value.ok_or_else(|| not_understood("access_token"))?;
    // A token without an end is asked for anew when it is refused.
    let lifetime = told.whole("expires_in")?.and_then(|seconds| u64::try_from(seconds).ok());
    let lifetime = lifetime.map_or(Duration::MAX, Duration::from_secs);
    let renew_at = asked.saturating_add(lifetime.saturating_sub(MARGIN));
    Ok(Token { value: value.into(), renew_at })
}

/// A panic elsewhere leaves a token as good as it was.
fn lock(token: &Mutex<Option<Token>>) -> MutexGuard<'_, Option<Token>> {
    token.lock().unwrap_or_else(PoisonError::into_inner)
}
