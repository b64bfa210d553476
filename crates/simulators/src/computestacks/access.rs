//! Who may call: API credentials by Basic, tokens by OAuth, and the lock after failed attempts. It
//! must not know what a call does.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, errors};
use super::mode::Mode;
use crate::server::Request;

/// The scopes that a token can have here.
const SCOPES: [&str; 5] = ["public", "admin_read", "admin_write", "order_read", "order_write"];

/// A user with an API credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserSeed {
    /// The username of the API credential.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Whether the user is an administrator.
    pub admin: bool,
}

impl Default for UserSeed {
    fn default() -> Self {
        Self { username: "purveyor".to_owned(), password: "correct-horse".to_owned(), admin: true }
    }
}

/// Users and the tokens they were given.
#[derive(Debug, Default)]
pub(super) struct Access {
    users: BTreeMap<String, User>,
    tokens: BTreeMap<String, Token>,
    issued: u64,
}

#[derive(Debug)]
struct User {
    seed: UserSeed,
    failed: u32,
}

#[derive(Debug)]
struct Token {
    /// None for `client_credentials`, which belongs to no user.
    user: Option<String>,
    scopes: Vec<String>,
    expires: Timestamp,
}

impl Access {
    /// Adds a user, or gives the one of that name another password and rank, and unlocks it.
    pub(super) fn put(&mut self, seed: UserSeed) {
        self.users.insert(seed.username.clone(), User { seed, failed: 0 });
    }

    /// Makes every token invalid.
    pub(super) fn revoke(&mut self) {
        self.tokens.clear();
    }

    /// The first of the administrators.
    pub(super) fn first_admin(&self) -> String {
        let admin = self.users.values().find(|user| user.seed.admin);
        admin.map_or_else(String::new, |user| user.seed.username.clone())
    }

    /// Who of the users is locked.
    pub(super) fn told(&self, mode: &Mode) -> Value {
        let told = self.users.values().map(|user| {
            json!({
                "username": user.seed.username,
                "admin": user.seed.admin,
                "locked": is_locked(user, mode),
            })
        });
        told.collect()
    }

    /// The administrator who makes a call.
    ///
    /// # Errors
    /// 401 or 403 in the form of whoever refuses: the application itself, or its OAuth library.
    pub(super) fn admin(
        &mut self,
        headers: &HeaderMap,
        method: &Method,
        mode: &Mode,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, value) = given.and_then(|given| given.split_once(' ')).unwrap_or_default();
        let username = if scheme.eq_ignore_ascii_case("basic") {
            self.basic(value, mode).ok_or_else(not_authorized)?
        } else if scheme.eq_ignore_ascii_case("bearer") {
            self.bearer(value, method, now)?
        } else {
            return Err(not_authorized());
        };
        let admin = self.users.get(&username).is_some_and(|user| user.seed.admin);
        if admin { Ok(username) } else { Err(not_authorized()) }
    }

    fn basic(&mut self, value: &str, mode: &Mode) -> Option<String> {
        let decoded = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        let (username, password) = decoded.split_once(':')?;
        self.check(username, password, mode).then(|| username.to_owned())
    }

    /// Compares a password and counts what fails. A locked credential is right no more.
    fn check(&mut self, username: &str, password: &str, mode: &Mode) -> bool {
        let Some(user) = self.users.get_mut(username) else { return false };
        if is_locked(user, mode) {
            return false;
        }
        let right = user.seed.password == password;
        user.failed = if right { 0 } else { user.failed.saturating_add(1) };
        right
    }

    /// Assumption: the OAuth library answers with its own header and an empty body.
    fn bearer(&self, value: &str, method: &Method, now: Timestamp) -> Result<String, Refusal> {
        let refused = |status, error: &str| {
            let challenge = format!("Bearer realm=\"ComputeStacks\", error=\"{error}\"");
            Answer::empty(status).header("www-authenticate", challenge).refuse()
        };
        let token = self.tokens.get(value).filter(|token| token.expires > now);
        let token = token.ok_or_else(|| refused(StatusCode::UNAUTHORIZED, "invalid_token"))?;
        let scope = if method == Method::GET { "admin_read" } else { "admin_write" };
        if !token.scopes.iter().any(|one| one == scope) {
            return Err(refused(StatusCode::FORBIDDEN, "insufficient_scope"));
        }
        token.user.clone().ok_or_else(not_authorized)
    }

    /// `POST /api/oauth/token`. Assumption: refusals are 400, as the OAuth library's current
    /// releases have it, and a grant without `scope` is for `public` alone.
    pub(super) fn grant(
        &mut self,
        request: &Request,
        mode: &Mode,
        now: Timestamp,
    ) -> Result<Answer, Refusal> {
        let refused = |error: &str| {
            let body = json!({ "error": error, "error_description": "The grant is refused." });
            Answer::json(StatusCode::BAD_REQUEST, body).refuse()
        };
        let fields = fields(request);
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let user = match field("grant_type") {
            "password" => {
                let (username, password) = (field("username"), field("password"));
                if !self.check(username, password, mode) {
                    return Err(refused("invalid_grant"));
                }
                Some(username.to_owned())
            }
            "client_credentials" => None,
            _ => return Err(refused("unsupported_grant_type")),
        };
        let asked = if field("scope").is_empty() { "public" } else { field("scope") };
        let scopes: Vec<String> = asked.split_whitespace().map(str::to_owned).collect();
        if scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str())) {
            return Err(refused("invalid_scope"));
        }
        self.issued += 1;
        let token = format!("sim-token-{:04}-{}", self.issued, now.as_millisecond());
        let expires = now + SignedDuration::from_secs(mode.token_seconds.into());
        let body = json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": mode.token_seconds,
            "scope": scopes.join(" "),
            "created_at": now.as_second(),
        });
        self.tokens.insert(token, Token { user, scopes, expires });
        Ok(Answer::json(StatusCode::OK, body))
    }
}

fn is_locked(user: &User, mode: &Mode) -> bool {
    mode.lock_after > 0 && user.failed >= mode.lock_after
}

fn not_authorized() -> Refusal {
    errors(StatusCode::UNAUTHORIZED, ["Not Authorized"])
}

/// The fields of a body, a form or a JSON object.
fn fields(request: &Request) -> BTreeMap<String, String> {
    if let Ok(Value::Object(members)) = serde_json::from_slice(&request.body) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        return members.iter().filter_map(|(k, v)| Some((k.clone(), text(v)?))).collect();
    }
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// A form's text. An escape that is none stands for itself.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                digit(high).zip(digit(low)).and_then(|(h, l)| u8::try_from(h * 16 + l).ok())
            }
            _ => None,
        };
        rest = after.get(if escaped.is_some() { 2 } else { 0 }..).unwrap_or_default();
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
