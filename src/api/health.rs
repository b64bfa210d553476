//! `grpc.health.v1`: the process, each service, each provider. It says what it is told; liveness
//! depends on no upstream and not on the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// The name of the process as a whole.
const PROCESS: &str = "";

/// What health says.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    said: Arc<Mutex<Said>>,
}

#[derive(Debug)]
struct Said {
    serves: BTreeMap<String, bool>,
    stopping: bool,
}

impl Health {
    /// Only the process is known, and it serves.
    pub fn new() -> Self {
        let serves = BTreeMap::from([(PROCESS.to_owned(), true)]);
        let said = Said { serves, stopping: false };
        Self { reporter: HealthReporter::new(), said: Arc::new(Mutex::new(said)) }
    }

    /// Says whether `name` serves: the process (empty), a service, or `providers/{provider}`. May be
    /// repeated: who watches hears of changes alone. After the server began to stop nothing serves,
    /// whatever is said.
    pub async fn set(&self, name: &str, serves: bool) {
        let mut said = self.said.lock().await;
        let serves = serves && !said.stopping;
        if said.serves.insert(name.to_owned(), serves) != Some(serves) {
            self.report(name, serves).await;
        }
    }

    /// Says nothing of `name` any more.
    pub async fn forget(&self, name: &str) {
        let mut said = self.said.lock().await;
        if said.serves.remove(name).is_some() {
            let mut reporter = self.reporter.clone();
            reporter.clear_service_status(name).await;
        }
    }

    /// Nothing serves any more, so that load balancers look elsewhere.
    pub(crate) async fn stopping(&self) {
        let mut said = self.said.lock().await;
        said.stopping = true;
        for (name, serves) in &mut said.serves {
            *serves = false;
            self.report(name, false).await;
        }
    }

    async fn report(&self, name: &str, serves: bool) {
        let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(name, status).await;
    }

    /// The service.
    pub fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}
