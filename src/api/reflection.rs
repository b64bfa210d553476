//! Reflection, v1 and v1alpha: the contract's descriptors, and google.rpc's, so that a client without
//! protos shows the details of errors in words. What crosses the plugin boundary is not shown. A name that
//! is unknown is answered with an error of its own, and the stream goes on, as the protocol has it.

use std::pin::Pin;
use std::sync::Arc;

use prost::Message as _;
use prost_reflect::{DescriptorPool, FileDescriptor};
use prost_types::FileDescriptorSet;
use purveyor_sdk::FILE_DESCRIPTOR_SET;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::pb;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};
use tonic_reflection::server::v1alpha;

use crate::api::status::NOT_FOUND;

/// The package of the public contract.
const PACKAGE: &str = "purveyor.v1";

/// The package that callers need not know.
const BOUNDARY: &str = "purveyor.plugin.v1";

/// The current reflection service.
///
/// # Errors
///
/// INTERNAL when the descriptors cannot be read, which is a defect.
pub fn current() -> Result<ServerReflectionServer<impl ServerReflection>> {
    Ok(ServerReflectionServer::new(Described::with(pb::v1::FILE_DESCRIPTOR_SET)?))
}

/// The one that older clients ask.
///
/// # Errors
///
/// As [`current`].
pub fn older() -> Result<v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>> {
    let described = Described::with(pb::v1alpha::FILE_DESCRIPTOR_SET)?;
    Ok(v1alpha::ServerReflectionServer::new(described))
}

/// The full names of the services of this API.
///
/// # Errors
///
/// As [`current`].
pub fn services() -> Result<Vec<String>> {
    let contract = contract()?;
    let files = contract.file.iter().filter(|file| file.package() == PACKAGE);
    let services = files.flat_map(|file| &file.service);
    Ok(services.map(|service| format!("{PACKAGE}.{}", service.name())).collect())
}

/// Everything that can be asked about.
#[derive(Clone)]
struct Described(Arc<DescriptorPool>);

/// Why there is no answer.
struct Unknown(String);

impl Described {
    /// The contract, and what is served beside it.
    fn with(own: &[u8]) -> Result<Self> {
        let decoded = |bytes: &[u8]| FileDescriptorSet::decode(bytes).map_err(defect);
        let mut pool = DescriptorPool::new();
        for mut set in [
            contract()?,
            decoded(tonic_types::pb::FILE_DESCRIPTOR_SET)?,
            decoded(tonic_health::pb::FILE_DESCRIPTOR_SET)?,
            decoded(own)?,
        ] {
            // Each set brings the files of google.protobuf that it imports.
            set.file.retain(|file| pool.get_file_by_name(file.name()).is_none());
            pool.add_file_descriptor_set(set).map_err(defect)?;
        }
        Ok(Self(Arc::new(pool)))
    }

    fn file(&self, name: &str) -> std::result::Result<Vec<u8>, Unknown> {
        let file = self.0.get_file_by_name(name);
        let file = file.ok_or_else(|| Unknown(format!("there is no file {name:?}")))?;
        Ok(file.encode_to_vec())
    }

    fn file_of(&self, symbol: &str) -> std::result::Result<Vec<u8>, Unknown> {
        // Some clients name a type as descriptors do.
        let name = symbol.strip_prefix('.').unwrap_or(symbol);
        let file = self.declaring(name).or_else(|| self.member_of(name));
        let file = file.ok_or_else(|| Unknown(format!("there is no symbol {symbol:?}")))?;
        Ok(file.encode_to_vec())
    }

    fn declaring(&self, name: &str) -> Option<FileDescriptor> {
        let pool = &self.0;
        let message = || Some(pool.get_message_by_name(name)?.parent_file());
        let service = || Some(pool.get_service_by_name(name)?.parent_file());
        let kinds = || Some(pool.get_enum_by_name(name)?.parent_file());
        let extension = || Some(pool.get_extension_by_name(name)?.parent_file());
        message().or_else(service).or_else(kinds).or_else(extension)
    }

    /// Where a method, a field or a value of an enumeration is declared.
    fn member_of(&self, name: &str) -> Option<FileDescriptor> {
        let (parent, member) = name.rsplit_once('.')?;
        let service = || {
            let service = self.0.get_service_by_name(parent)?;
            service.methods().any(|method| method.name() == member).then(|| service.parent_file())
        };
        let message = || {
            let message = self.0.get_message_by_name(parent)?;
            let oneof = message.oneofs().any(|oneof| oneof.name() == member);
            (oneof || message.get_field_by_name(member).is_some()).then(|| message.parent_file())
        };
        // A value stands beside its enumeration, not in it.
        let value = || {
            let mut values = self.0.all_enums().flat_map(|it| it.values().collect::<Vec<_>>());
            values.find(|it| it.full_name() == name).map(|it| it.parent_enum().parent_file())
        };
        service().or_else(message).or_else(value)
    }

    fn services(&self) -> Vec<String> {
        self.0.services().map(|service| service.full_name().to_owned()).collect()
    }
}

/// One version of the protocol. The two differ in nothing but their package.
macro_rules! serve {
    ($service:path, $pb:ident) => {
        #[tonic::async_trait]
        impl $service for Described {
            type ServerReflectionInfoStream = Pin<
                Box<
                    dyn Stream<
                            Item = std::result::Result<pb::$pb::ServerReflectionResponse, Status>,
                        > + Send,
                >,
            >;

            async fn server_reflection_info(
                &self,
                request: Request<Streaming<pb::$pb::ServerReflectionRequest>>,
            ) -> std::result::Result<Response<Self::ServerReflectionInfoStream>, Status> {
                use pb::$pb::server_reflection_request::MessageRequest as Asked;
                use pb::$pb::server_reflection_response::MessageResponse as Answer;
                use pb::$pb::{
                    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse,
                    ListServiceResponse, ServerReflectionResponse, ServiceResponse,
                };
                let described = self.clone();
                let answer = move |asked: Option<&Asked>| {
                    let file = |file| {
                        let file_descriptor_proto = vec![file];
                        Answer::FileDescriptorResponse(FileDescriptorResponse {
                            file_descriptor_proto,
                        })
                    };
                    match asked {
                        None => Err(Unknown("nothing is asked".to_owned())),
                        Some(Asked::FileByFilename(name)) => described.file(name).map(file),
                        Some(Asked::FileContainingSymbol(name)) => {
                            described.file_of(name).map(file)
                        }
                        Some(Asked::FileContainingExtension(_)) => {
                            Err(Unknown("there are no extensions".to_owned()))
                        }
                        // Common clients take an error here for the end.
                        Some(Asked::AllExtensionNumbersOfType(_)) => Ok(
                            Answer::AllExtensionNumbersResponse(ExtensionNumberResponse::default()),
                        ),
                        Some(Asked::ListServices(_)) => {
                            let services = described.services().into_iter();
                            let service = services.map(|name| ServiceResponse { name }).collect();
                            Ok(Answer::ListServicesResponse(ListServiceResponse { service }))
                        }
                    }
                };
                let answers = request.into_inner().map(move |request| {
                    let request = request?;
                    let answer = answer(request.message_request.as_ref());
                    let answer = answer.unwrap_or_else(|Unknown(error_message)| {
                        let error_code = NOT_FOUND;
                        Answer::ErrorResponse(ErrorResponse { error_code, error_message })
                    });
                    Ok(ServerReflectionResponse {
                        valid_host: request.host.clone(),
                        original_request: Some(request),
                        message_response: Some(answer),
                    })
                });
                Ok(Response::new(Box::pin(answers)))
            }
        }
    };
}

serve!(ServerReflection, v1);
serve!(v1alpha::ServerReflection, v1alpha);

fn contract() -> Result<FileDescriptorSet> {
    let mut contract = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).map_err(defect)?;
    contract.file.retain(|file| file.package() != BOUNDARY);
    Ok(contract)
}

fn defect(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorReason::Internal, "the contract's descriptors cannot be read")
        .with_source(error)
}
