//! The requests of scenarios, as a caller writes them. Every write has a request id of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use purveyor_sdk::prost_types::{Duration, Timestamp};
use purveyor_sdk::term::Period;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::{
    CreateOrderRequest, CreateRenewalRequest, Money, Order, OrderItem, Payment, Renewal, Service,
    ServiceRef, Term, TerminateServiceRequest, UpdateServiceRequest,
};
use uuid::Uuid;

/// A request id that no other request of this process has.
pub(crate) fn request_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    Uuid::from_u64_pair(0x5f0a_1b52_6d0c_4a43, 0x9d0e_0000_0000_0000 | number).to_string()
}

/// One month.
pub(crate) fn month() -> Term {
    Term::recurring(Period::Months(1), "")
}

/// An order for a month of each of `items`, products with their quantities, that is answered at once.
pub(crate) fn purchase(provider: &str, items: &[(&str, i32)]) -> CreateOrderRequest {
    let item = |(product, quantity): &(&str, i32)| OrderItem {
        product: format!("providers/{provider}/products/{product}"),
        quantity: *quantity,
        term: Some(month()),
        ..OrderItem::default()
    };
    CreateOrderRequest {
        parent: format!("providers/{provider}"),
        order: Some(Order { items: items.iter().map(item).collect(), ..Order::default() }),
        request_id: request_id(),
        wait: Some(Duration::default()),
        ..CreateOrderRequest::default()
    }
}

/// A month more for a service that is believed to expire then.
pub(crate) fn renewal(service: &str, expires: Option<Timestamp>) -> CreateRenewalRequest {
    let (parent, _) = service.split_once("/services/").expect("the name of a service");
    let guard = ServiceRef {
        service: service.to_owned(),
        expected_expire_time: expires,
        ..ServiceRef::default()
    };
    CreateRenewalRequest {
        parent: parent.to_owned(),
        renewal: Some(Renewal {
            service: service.to_owned(),
            services: vec![guard],
            term: Some(month()),
            ..Renewal::default()
        }),
        payment: Some(Payment { choice: Some(Choice::DefaultMethod(true)) }),
        request_id: request_id(),
        wait: Some(Duration::default()),
        ..CreateRenewalRequest::default()
    }
}

/// Another quantity for a service.
pub(crate) fn quantity(service: &str, quantity: i32) -> UpdateServiceRequest {
    let service = Service { name: service.to_owned(), quantity, ..Service::default() };
    UpdateServiceRequest {
        service: Some(service),
        request_id: request_id(),
        wait: Some(Duration::default()),
        ..UpdateServiceRequest::default()
    }
}

/// The end of a service.
pub(crate) fn end(service: &str) -> TerminateServiceRequest {
    TerminateServiceRequest {
        name: service.to_owned(),
        request_id: request_id(),
        wait: Some(Duration::default()),
        ..TerminateServiceRequest::default()
    }
}

/// So many euros.
pub(crate) fn euros(units: i64) -> Option<Money> {
    money("EUR", units)
}

/// An amount in whole units.
pub(crate) fn money(currency: &str, units: i64) -> Option<Money> {
    Some(Money { currency_code: currency.to_owned(), units, nanos: 0 })
}
