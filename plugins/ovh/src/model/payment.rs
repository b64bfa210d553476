//! Means of payment in the upstream's two spellings.

use purveyor_sdk::serde::Deserialize;

/// A kind of means that an order can be paid with.
#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
pub(crate) struct MeanKind {
    pub(crate) payment_mean: String,
}

/// A means of one kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
pub(crate) struct Mean {
    pub(crate) id: i64,
    pub(crate) state: Option<String>,
    #[serde(default)]
    pub(crate) default_payment_mean: bool,
    #[serde(default)]
    pub(crate) description: Option<String>,
}

/// A method of the newer kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
pub(crate) struct Method {
    #[serde(rename = "paymentMethodId")]
    pub(crate) id: i64,
    pub(crate) payment_type: String,
    #[serde(default)]
    pub(crate) default: bool,
    #[serde(default)]
    pub(crate) label: Option<String>,
    #[serde(default)]
    pub(crate) status: Option<String>,
}

/// Whether the upstream wants a number with a kind, and so lists the means of it.
pub(crate) fn needs_id(kind: &str) -> bool {
    matches!(kind, "bankAccount" | "creditCard" | "paypal")
}
