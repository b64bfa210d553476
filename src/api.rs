//! The gRPC surface: what a call is before and after its handler, and one file for each noun. It must
//! not decide anything about money: handlers decode, make one call of the engine, and encode.

pub mod client;
pub mod health;
pub mod limits;
pub mod reflection;
pub mod server;
pub mod status;
mod subject;

pub(crate) mod operations;
mod orders;
mod products;
mod providers;
mod renewals;
mod services;

mod admission;
mod answer;
mod arrival;
mod codec;
mod gate;
mod guests;
mod known;

use purveyor_sdk::Result;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;

use self::health::Health;
use self::limits::{DECODING_MAX_BYTES, ENCODING_MAX_BYTES};
use self::served::operations_server::OperationsServer;
use self::served::orders_server::OrdersServer;
use self::served::products_server::ProductsServer;
use self::served::providers_server::ProvidersServer;
use self::served::renewals_server::RenewalsServer;
use self::served::services_server::ServicesServer;
use crate::engine::Engine;
use crate::engine::page_token::PageTokens;

/// The services as they are implemented, generated from the protos.
#[allow(clippy::all, clippy::too_many_lines)]
pub mod served {
    include!(concat!(env!("OUT_DIR"), "/server/purveyor.v1.Operations.rs"));
    include!(concat!(env!("OUT_DIR"), "/server/purveyor.v1.Orders.rs"));
    include!(concat!(env!("OUT_DIR"), "/server/purveyor.v1.Products.rs"));
    include!(concat!(env!("OUT_DIR"), "/server/purveyor.v1.Providers.rs"));
    include!(concat!(env!("OUT_DIR"), "/server/purveyor.v1.Renewals.rs"));
    include!(concat!(env!("OUT_DIR"), "/server/purveyor.v1.Services.rs"));
}

/// Applies to each service what no service may be without.
macro_rules! limited {
    ($service:expr) => {
        $service
            .max_decoding_message_size(DECODING_MAX_BYTES)
            .max_encoding_message_size(ENCODING_MAX_BYTES)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip)
    };
}

/// Every service over one engine, with health, and with reflection where it is wanted. What each
/// provider's health is, is for the caller to say.
///
/// # Errors
///
/// INTERNAL when the descriptors that reflection serves cannot be read, which is a defect.
pub async fn routes(engine: &Engine, health: &Health, reflection: bool) -> Result<Routes> {
    let tokens = PageTokens::new(engine.store().identity());
    let operations = operations::Operations::new(engine.clone(), tokens);
    let mut routes = Routes::new(limited!(OperationsServer::new(operations)));
    macro_rules! noun {
        ($noun:ident, $service:ident, $server:ident $(, $engine:expr)?) => {
            let meaning = crate::engine::$noun::$service::new(engine.clone());
            let service = $noun::$service::new($($engine,)? meaning);
            routes = routes.add_service(limited!($server::new(service)));
        };
    }
    noun!(providers, Providers, ProvidersServer);
    noun!(products, Products, ProductsServer, engine.clone());
    noun!(orders, Orders, OrdersServer, engine.clone());
    noun!(services, Services, ServicesServer, engine.clone());
    noun!(renewals, Renewals, RenewalsServer, engine.clone());
    for service in reflection::services()? {
        health.set(&service, true).await;
    }
    routes = routes.add_service(health.service());
    if reflection {
        routes = routes.add_service(reflection::current()?).add_service(reflection::older()?);
    }
    Ok(routes)
}
