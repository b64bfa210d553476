//! `purveyor operations`: what a caller and an operator can do with operations, through the public
//! API as any other client. It must not reach into the gateway by any other way.

mod show;
mod table;

use std::io::Write;

use anyhow::{Context, anyhow};
use clap::{Subcommand, ValueEnum};
use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::{
    GetOperationRequest, ListOperationsRequest, Operation, OperationFilter,
    ResolveOperationRequest, resolve_operation_request as resolve,
};
use tonic::transport::{Channel, Endpoint};

use super::failure::Failure;
use crate::api::client::operations_client::OperationsClient;

/// The most rows of one request; the API gives no more.
const PAGE_MAX: usize = 200;
/// Why the second argument may name no state.
const TERMINAL_HINT: &str = "only an operation in NEEDS_OPERATOR waits for a person";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the gateway listens.
    #[arg(long, global = true, default_value = "http://127.0.0.1:50051", value_name = "URL")]
    endpoint: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List operations, newest first.
    List(List),
    /// Show everything that is known of an operation.
    Show {
        /// `operations/{request_id}` or the request id alone.
        name: String,
    },
    /// Tell what a person found out about an operation in NEEDS_OPERATOR.
    Resolve(Resolve),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only in this state; may be repeated.
    #[arg(long = "state", value_enum, ignore_case = true)]
    states: Vec<StateName>,
    /// Only at this provider.
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Only about this resource.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Only of this method, as in Orders.CreateOrder.
    #[arg(long)]
    method: Option<String>,
    /// Only those that are not done.
    #[arg(long)]
    open: bool,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: usize,
}

#[derive(Debug, clap::Args)]
struct Resolve {
    /// `operations/{request_id}` or the request id alone.
    name: String,
    #[command(flatten)]
    finding: Finding,
    /// With --not-executed: make the next attempt. Without it the operation fails.
    #[arg(long, requires = "not_executed")]
    try_again: bool,
    /// With --not-executed: do not wait until absence is conclusive, and override what the upstream
    /// answered. If the first request was executed, another attempt buys twice.
    #[arg(long, requires = "not_executed")]
    at_own_risk: bool,
    /// What you saw, kept with the operation.
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// The etag that `show` printed: refuse when the operation has changed since. Without it, it is
    /// read now.
    #[arg(long)]
    etag: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Finding {
    /// It was executed upstream, and this is what came of it.
    #[arg(long, value_name = "UPSTREAM_ID")]
    executed: Option<String>,
    /// It was not executed upstream.
    #[arg(long)]
    not_executed: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StateName {
    Accepted,
    Running,
    WaitingUpstream,
    OutcomeUnknown,
    Reconciling,
    NeedsOperator,
    Succeeded,
    Failed,
    Cancelled,
}

/// Does what was asked, and writes what came of it.
pub(crate) fn run(arguments: Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut client = connect(&arguments.endpoint).await?;
        match arguments.command {
            Command::List(list) => {
                let rows = fetch(&mut client, list).await?;
                Ok(writeln!(out, "{}", table::render(&rows))?)
            }
            Command::Show { name } => {
                let operation = get(&mut client, &name).await?;
                Ok(write!(out, "{}", show::render(&operation, &arguments.endpoint))?)
            }
            Command::Resolve(resolve) => {
                let operation = tell(&mut client, resolve).await?;
                Ok(write!(out, "{}", show::render(&operation, &arguments.endpoint))?)
            }
        }
    })
}

async fn connect(endpoint: &str) -> Result<OperationsClient<Channel>, Failure> {
    let address = Endpoint::from_shared(endpoint.to_owned())
        .with_context(|| format!("{endpoint:?} is not the URL of a gateway"))?;
    let channel = address.connect().await.map_err(|error| Failure::Unreachable {
        endpoint: endpoint.to_owned(),
        source: anyhow!(error),
    })?;
    Ok(OperationsClient::new(channel))
}

async fn fetch(
    client: &mut OperationsClient<Channel>,
    list: List,
) -> Result<Vec<Operation>, Failure> {
    let limit = list.limit;
    let filter = OperationFilter {
        states: list.states.into_iter().map(|name| State::from(name).into()).collect(),
        provider: list.provider.map(|id| prefixed("providers/", &id)).unwrap_or_default(),
        target: list.target.unwrap_or_default(),
        method: list.method.unwrap_or_default(),
        open_only: list.open,
        create_after: None,
    };
    let mut rows = Vec::new();
    let mut page_token = String::new();
    while rows.len() < limit {
        let page_size = i32::try_from((limit - rows.len()).min(PAGE_MAX)).unwrap_or(i32::MAX);
        let request = ListOperationsRequest { filter: Some(filter.clone()), page_size, page_token };
        let page = client.list_operations(request).await.map_err(refused)?.into_inner();
        rows.extend(page.operations);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(rows)
}

async fn get(client: &mut OperationsClient<Channel>, name: &str) -> Result<Operation, Failure> {
    let request = GetOperationRequest { name: prefixed("operations/", name) };
    Ok(client.get_operation(request).await.map_err(refused)?.into_inner())
}

async fn tell(client: &mut OperationsClient<Channel>, said: Resolve) -> Result<Operation, Failure> {
    let name = prefixed("operations/", &said.name);
    let etag = match said.etag {
        Some(etag) => etag,
        None => {
            let operation = get(client, &name).await?;
            if operation.state() != State::NeedsOperator {
                let message = format!("{name} is in {}", show::state(&operation));
                return Err(Failure::Refused { message, hint: Some(TERMINAL_HINT) });
            }
            operation.etag
        }
    };
    let resolution = match said.finding.executed {
        Some(upstream_id) => resolve::Resolution::Executed(resolve::Executed { upstream_id }),
        None => {
            let (try_again, at_own_risk) = (said.try_again, said.at_own_risk);
            resolve::Resolution::NotExecuted(resolve::NotExecuted { try_again, at_own_risk })
        }
    };
    let request =
        ResolveOperationRequest { name, etag, note: said.note, resolution: Some(resolution) };
    Ok(client.resolve_operation(request).await.map_err(refused)?.into_inner())
}

/// What the gateway said, with the code in the words of the API's documents.
fn refused(status: tonic::Status) -> Failure {
    Failure::Refused { message: format!("the gateway says: {}", status.message()), hint: None }
}

/// A resource name from what people type: with its collection or without.
fn prefixed(collection: &str, text: &str) -> String {
    if text.starts_with(collection) { text.to_owned() } else { format!("{collection}{text}") }
}

impl From<StateName> for State {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Accepted => Self::Accepted,
            StateName::Running => Self::Running,
            StateName::WaitingUpstream => Self::WaitingUpstream,
            StateName::OutcomeUnknown => Self::OutcomeUnknown,
            StateName::Reconciling => Self::Reconciling,
            StateName::NeedsOperator => Self::NeedsOperator,
            StateName::Succeeded => Self::Succeeded,
            StateName::Failed => Self::Failed,
            StateName::Cancelled => Self::Cancelled,
        }
    }
}
