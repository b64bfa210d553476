//! Accounts: the keys that open them, what they can pay with, and the services they begin with. It
//! must not judge requests; `auth` does.

use serde::{Deserialize, Serialize};

use super::service::ServiceSeed;

/// An account to begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountSeed {
    /// The upstream's name of the account.
    pub nichandle: String,
    /// Names the application that calls.
    pub application_key: String,
    /// What the application signs with.
    pub application_secret: String,
    /// Names the account that the application acts for.
    pub consumer_key: String,
    /// What the consumer key may do.
    pub rules: Vec<Rule>,
    /// The currency of prices, in the upstream's spelling.
    pub currency: String,
    /// The account is locked: every signed call is refused.
    pub locked: bool,
    /// What the account can pay with.
    pub means: Vec<Mean>,
    /// Its services; without identifiers of other accounts.
    pub services: Vec<ServiceSeed>,
}

/// One line of what a consumer key may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The HTTP method.
    pub method: String,
    /// The path below the endpoint; `*` stands for any text.
    pub path: String,
}

/// Something that orders can be paid with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    /// `paypal`, `creditCard`, `bankAccount`, `ovhAccount`, `fidelityAccount`.
    pub kind: String,
    /// The number among means of its kind.
    pub id: i64,
    /// The number in `/me/payment/method`.
    pub method_id: i64,
    /// Whether it is the account's default.
    #[serde(default)]
    pub is_default: bool,
    /// It is there and pays nothing.
    #[serde(default)]
    pub refuses: bool,
    /// It is taken, and pays nothing all the same.
    #[serde(default)]
    pub refuses_later: bool,
}

/// An account as it is now.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) nichandle: String,
    pub(super) application_key: String,
    pub(super) application_secret: String,
    pub(super) currency: String,
    pub(super) locked: bool,
    pub(super) means: Vec<Mean>,
}

impl Rule {
    /// Whether a rule allows a call. `*` stands for any text, slashes too.
    pub(super) fn allows(&self, method: &str, path: &str) -> bool {
        self.method == method && fits(&self.path, path)
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| fits(after, &rest[at..]))
        }),
    }
}

impl Mean {
    /// How `/me/payment/method` spells the kind.
    pub(super) fn payment_type(&self) -> String {
        let mut word = String::new();
        for letter in self.kind.chars() {
            if letter.is_ascii_uppercase() {
                word.push('_');
            }
            word.push(letter.to_ascii_uppercase());
        }
        word
    }

    /// Whether the upstream wants a number with the kind.
    pub(super) fn needs_id(kind: &str) -> bool {
        matches!(kind, "bankAccount" | "creditCard" | "paypal")
    }
}

impl Default for AccountSeed {
    /// An account that may do everything, with two means of payment and four services.
    fn default() -> Self {
        let rule = |method: &str| Rule { method: method.to_owned(), path: "/*".to_owned() };
        let mean = |kind: &str, id, method_id, is_default| Mean {
            kind: kind.to_owned(),
            id,
            method_id,
            is_default,
            refuses: false,
            refuses_later: false,
        };
        Self {
            nichandle: "xx1111-ovh".to_owned(),
            application_key: "applicationkey01".to_owned(),
            application_secret: "applicationsecretapplicationsec1".to_owned(),
            consumer_key: "consumerkeyconsumerkeyconsumerk1".to_owned(),
            rules: ["GET", "POST", "PUT", "DELETE"].map(rule).into(),
            currency: "EUR".to_owned(),
            locked: false,
            means: vec![
                mean("paypal", 1234, 701_234, true),
                mean("creditCard", 77, 700_077, false),
                mean("fidelityAccount", 9, 700_009, false),
            ],
            services: ServiceSeed::examples(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn rules_and_paths() {
        let check = |pattern: &str, path: &str, expected: bool| {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        };
        check("/me", "/me", true);
        check("/me", "/me/order", false);
        check("/me/order*", "/me/order", true);
        check("/me/order*", "/me/order/1/pay", true);
        check("/service/*/renew", "/service/12345/renew", true);
        check("/service/*/renew", "/service/12345", false);
        check("/*", "/vps", true);
        check("*", "", true);
    }
}
