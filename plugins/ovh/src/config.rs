//! The account's configuration table. Every field has a default; nothing here is a secret.

use purveyor_sdk::schemars::JsonSchema;
use purveyor_sdk::serde::Deserialize;

/// The configuration of an OVHcloud account.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde", deny_unknown_fields, default)]
#[schemars(crate = "purveyor_sdk::schemars")]
pub struct OvhConfig {
    /// How orders are paid.
    pub payment_api: PaymentApi,
}

/// The upstream's two ways to pay an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "snake_case")]
#[schemars(crate = "purveyor_sdk::schemars")]
pub enum PaymentApi {
    /// `payWithRegisteredPaymentMean`, as the guide does; a means is a kind and a number of it.
    #[default]
    RegisteredMean,
    /// `/me/payment/method` and `pay`, as newer accounts do; a method is a number.
    Method,
}
