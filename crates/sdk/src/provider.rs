//! The trait that a plugin implements. Every method has a body that answers CAPABILITY_UNSUPPORTED;
//! what the author writes and marks with `#[method]` is what the provider can do, and nothing else is
//! ever called.

use std::future::{Future, ready};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::cx::Cx;
use crate::declare::{Call, Credential, Note, Proof, Rate, Timing};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::step::{Deleted, Finding, Progress, Step};
use crate::v1::{
    CancelOrderRequest, CheckProviderRequest, CheckProviderResponse, CreateOrderRequest,
    CreateProductRequest, CreateRenewalRequest, DeleteProductRequest, GetOrderRequest,
    GetOrderSecretsRequest, GetProductRequest, GetRenewalRequest, GetServiceRequest,
    ListOrdersRequest, ListOrdersResponse, ListPaymentMethodsRequest, ListPaymentMethodsResponse,
    ListProductsRequest, ListProductsResponse, ListRenewalOptionsRequest,
    ListRenewalOptionsResponse, ListRenewalsRequest, ListRenewalsResponse, ListServicesRequest,
    ListServicesResponse, Order, OrderSecrets, PayOrderRequest, Product, Quote, Renewal,
    ResumeServiceRequest, Service, SuspendServiceRequest, TerminateServiceRequest,
    UpdateProductRequest, UpdateServiceRequest,
};
use crate::write::{Baseline, Evidence, Find, PollItem, Write};

/// Declares the methods of the API: each takes a request, answers what its line says, and is not
/// supported unless it is written.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident($request:ty) -> $answer:ty, $what:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// CAPABILITY_UNSUPPORTED unless it is written.
        fn $name(
            &self,
            cx: &Cx,
            request: $request,
        ) -> impl Future<Output = Result<$answer>> + Send {
            let _ = (cx, request);
            ready(Err(Error::unsupported($what)))
        }
    )*};
}

/// One configured account at an upstream.
///
/// Reads (`list_…`, `get_…`, `check_provider`, `identify`) change nothing upstream and may be
/// repeated. Writes are steps: each may send one call that is a setting or a spend, and nothing after
/// it; the gateway never repeats a step that spent unless a declared proof or proven absence allows.
pub trait Provider: Sized + Send + Sync + 'static {
    /// The account's configuration table. Its schema stands in the manifest.
    type Config: DeserializeOwned + JsonSchema;

    /// `[a-z][a-z0-9-]*`, at most 32 bytes; what the configuration calls the plugin.
    const NAME: &'static str;
    /// One line for people.
    const DESCRIPTION: &'static str;
    /// Every upstream request the plugin makes.
    const CALLS: &'static [Call] = &[];
    /// Every answer that proves a refusal.
    const PROOFS: &'static [Proof] = &[];
    /// The credentials the plugin needs.
    const CREDENTIALS: &'static [Credential] = &[];
    /// What the upstream allows.
    const RATE: Option<Rate> = None;
    /// How many writes one [`Provider::poll`] asks the upstream for at once, in about as many requests
    /// as for one; unless written, `poll` is given one at a time.
    const POLLS_AT_ONCE: i32 = 1;
    /// How long things take upstream; unset: the gateway's own caution.
    const TIMING: Option<Timing> = None;
    /// What a reader should know of the upstream as a whole.
    const NOTICES: &'static [Note] = &[];
    /// JSON pointers of secrets in upstream answers, cut out of everything that is kept.
    const SECRET_POINTERS: &'static [&'static str] = &[];

    /// Makes the instance of one account. Sends nothing; may be repeated.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration, by field.
    fn open(config: Self::Config, host: &Host) -> Result<Self>;

    /// What the upstream calls the account, asked upstream; never empty. Unwritten, the gateway takes
    /// `account_id` of the configuration, or the provider's id.
    ///
    /// # Errors
    ///
    /// CAPABILITY_UNSUPPORTED unless it is written.
    fn identify(&self, cx: &Cx) -> impl Future<Output = Result<String>> + Send {
        let _ = cx;
        ready(Err(Error::unsupported("an account identity")))
    }

    /// What a write would do and cost. Sends nothing but reads and preparations.
    ///
    /// # Errors
    ///
    /// What the write would be refused with; CAPABILITY_UNSUPPORTED unless it is written.
    fn plan(&self, cx: &Cx, write: Write) -> impl Future<Output = Result<Quote>> + Send {
        let _ = (cx, write);
        ready(Err(Error::unsupported("quotes")))
    }

    /// What is there before a step spends, for `find` to compare with. Reads only.
    ///
    /// # Errors
    ///
    /// CAPABILITY_UNSUPPORTED unless it is written.
    fn baseline(
        &self,
        cx: &Cx,
        request: Baseline,
    ) -> impl Future<Output = Result<Evidence>> + Send {
        let _ = (cx, request);
        ready(Err(Error::unsupported("evidence")))
    }

    /// How far the upstream has come, one outcome for every item, in order. Reads only.
    ///
    /// # Errors
    ///
    /// What kept all items from being looked at; CAPABILITY_UNSUPPORTED unless it is written.
    fn poll(
        &self,
        cx: &Cx,
        items: Vec<PollItem>,
    ) -> impl Future<Output = Result<Vec<Progress>>> + Send {
        let _ = (cx, items);
        ready(Err(Error::unsupported("polling")))
    }

    /// What became of a spend whose answer was lost. Reads only; repeated until it is found, or until
    /// its absence counts.
    ///
    /// # Errors
    ///
    /// What kept it from looking; CAPABILITY_UNSUPPORTED unless it is written.
    fn find(&self, cx: &Cx, request: Find) -> impl Future<Output = Result<Finding>> + Send {
        let _ = (cx, request);
        ready(Err(Error::unsupported("searching")))
    }

    methods! {
        /// Asks the upstream whether the provider works. What is wrong there is a finding.
        check_provider(CheckProviderRequest) -> CheckProviderResponse, "Providers.CheckProvider";
        /// One page of products; `page_token` is the plugin's own cursor, as in every list.
        list_products(ListProductsRequest) -> ListProductsResponse, "Products.ListProducts";
        /// One product, with its etag.
        get_product(GetProductRequest) -> Product, "Products.GetProduct";
        /// Makes a product.
        create_product(CreateProductRequest) -> Step<Product>, "Products.CreateProduct";
        /// Changes a product.
        update_product(UpdateProductRequest) -> Step<Product>, "Products.UpdateProduct";
        /// Deletes a product.
        delete_product(DeleteProductRequest) -> Step<Deleted>, "Products.DeleteProduct";
        /// Places an order.
        create_order(CreateOrderRequest) -> Step<Order>, "Orders.CreateOrder";
        /// One order, by [`Cx::upstream_id`].
        get_order(GetOrderRequest) -> Order, "Orders.GetOrder";
        /// One page of orders.
        list_orders(ListOrdersRequest) -> ListOrdersResponse, "Orders.ListOrders";
        /// Cancels an order or one item of it.
        cancel_order(CancelOrderRequest) -> Step<Order>, "Orders.CancelOrder";
        /// The means with which an order can be paid.
        list_payment_methods(ListPaymentMethodsRequest) -> ListPaymentMethodsResponse,
            "Orders.ListPaymentMethods";
        /// Pays an order.
        pay_order(PayOrderRequest) -> Step<Order>, "Orders.PayOrder";
        /// What only the buyer of an order may see.
        get_order_secrets(GetOrderSecretsRequest) -> OrderSecrets, "Orders.GetOrderSecrets";
        /// One page of services.
        list_services(ListServicesRequest) -> ListServicesResponse, "Services.ListServices";
        /// One service, by [`Cx::upstream_id`].
        get_service(GetServiceRequest) -> Service, "Services.GetService";
        /// Changes what the update mask names.
        update_service(UpdateServiceRequest) -> Step<Service>, "Services.UpdateService";
        /// Suspends a service.
        suspend_service(SuspendServiceRequest) -> Step<Service>, "Services.SuspendService";
        /// Ends a suspension.
        resume_service(ResumeServiceRequest) -> Step<Service>, "Services.ResumeService";
        /// Ends a service for good.
        terminate_service(TerminateServiceRequest) -> Step<Service>, "Services.TerminateService";
        /// The ways to renew a service.
        list_renewal_options(ListRenewalOptionsRequest) -> ListRenewalOptionsResponse,
            "Renewals.ListRenewalOptions";
        /// Renews services.
        create_renewal(CreateRenewalRequest) -> Step<Renewal>, "Renewals.CreateRenewal";
        /// One renewal, by [`Cx::upstream_id`].
        get_renewal(GetRenewalRequest) -> Renewal, "Renewals.GetRenewal";
        /// One page of renewals.
        list_renewals(ListRenewalsRequest) -> ListRenewalsResponse, "Renewals.ListRenewals";
    }
}
