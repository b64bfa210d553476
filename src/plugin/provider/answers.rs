//! Decodes what a plugin answered, to see that it is what the op promises. Answers that are passed on
//! as bytes are checked so in debug builds, and wherever it is asked for.

use prost::{DecodeError, Message};
use purveyor_sdk::Error;
use purveyor_sdk::op::{self, OpKind};
use purveyor_sdk::plugin::v1::{
    BaselineResponse, FindResponse, IdentifyResponse, Op, PollResponse, StepOutcome,
};
use purveyor_sdk::v1::{
    CheckProviderResponse, ListOrdersResponse, ListPaymentMethodsResponse, ListProductsResponse,
    ListRenewalOptionsResponse, ListRenewalsResponse, ListServicesResponse, Order, OrderSecrets,
    Product, Quote, Renewal, Service,
};

/// Which message answers each op; a step answers every op that is a write.
macro_rules! answers {
    ($($op:ident: $package:literal, $message:ident;)*) => {
        /// Refuses bytes that are not the answer of `op`. Ops that no plugin is asked have none.
        ///
        /// # Errors
        ///
        /// PLUGIN_FAULT.
        pub(super) fn check(op: Op, answer: &[u8]) -> Result<(), Error> {
            let decoded = match op {
                $(Op::$op => decode::<$message>(answer),)*
                _ if op::kind(op) == OpKind::Write => decode::<StepOutcome>(answer),
                _ => Ok(()),
            };
            decoded.map_err(|error| undecodable(error.to_string()))
        }

        /// The full name of the message that answers `op`; `None` for ops that no plugin is asked.
        pub(super) fn message(op: Op) -> Option<&'static str> {
            match op {
                $(Op::$op => Some(concat!($package, ".", stringify!($message))),)*
                _ if op::kind(op) == OpKind::Write => Some("purveyor.plugin.v1.StepOutcome"),
                _ => None,
            }
        }
    };
}

answers! {
    ListProducts: "purveyor.v1", ListProductsResponse;
    GetProduct: "purveyor.v1", Product;
    GetOrder: "purveyor.v1", Order;
    ListOrders: "purveyor.v1", ListOrdersResponse;
    ListPaymentMethods: "purveyor.v1", ListPaymentMethodsResponse;
    GetOrderSecrets: "purveyor.v1", OrderSecrets;
    ListServices: "purveyor.v1", ListServicesResponse;
    GetService: "purveyor.v1", Service;
    ListRenewalOptions: "purveyor.v1", ListRenewalOptionsResponse;
    GetRenewal: "purveyor.v1", Renewal;
    ListRenewals: "purveyor.v1", ListRenewalsResponse;
    CheckProvider: "purveyor.v1", CheckProviderResponse;
    Identify: "purveyor.plugin.v1", IdentifyResponse;
    Plan: "purveyor.v1", Quote;
    Baseline: "purveyor.plugin.v1", BaselineResponse;
    Poll: "purveyor.plugin.v1", PollResponse;
    Find: "purveyor.plugin.v1", FindResponse;
}

/// The error of an answer that cannot be decoded.
pub(super) fn undecodable(error: String) -> Error {
    Error::fault("the plugin's answer cannot be decoded").with_source(error)
}

fn decode<M: Message + Default>(answer: &[u8]) -> Result<(), DecodeError> {
    M::decode(answer).map(drop)
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::FILE_DESCRIPTOR_SET;
    use purveyor_sdk::op::OPS;
    use purveyor_sdk::plugin::v1::Op;

    use super::message;

    #[test]
    fn every_op_that_a_plugin_is_asked_has_a_message_of_the_contract() {
        let contract = prost_reflect::DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
        for info in OPS {
            let name = message(info.op);
            assert_eq!(name.is_none(), info.op == Op::AdoptService, "{:?}", info.op);
            assert!(name.is_none_or(|name| contract.get_message_by_name(name).is_some()));
        }
        assert_eq!(message(Op::Unspecified), None);
    }
}
