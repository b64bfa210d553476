//! Reads through a plugin: a message in, a message out, on behalf of a caller who waits.
//!
//! Only READ calls are made here. What a plugin answers is decoded and otherwise left as it is.

use bytes::Bytes;
use prost::Message;
use purveyor_sdk::plugin::v1::{CallContext, CallKind, Op};
use purveyor_sdk::{Error, Result};
use tokio::time::Instant;

use crate::plugin::Provider;

/// Asks a provider and decodes the answer. `upstream_ids` is what the upstream calls the resource that
/// the request names; empty where it names none.
///
/// # Errors
///
/// What the provider answers, naming it; PLUGIN_FAULT for an answer that cannot be decoded.
pub(super) async fn read<Answer: Message + Default>(
    provider: &Provider,
    op: Op,
    request: &impl Message,
    upstream_ids: &[String],
    deadline: Option<Instant>,
) -> Result<Answer> {
    let answer = read_raw(provider, op, &request.encode_to_vec(), upstream_ids, deadline).await?;
    Answer::decode(answer).map_err(|error| {
        let error = Error::fault("the plugin's answer cannot be decoded").with_source(error);
        naming(provider, error)
    })
}

/// Asks a provider and passes on the bytes of its answer.
///
/// # Errors
///
/// What the provider answers, naming it.
pub(super) async fn read_raw(
    provider: &Provider,
    op: Op,
    request: &[u8],
    upstream_ids: &[String],
    deadline: Option<Instant>,
) -> Result<Bytes> {
    let context = CallContext { upstream_ids: upstream_ids.to_vec(), ..CallContext::default() };
    let answer = provider.call_until(CallKind::Read, op, request, &context, deadline).await;
    answer.map_err(|error| naming(provider, error))
}

/// The error with the provider's name in it.
pub(super) fn naming(provider: &Provider, mut error: Error) -> Error {
    error.metadata.insert("provider".to_owned(), format!("providers/{}", provider.id()));
    error
}

/// The error with the name of what it is about, unless it names something already.
pub(super) fn about(mut error: Error, name: &str) -> Error {
    error.metadata.entry("resource".to_owned()).or_insert_with(|| name.to_owned());
    error
}
