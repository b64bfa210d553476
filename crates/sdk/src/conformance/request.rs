//! The requests of every method that a plugin can stand behind, as one type, so that a case is written
//! once for all of them. It must not decide what an answer is worth.

use prost_types::Duration;

use super::caller::{Caller, Refusal};
use crate::plugin::v1::Op;
use crate::v1::{
    AdoptServiceRequest, CancelOrderRequest, CheckProviderRequest, CheckProviderResponse,
    CreateOrderRequest, CreateProductRequest, CreateRenewalRequest, DeleteProductRequest,
    GetOrderRequest, GetOrderSecretsRequest, GetProductRequest, GetRenewalRequest,
    GetServiceRequest, ListOrdersRequest, ListOrdersResponse, ListPaymentMethodsRequest,
    ListPaymentMethodsResponse, ListProductsRequest, ListProductsResponse,
    ListRenewalOptionsRequest, ListRenewalOptionsResponse, ListRenewalsRequest,
    ListRenewalsResponse, ListServicesRequest, ListServicesResponse, Money, Operation, Order,
    OrderSecrets, PayOrderRequest, PaymentMethod, Product, Renewal, RenewalOption,
    ResumeServiceRequest, Service, SuspendServiceRequest, TerminateServiceRequest,
    UpdateProductRequest, UpdateServiceRequest,
};

/// The fields that every write has.
pub(super) struct Frame<'a> {
    pub(super) request_id: &'a mut String,
    pub(super) validate_only: &'a mut bool,
    pub(super) wait: &'a mut Option<Duration>,
}

/// The fields that every list has.
pub(super) struct PageFrame<'a> {
    pub(super) size: &'a mut i32,
    pub(super) token: &'a mut String,
}

/// What a method answers.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// One thing.
    One,
    /// A page of a list: what tells its rows apart, and the token of the next page. Not the rows
    /// themselves: what they show may move on between two readings.
    Page(Vec<String>, String),
    /// A write's operation.
    Operation(Box<Operation>),
}

macro_rules! requests {
    (
        one { $($one:ident($one_request:ty) -> $one_answer:ty,)* }
        list { $($list:ident($list_request:ty) -> $list_answer:ty, $rows:ident;)* }
        write { $($write:ident($write_request:ty),)* }
    ) => {
        /// A request, by method.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request {
            $(#[doc = concat!("As `", stringify!($one), "`.")] $one($one_request),)*
            $(#[doc = concat!("As `", stringify!($list), "`.")] $list($list_request),)*
            $(#[doc = concat!("As `", stringify!($write), "`.")] $write($write_request),)*
            /// As `AdoptService`.
            AdoptService(AdoptServiceRequest),
        }

        impl Request {
            /// Which method it is of.
            pub fn op(&self) -> Op {
                match self {
                    $(Self::$one(_) => Op::$one,)*
                    $(Self::$list(_) => Op::$list,)*
                    $(Self::$write(_) => Op::$write,)*
                    Self::AdoptService(_) => Op::AdoptService,
                }
            }

            /// `None` for a read.
            pub(super) fn frame(&mut self) -> Option<Frame<'_>> {
                match self {
                    $(Self::$write(request) => Some(Frame {
                        request_id: &mut request.request_id,
                        validate_only: &mut request.validate_only,
                        wait: &mut request.wait,
                    }),)*
                    Self::AdoptService(request) => Some(Frame {
                        request_id: &mut request.request_id,
                        validate_only: &mut request.validate_only,
                        wait: &mut request.wait,
                    }),
                    _ => None,
                }
            }

            /// `None` for what is no list.
            pub(super) fn page(&mut self) -> Option<PageFrame<'_>> {
                match self {
                    $(Self::$list(request) => Some(PageFrame {
                        size: &mut request.page_size,
                        token: &mut request.page_token,
                    }),)*
                    _ => None,
                }
            }

            /// Calls the method. May be repeated; a write is the same write as long as it has the
            /// same request id.
            ///
            /// # Errors
            ///
            /// The gateway's status.
            pub(super) async fn send(self, caller: &Caller) -> Result<Answer, Refusal> {
                let op = self.op();
                match self {
                    $(Self::$one(request) => {
                        let _decoded: $one_answer = caller.ask(op, request).await?;
                        Ok(Answer::One)
                    })*
                    $(Self::$list(request) => {
                        let page: $list_answer = caller.ask(op, request).await?;
                        let rows = page.$rows.iter().map(Named::name).collect();
                        Ok(Answer::Page(rows, page.next_page_token))
                    })*
                    $(Self::$write(request) => {
                        Ok(Answer::Operation(Box::new(caller.ask(op, request).await?)))
                    })*
                    Self::AdoptService(request) => {
                        Ok(Answer::Operation(Box::new(caller.ask(op, request).await?)))
                    }
                }
            }
        }

        $(impl From<$one_request> for Request {
            fn from(request: $one_request) -> Self {
                Self::$one(request)
            }
        })*
        $(impl From<$list_request> for Request {
            fn from(request: $list_request) -> Self {
                Self::$list(request)
            }
        })*
        $(impl From<$write_request> for Request {
            fn from(request: $write_request) -> Self {
                Self::$write(request)
            }
        })*
        impl From<AdoptServiceRequest> for Request {
            fn from(request: AdoptServiceRequest) -> Self {
                Self::AdoptService(request)
            }
        }
    };
}

requests! {
    one {
        CheckProvider(CheckProviderRequest) -> CheckProviderResponse,
        GetProduct(GetProductRequest) -> Product,
        GetOrder(GetOrderRequest) -> Order,
        GetOrderSecrets(GetOrderSecretsRequest) -> OrderSecrets,
        GetService(GetServiceRequest) -> Service,
        GetRenewal(GetRenewalRequest) -> Renewal,
    }
    list {
        ListProducts(ListProductsRequest) -> ListProductsResponse, products;
        ListOrders(ListOrdersRequest) -> ListOrdersResponse, orders;
        ListPaymentMethods(ListPaymentMethodsRequest) -> ListPaymentMethodsResponse, payment_methods;
        ListServices(ListServicesRequest) -> ListServicesResponse, services;
        ListRenewalOptions(ListRenewalOptionsRequest) -> ListRenewalOptionsResponse, renewal_options;
        ListRenewals(ListRenewalsRequest) -> ListRenewalsResponse, renewals;
    }
    write {
        CreateProduct(CreateProductRequest),
        UpdateProduct(UpdateProductRequest),
        DeleteProduct(DeleteProductRequest),
        CreateOrder(CreateOrderRequest),
        CancelOrder(CancelOrderRequest),
        PayOrder(PayOrderRequest),
        UpdateService(UpdateServiceRequest),
        SuspendService(SuspendServiceRequest),
        ResumeService(ResumeServiceRequest),
        TerminateService(TerminateServiceRequest),
        CreateRenewal(CreateRenewalRequest),
    }
}

/// What tells the rows of a list apart.
trait Named {
    fn name(&self) -> String;
}

macro_rules! named {
    ($($row:ident),*) => {$(
        impl Named for $row {
            fn name(&self) -> String {
                self.name.clone()
            }
        }
    )*};
}

named!(Product, Order, Service, Renewal);

impl Named for PaymentMethod {
    fn name(&self) -> String {
        format!("{} {}", self.r#type, self.id)
    }
}

impl Named for RenewalOption {
    fn name(&self) -> String {
        let services: Vec<_> = self.services.iter().map(|it| it.service.as_str()).collect();
        format!("{:?} {}", self.term, services.join(" "))
    }
}

impl Request {
    /// Another request under the same id: of other content, and of another method where the name of what it is
    /// about is all its content.
    pub(super) fn varied(mut self) -> Self {
        let price = || Some(Money { currency_code: "XTS".to_owned(), units: 1, nanos: 0 });
        match &mut self {
            Self::CreateProduct(request) => {
                request.product.get_or_insert_default().display_name.push('x');
            }
            Self::UpdateProduct(request) => {
                request.product.get_or_insert_default().display_name.push('x');
                // What a mask leaves out is no content.
                if let Some(mask) = &mut request.update_mask {
                    mask.paths.push("display_name".to_owned());
                }
            }
            Self::DeleteProduct(request) => request.allow_missing = !request.allow_missing,
            Self::CreateOrder(request) => request.max_price = price(),
            Self::CancelOrder(request) => request.item_id.push('x'),
            Self::PayOrder(request) => request.max_price = price(),
            Self::UpdateService(request) => request.max_price = price(),
            Self::CreateRenewal(request) => request.max_price = price(),
            Self::AdoptService(request) => {
                request.service.get_or_insert_default().display_name.push('x');
            }
            Self::SuspendService(request) => {
                let (name, request_id) = (request.name.clone(), request.request_id.clone());
                let other =
                    ResumeServiceRequest { name, request_id, ..ResumeServiceRequest::default() };
                return Self::ResumeService(other);
            }
            Self::ResumeService(ResumeServiceRequest { name, request_id, .. })
            | Self::TerminateService(TerminateServiceRequest { name, request_id, .. }) => {
                let (name, request_id) = (name.clone(), request_id.clone());
                let other =
                    SuspendServiceRequest { name, request_id, ..SuspendServiceRequest::default() };
                return Self::SuspendService(other);
            }
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Named, Op, Order, Request, TerminateServiceRequest};
    use crate::conformance::probe;
    use crate::op::OPS;

    #[test]
    fn every_method_of_the_api_has_a_request() {
        for info in OPS.iter().filter(|info| !info.method.is_empty()) {
            let request = probe::of(info.op, "acme").expect(info.method);
            assert_eq!(request.op(), info.op);
        }
        assert_eq!(probe::of(Op::Poll, "acme"), None);
    }

    #[test]
    fn row_that_moves_on_is_the_same_row() {
        let name = "providers/acme/orders/7".to_owned();
        let before = Order { name: name.clone(), state: 1, ..Order::default() };
        let after = Order { name, state: 2, etag: "x".to_owned(), ..Order::default() };
        assert_eq!(Named::name(&before), Named::name(&after));
    }

    #[test]
    fn a_varied_write_is_another() {
        let write = Request::from(TerminateServiceRequest::default());
        let once = write.clone().varied();
        assert_ne!(once, write);
        assert_ne!(once.clone().varied(), once);
    }
}
