//! Orders as the upstream tells them: prices, dates and words. Its secrets are a type of their own,
//! which nothing but GetOrderSecrets reads.

use purveyor_sdk::serde::Deserialize;
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::renewal::State as RenewalState;

use super::Amount;

/// An order, or what a dry run tells of one that is not made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
pub(crate) struct Order {
    /// Null in a dry run.
    #[serde(rename = "orderId")]
    pub(crate) id: Option<i64>,
    pub(crate) date: Option<String>,
    pub(crate) expiration_date: Option<String>,
    pub(crate) retraction_date: Option<String>,
    pub(crate) price_with_tax: Option<Amount>,
    pub(crate) price_without_tax: Option<Amount>,
    pub(crate) tax: Option<Amount>,
}

/// What only the buyer may see.
#[derive(Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
pub(crate) struct Secrets {
    pub(crate) password: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) pdf_url: Option<String>,
}

/// One line of an order.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(crate = "purveyor_sdk::serde", rename_all = "camelCase")]
pub(crate) struct Detail {
    #[serde(rename = "orderDetailId")]
    pub(crate) id: i64,
    /// The service's name; `*` where the upstream does not know it yet.
    #[serde(default)]
    pub(crate) domain: String,
    #[serde(default)]
    pub(crate) description: String,
    /// A number, as text.
    #[serde(default)]
    pub(crate) quantity: String,
    pub(crate) total_price: Option<Amount>,
}

/// What a line is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
pub(crate) struct Extension {
    order: Option<ExtensionOrder>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
struct ExtensionOrder {
    action: Option<String>,
    plan: Option<Plan>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "purveyor_sdk::serde")]
struct Plan {
    duration: Option<String>,
}

impl Extension {
    /// `renew`, `installation`, `upgrade`, `consumption`.
    pub(crate) fn action(&self) -> Option<&str> {
        self.order.as_ref()?.action.as_deref()
    }

    pub(crate) fn duration(&self) -> Option<&str> {
        self.order.as_ref()?.plan.as_ref()?.duration.as_deref()
    }
}

/// The upstream's word for how far an order has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) String);

impl Status {
    pub(crate) fn is_unpaid(&self) -> bool {
        self.0 == "notPaid"
    }

    pub(crate) fn is_delivered(&self) -> bool {
        self.0 == "delivered"
    }

    /// Whether the upstream has taken the payment.
    pub(crate) fn is_paid(&self) -> bool {
        matches!(self.0.as_str(), "delivering" | "delivered" | "documentsRequested")
    }

    pub(crate) fn is_checked(&self) -> bool {
        self.0 == "checking"
    }

    /// Whether the upstream has ended the order without delivering it.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0 == "cancelled"
    }

    /// Whether the upstream is at work on the order, or waits for a person.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.0.as_str(), "checking" | "delivering" | "documentsRequested" | "cancelling")
    }

    /// `lapsed`: the order's time to be paid is over.
    pub(crate) fn of_order(&self, lapsed: bool) -> OrderState {
        match self.0.as_str() {
            "notPaid" if lapsed => OrderState::Expired,
            "notPaid" => OrderState::AwaitingPayment,
            "checking" | "delivering" => OrderState::Provisioning,
            "delivered" => OrderState::Completed,
            "documentsRequested" => OrderState::ActionRequired,
            "cancelling" => OrderState::Cancelling,
            "cancelled" => OrderState::Cancelled,
            _ => OrderState::Unspecified,
        }
    }

    /// The same of a renewal, which has no word for a cancellation under way.
    pub(crate) fn of_renewal(&self, lapsed: bool) -> RenewalState {
        match self.of_order(lapsed) {
            OrderState::Expired => RenewalState::Expired,
            OrderState::AwaitingPayment => RenewalState::AwaitingPayment,
            OrderState::Provisioning => RenewalState::Processing,
            OrderState::Completed => RenewalState::Completed,
            OrderState::ActionRequired => RenewalState::ActionRequired,
            OrderState::Cancelled => RenewalState::Cancelled,
            _ => RenewalState::Unspecified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OrderState, RenewalState, Status};

    #[test]
    fn words_and_states() {
        fn check(word: &str, lapsed: bool, order: OrderState, renewal: RenewalState) {
            let status = Status(word.to_owned());
            assert_eq!(status.of_order(lapsed), order, "{word}");
            assert_eq!(status.of_renewal(lapsed), renewal, "{word}");
        }
        check("notPaid", false, OrderState::AwaitingPayment, RenewalState::AwaitingPayment);
        check("notPaid", true, OrderState::Expired, RenewalState::Expired);
        check("checking", true, OrderState::Provisioning, RenewalState::Processing);
        check("delivering", false, OrderState::Provisioning, RenewalState::Processing);
        check("delivered", true, OrderState::Completed, RenewalState::Completed);
        let (order, renewal) = (OrderState::ActionRequired, RenewalState::ActionRequired);
        check("documentsRequested", false, order, renewal);
        check("cancelling", false, OrderState::Cancelling, RenewalState::Unspecified);
        check("cancelled", true, OrderState::Cancelled, RenewalState::Cancelled);
        check("unknown", false, OrderState::Unspecified, RenewalState::Unspecified);
        check("", false, OrderState::Unspecified, RenewalState::Unspecified);
    }
}
