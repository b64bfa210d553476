//! Who is calling: the token with its IP filter, or HTTP Basic, which a second factor rules out. It
//! must not know what is asked for.
//!
//! Assumptions: a request that nobody can be told from answers 401, one that is known and not allowed
//! 403; with a token and a login the token counts. Digest is documented and not simulated.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use http::header::AUTHORIZATION;

use super::account::AccountSeed;
use super::answer::Answer;
use super::state::World;
use crate::server::Request;

/// Position of the caller's account.
pub(super) fn account(world: &World, request: &Request) -> Result<usize, Answer> {
    let (position, account) = match request.headers.get("x-account-token") {
        Some(token) => by_token(world, request, token.as_bytes())?,
        None => by_login(world, request)?,
    };
    if account.locked {
        return Err(Answer::error(StatusCode::FORBIDDEN, "The user may not use the API"));
    }
    Ok(position)
}

fn by_token<'a>(
    world: &'a World,
    request: &Request,
    token: &[u8],
) -> Result<(usize, &'a AccountSeed), Answer> {
    let found = find(world, |account| account.account_token.as_bytes() == token);
    let (position, account) = found.ok_or_else(|| unknown("Invalid account token"))?;
    if !account.ip_filter.is_empty() && !account.ip_filter.contains(&request.peer) {
        let message = "The account token may not be used from this address";
        return Err(Answer::error(StatusCode::FORBIDDEN, message));
    }
    Ok((position, account))
}

fn by_login<'a>(world: &'a World, request: &Request) -> Result<(usize, &'a AccountSeed), Answer> {
    let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let header = header.ok_or_else(|| unknown("Authentication required"))?;
    let login = header.strip_prefix("Basic ").and_then(|text| BASE64_STANDARD.decode(text).ok());
    let login = login.ok_or_else(|| unknown("Authentication required"))?;
    let found = find(world, |account| {
        account.login.as_ref().is_some_and(|known| known.as_bytes() == login)
    });
    let (position, account) = found.ok_or_else(|| unknown("Wrong user name or password"))?;
    if account.two_factor {
        return Err(unknown("Two-factor authentication is required; use an account token"));
    }
    Ok((position, account))
}

fn find(world: &World, is: impl Fn(&AccountSeed) -> bool) -> Option<(usize, &AccountSeed)> {
    world.accounts.iter().enumerate().find(|(_, account)| is(account))
}

fn unknown(message: &str) -> Answer {
    Answer::error(StatusCode::UNAUTHORIZED, message)
}
