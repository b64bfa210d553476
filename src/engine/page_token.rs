//! Page and resume tokens: a cursor that a caller can hand back and nobody else can make.
//!
//! A token is bound to its list: the method, the parent, the filters and the view. It holds no
//! secret, and its authenticity depends on the store alone, so that it outlives a restart and is
//! good at every replica.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};

use crate::store::Identity;

/// The bytes of the tag: 128 bits cannot be guessed, and tokens stay short.
const TAG_BYTES: usize = 16;
/// The most bytes of a token: a plugin's cursor may be long, but is not a document.
const TOKEN_BYTES: usize = 8 * 1024;

/// Makes and opens tokens. Cheap to clone.
#[derive(Clone)]
pub struct PageTokens {
    key: Arc<hmac::Key>,
}

impl PageTokens {
    /// The tokens of everybody who shares this store.
    pub fn new(identity: &Identity) -> PageTokens {
        let root = hmac::Key::new(hmac::HMAC_SHA256, identity.store_id.as_bytes());
        let derived = hmac::sign(&root, b"purveyor page token 1");
        PageTokens { key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())) }
    }

    /// The token for `cursor` in the list `scope` (a method) with this `fingerprint` of parent,
    /// filters and view.
    pub fn seal(&self, scope: &str, fingerprint: &[u8], cursor: &[u8]) -> String {
        let mut token = self.tag(scope, fingerprint, cursor).to_vec();
        token.extend_from_slice(cursor);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The cursor of a token of exactly this list.
    ///
    /// # Errors
    ///
    /// PAGE_TOKEN_INVALID.
    pub fn open(&self, scope: &str, fingerprint: &[u8], token: &str) -> Result<Vec<u8>> {
        if token.len() > TOKEN_BYTES {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|error| invalid().with_source(error))?;
        let (tag, cursor) = bytes.split_at_checked(TAG_BYTES).ok_or_else(invalid)?;
        let expected = self.tag(scope, fingerprint, cursor);
        constant_time::verify_slices_are_equal(tag, &expected).map_err(|_| invalid())?;
        Ok(cursor.to_vec())
    }

    /// The upstream's cursor in a caller's page token; empty on the first page.
    ///
    /// # Errors
    ///
    /// PAGE_TOKEN_INVALID.
    pub fn upstream_cursor(&self, scope: &str, fingerprint: &[u8], token: &str) -> Result<String> {
        if token.is_empty() {
            return Ok(String::new());
        }
        String::from_utf8(self.open(scope, fingerprint, token)?)
            .map_err(|error| invalid().with_source(error))
    }

    /// Puts a token in the place of an upstream's cursor; the empty one, which ends the list, stays.
    pub fn seal_upstream(&self, scope: &str, fingerprint: &[u8], cursor: &mut String) {
        if !cursor.is_empty() {
            *cursor = self.seal(scope, fingerprint, cursor.as_bytes());
        }
    }

    fn tag(&self, scope: &str, fingerprint: &[u8], cursor: &[u8]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [scope.as_bytes(), fingerprint, cursor] {
            // With its length, so that no byte can move from one part to the next.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
        tag
    }
}

fn invalid() -> Error {
    let message = "the token is not one of this list with these filters";
    Error::new(ErrorReason::PageTokenInvalid, message)
}

impl fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageTokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::v1::ErrorReason;
    use uuid::Uuid;

    use super::{Identity, PageTokens, TOKEN_BYTES};

    fn tokens(store: u128) -> PageTokens {
        PageTokens::new(&Identity { store_id: Uuid::from_u128(store), schema_version: 1 })
    }

    #[test]
    fn a_token_opens_in_its_own_list_alone() {
        let token = tokens(1).seal("Orders.ListOrders", b"filters", b"cursor");
        let check = |store, scope, fingerprint: &[u8], token: &str, expected: bool| {
            let opened = tokens(store).open(scope, fingerprint, token);
            let found = opened.map_err(|error| error.reason);
            let wanted =
                if expected { Ok(b"cursor".to_vec()) } else { Err(ErrorReason::PageTokenInvalid) };
            assert_eq!(found, wanted, "{store} {scope} {fingerprint:?} {token}");
        };
        check(1, "Orders.ListOrders", b"filters", &token, true);
        check(2, "Orders.ListOrders", b"filters", &token, false);
        check(1, "Orders.ListOrder", b"sfilters", &token, false);
        check(1, "Services.ListServices", b"filters", &token, false);
        check(1, "Orders.ListOrders", b"other", &token, false);
        check(1, "Orders.ListOrders", b"filters", "", false);
        check(1, "Orders.ListOrders", b"filters", "cursor", false);
        check(1, "Orders.ListOrders", b"filters", "not base64!", false);
        check(1, "Orders.ListOrders", b"filters", &format!("{token}="), false);
        check(1, "Orders.ListOrders", b"filters", &token[..token.len() - 1], false);
        check(1, "Orders.ListOrders", b"filters", &"A".repeat(TOKEN_BYTES + 1), false);
    }

    #[test]
    fn no_bit_of_a_token_can_be_changed() {
        let tokens = tokens(1);
        let token = tokens.seal("s", b"f", b"cursor");
        for at in 0..token.len() {
            for other in ['A', 'Q', 'z', '9', '_'] {
                let mut changed: Vec<char> = token.chars().collect();
                if changed[at] == other {
                    continue;
                }
                changed[at] = other;
                let changed: String = changed.into_iter().collect();
                assert!(tokens.open("s", b"f", &changed).is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn an_empty_cursor_is_a_cursor() {
        let token = tokens(1).seal("s", b"", b"");
        assert_eq!(tokens(1).open("s", b"", &token).unwrap(), b"");
    }
}
