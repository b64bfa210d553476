//! The signature of a request: SHA-1 over the keys, the request as it is sent, and the time.

use std::fmt::Write;

use purveyor_sdk::secrecy::{ExposeSecret, SecretString};
use sha1::{Digest, Sha1};

/// What requests of an account are signed with.
pub(crate) struct Keys {
    pub(crate) application_key: SecretString,
    pub(crate) application_secret: SecretString,
    pub(crate) consumer_key: SecretString,
}

impl Keys {
    /// The signature of a request: `url` exactly as it is sent, the query too, and the body's bytes.
    pub(crate) fn sign(&self, method: &str, url: &str, body: &[u8], timestamp: i64) -> String {
        let mut hash = Sha1::new();
        let mut part = |bytes: &[u8]| {
            hash.update(bytes);
            hash.update(b"+");
        };
        part(self.application_secret.expose_secret().as_bytes());
        part(self.consumer_key.expose_secret().as_bytes());
        part(method.as_bytes());
        part(url.as_bytes());
        part(body);
        hash.update(timestamp.to_string());
        let mut signature = "$1$".to_owned();
        for byte in hash.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(signature, "{byte:02x}");
        }
        signature
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;

    /// The vectors that the upstream's own client is tested with.
    #[test]
    fn published_vectors() {
        let keys = Keys {
            application_key: "TDPKJdwZwAQPwKX2".into(),
            application_secret: "9ufkBmLaTQ9nz5yMUlg79taH0GNnzDjk".into(),
            consumer_key: "5mBuy6SUQcRw2ZUxg0cG68BoDKpED4KY".into(),
        };
        let check = |method: &str, path: &str, body: &str, expected: &str| {
            let url = format!("https://eu.api.ovh.com/1.0{path}");
            let signature = keys.sign(method, &url, body.as_bytes(), 1_457_018_875);
            assert_eq!(signature, expected, "{method} {path}");
        };
        let body = r#"{"a":"b","c":"d"}"#;
        check("GET", "/auth", "", "$1$e9556054b6309771395efa467c22e627407461ad");
        check("POST", "/auth", body, "$1$ec2fb5c7a81f64723c77d2e5b609ae6f58a84fc1");
        check("PUT", "/auth", body, "$1$8a75a9e7c8e7296c9dbeda6a2a735eb6bd58ec4b");
        check("DELETE", "/auth", "", "$1$a1eecd00b3b02b6cf5708b84b9ff42059a950d85");
        check("GET", "/call", "", "$1$7f2db49253edfc41891023fcd1a54cf61db05fbb");
    }
}
