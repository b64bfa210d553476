//! Reflection, v1 and v1alpha: the contract's descriptors, and google.rpc's, so that a client without
//! protos shows the details of errors in words. What crosses the plugin boundary is not shown.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use purveyor_sdk::FILE_DESCRIPTOR_SET;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::{Error, Result};
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};
use tonic_reflection::server::{Builder, v1alpha};

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
    builder()?.build_v1().map_err(defect)
}

/// The one that older clients ask.
///
/// # Errors
///
/// As [`current`].
pub fn older() -> Result<v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>> {
    builder()?.build_v1alpha().map_err(defect)
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

fn builder() -> Result<Builder<'static>> {
    Ok(Builder::configure()
        .register_file_descriptor_set(contract()?)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET))
}

fn contract() -> Result<FileDescriptorSet> {
    let mut contract = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).map_err(defect)?;
    contract.file.retain(|file| file.package() != BOUNDARY);
    Ok(contract)
}

fn defect(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorReason::Internal, "the contract's descriptors cannot be read")
        .with_source(error)
}
