//! A well-formed request of each method, for methods that a provider does not claim: it must be refused
//! because of the method, so nothing else may be wrong with it.

use super::caller::request_id;
use super::request::Request;
use crate::plugin::v1::Op;
use crate::term::Period;
use crate::v1::{
    AdoptServiceRequest, CancelOrderRequest, CheckProviderRequest, CreateOrderRequest,
    CreateProductRequest, CreateRenewalRequest, DeleteProductRequest, GetOrderRequest,
    GetOrderSecretsRequest, GetProductRequest, GetRenewalRequest, GetServiceRequest,
    ListOrdersRequest, ListPaymentMethodsRequest, ListProductsRequest, ListRenewalOptionsRequest,
    ListRenewalsRequest, ListServicesRequest, Order, OrderItem, PayOrderRequest, Payment, Product,
    Renewal, ResumeServiceRequest, Service, ServiceRef, SuspendServiceRequest, Term,
    TerminateServiceRequest, UpdateProductRequest, UpdateServiceRequest, UpstreamRef, payment,
};

/// The request; `None` for what no caller sees.
pub(super) fn of(op: Op, provider: &str) -> Option<Request> {
    let parent = format!("providers/{provider}");
    read(op, &parent).or_else(|| write(op, &parent))
}

fn read(op: Op, provider: &str) -> Option<Request> {
    let parent = provider.to_owned();
    let name = |noun: &str| format!("{provider}/{noun}/1");
    Some(match op {
        Op::CheckProvider => CheckProviderRequest { name: parent }.into(),
        Op::ListProducts => ListProductsRequest { parent, ..Default::default() }.into(),
        Op::GetProduct => GetProductRequest { name: name("products"), ..Default::default() }.into(),
        Op::GetOrder => GetOrderRequest { name: name("orders") }.into(),
        Op::ListOrders => ListOrdersRequest { parent, ..Default::default() }.into(),
        Op::ListPaymentMethods => {
            ListPaymentMethodsRequest { parent: name("orders"), ..Default::default() }.into()
        }
        Op::GetOrderSecrets => GetOrderSecretsRequest { name: name("orders") }.into(),
        Op::ListServices => ListServicesRequest { parent, ..Default::default() }.into(),
        Op::GetService => GetServiceRequest { name: name("services") }.into(),
        Op::ListRenewalOptions => {
            ListRenewalOptionsRequest { parent: name("services"), ..Default::default() }.into()
        }
        Op::GetRenewal => GetRenewalRequest { name: name("renewals") }.into(),
        Op::ListRenewals => ListRenewalsRequest { parent, ..Default::default() }.into(),
        _ => return None,
    })
}

fn write(op: Op, provider: &str) -> Option<Request> {
    let (parent, request_id) = (provider.to_owned(), request_id());
    let name = |noun: &str| format!("{provider}/{noun}/1");
    let (order, service) = (name("orders"), name("services"));
    Some(match op {
        Op::CreateProduct => {
            let product = Some(Product { display_name: "one".to_owned(), ..Default::default() });
            CreateProductRequest { parent, product, request_id, ..Default::default() }.into()
        }
        Op::UpdateProduct => {
            let (name, display_name) = (name("products"), "one".to_owned());
            let product = Some(Product { name, display_name, ..Default::default() });
            UpdateProductRequest { product, request_id, ..Default::default() }.into()
        }
        Op::DeleteProduct => {
            DeleteProductRequest { name: name("products"), request_id, ..Default::default() }.into()
        }
        Op::CreateOrder => {
            let order = Some(order_of(name("products")));
            CreateOrderRequest { parent, order, request_id, ..Default::default() }.into()
        }
        Op::CancelOrder => {
            CancelOrderRequest { name: order, request_id, ..Default::default() }.into()
        }
        Op::PayOrder => {
            let payment = payment();
            PayOrderRequest { name: order, payment, request_id, ..Default::default() }.into()
        }
        Op::UpdateService => {
            let service = Some(Service { name: service, quantity: 1, ..Default::default() });
            UpdateServiceRequest { service, request_id, ..Default::default() }.into()
        }
        Op::SuspendService => {
            SuspendServiceRequest { name: service, request_id, ..Default::default() }.into()
        }
        Op::ResumeService => {
            ResumeServiceRequest { name: service, request_id, ..Default::default() }.into()
        }
        Op::TerminateService => {
            TerminateServiceRequest { name: service, request_id, ..Default::default() }.into()
        }
        Op::AdoptService => {
            let upstream = Some(UpstreamRef::of("1".to_owned()));
            let service = Some(Service { upstream, ..Default::default() });
            AdoptServiceRequest { parent, service, request_id, ..Default::default() }.into()
        }
        Op::CreateRenewal => {
            let (renewal, payment) = (Some(renewal_of(service)), payment());
            CreateRenewalRequest { parent, renewal, payment, request_id, ..Default::default() }
                .into()
        }
        _ => return None,
    })
}

fn month() -> Option<Term> {
    Some(Term::recurring(Period::Months(1), ""))
}

fn order_of(product: String) -> Order {
    let item = OrderItem { product, quantity: 1, term: month(), ..OrderItem::default() };
    Order { items: vec![item], ..Order::default() }
}

fn renewal_of(service: String) -> Renewal {
    let guard = ServiceRef { service: service.clone(), ..ServiceRef::default() };
    Renewal { service, services: vec![guard], term: month(), ..Renewal::default() }
}

fn payment() -> Option<Payment> {
    Some(Payment { choice: Some(payment::Choice::DefaultMethod(true)) })
}
