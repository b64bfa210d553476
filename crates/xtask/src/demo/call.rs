//! Calls the gateway as grpcurl does: JSON in, JSON out, by the descriptors alone. Every call and
//! its answer are printed, the call as the line to type.

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use http::uri::PathAndQuery;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MethodDescriptor};
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use super::show;
use crate::raw::Raw;

/// A client of the public API.
pub(crate) struct Caller {
    pool: DescriptorPool,
    address: SocketAddr,
    client: tonic::client::Grpc<Channel>,
}

impl Caller {
    /// Connects, now and after every loss of the connection.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let mut pool = DescriptorPool::decode(purveyor_sdk::FILE_DESCRIPTOR_SET)
            .context("the contract's descriptors cannot be read")?;
        // What stands in the details of an operation's error.
        pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .context("the descriptors of error details cannot be read")?;
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        Ok(Self { pool, address, client: tonic::client::Grpc::new(channel) })
    }

    /// Calls a unary method, `Orders.CreateOrder`, and prints request and answer.
    ///
    /// # Errors
    /// The outer: the call could not be made. The inner: the gateway refused.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        request: Value,
    ) -> Result<Result<Value, Status>> {
        let method = self.method(method)?;
        let path = format!("{}/{}", method.parent_service().full_name(), method.name());
        println!("\n$ grpcurl -plaintext -d '{}' {} {path}", show::typed(&request), self.address);
        let answer = self.unary(&method, &path, request).await?;
        match &answer {
            Ok(answer) => println!("{}", show::compact(answer)),
            Err(status) => println!("ERROR: {}", told(status)),
        }
        Ok(answer)
    }

    /// As [`Caller::call`], of a call that has to succeed.
    pub(crate) async fn must(&mut self, method: &str, request: Value) -> Result<Value> {
        let refused = |status: Status| anyhow!("{method} was refused: {}", status.message());
        self.call(method, request).await?.map_err(refused)
    }

    async fn unary(
        &mut self,
        method: &MethodDescriptor,
        path: &str,
        mut request: Value,
    ) -> Result<Result<Value, Status>> {
        write_mask(&mut request);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let message = DynamicMessage::deserialize_with_options(method.input(), request, &options)
            .context("the request is not of the contract")?;
        self.client.ready().await.context("no connection to the gateway")?;
        let path = PathAndQuery::try_from(format!("/{path}"))?;
        let request = Request::new(Bytes::from(message.encode_to_vec()));
        match self.client.unary(request, path, Raw).await {
            Err(status) => Ok(Err(status)),
            Ok(answer) => {
                let message = DynamicMessage::decode(method.output(), answer.into_inner())?;
                Ok(Ok(serde_json::to_value(&message)?))
            }
        }
    }

    fn method(&self, name: &str) -> Result<MethodDescriptor> {
        let (service, method) = name.split_once('.').context("a method is Service.Method")?;
        let service = self.pool.get_service_by_name(&format!("purveyor.v1.{service}"));
        let service = service.with_context(|| format!("no service of {name}"))?;
        let method = service.methods().find(|candidate| candidate.name() == method);
        method.with_context(|| format!("no method {name}"))
    }
}

/// A field mask is typed for grpcurl as the message that it is, `{"paths": ["a.b_c"]}`; the JSON of
/// protobuf writes it as one text, `a.bC`.
fn write_mask(request: &mut Value) {
    let Some(mask) = request.get_mut("update_mask") else { return };
    let Some(paths) = mask["paths"].as_array() else { return };
    let paths: Vec<String> = paths.iter().filter_map(Value::as_str).map(camel_case).collect();
    *mask = Value::String(paths.join(","));
}

fn camel_case(path: &str) -> String {
    let (mut text, mut upper) = (String::new(), false);
    for letter in path.chars() {
        if letter == '_' {
            upper = true;
        } else {
            text.push(if upper { letter.to_ascii_uppercase() } else { letter });
            upper = false;
        }
    }
    text
}

/// What a refusal says: its code, its reason, its message, and which fields are wrong.
pub(crate) fn told(status: &Status) -> String {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    if let Some(info) = status.get_details_error_info() {
        text += &format!(" ({})", info.reason);
    }
    let wrong = status.get_details_bad_request();
    for violation in wrong.into_iter().flat_map(|wrong| wrong.field_violations) {
        text += &format!("\n  {}: {}", violation.field, violation.description);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;
    use tonic::Code;
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_mask_is_sent_as_one_text() {
        let check = |mut request: Value, expected: Value| {
            write_mask(&mut request);
            assert_eq!(request, expected);
        };
        check(
            json!({ "update_mask": { "paths": ["package.memory_mb", "group"] } }),
            json!({ "update_mask": "package.memoryMb,group" }),
        );
        check(json!({ "update_mask": "group" }), json!({ "update_mask": "group" }));
        check(json!({ "name": "a_b" }), json!({ "name": "a_b" }));
    }

    #[test]
    fn a_refusal_names_the_fields() {
        let mut details = ErrorDetails::with_bad_request_violation("a.b", "is wrong");
        details.set_error_info("FIELD_VIOLATION", "purveyor", HashMap::new());
        let status = Status::with_error_details(Code::InvalidArgument, "no", details);
        assert_eq!(told(&status), "InvalidArgument: no (FIELD_VIOLATION)\n  a.b: is wrong");
    }
}
