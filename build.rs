//! Generates the gRPC services over the SDK's messages, from the same protos. It must not generate
//! messages, and no route or method is named here but those that pass as bytes.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_types::field_descriptor_proto::Type;
use prost_types::{
    DescriptorProto, FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto,
};
use tonic_build::manual::{Builder, Method, Service};

/// The package of the public contract.
const PACKAGE: &str = "purveyor.v1";

/// The Rust module that holds the package's messages.
const MESSAGES: &str = "purveyor_sdk::v1";

/// Methods whose request and answer pass through the gateway as bytes.
const RAW: [&str; 2] = ["Products.ListProducts", "Products.GetProduct"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let (servers, clients) = (out.join("server"), out.join("client"));
    fs::create_dir_all(&servers)?;
    fs::create_dir_all(&clients)?;
    let (mut names, mut addressed) = (String::new(), String::new());
    for file in contract(&root)? {
        for service in &file.service {
            Builder::new()
                .build_client(false)
                .out_dir(&servers)
                .compile(&[generated(service, server_method)]);
            Builder::new()
                .build_server(false)
                .build_transport(false)
                .out_dir(&clients)
                .compile(&[generated(service, client_method)]);
            for method in &service.method {
                let message = message(method.input_type());
                writeln!(names, "impl Named for {MESSAGES}::{message} {{")?;
                writeln!(names, "    const NAME: &'static str = \"{PACKAGE}.{message}\";\n}}")?;
                let input = file.message_type.iter().find(|it| it.name() == message);
                let input = input.ok_or("a request stands in another file than its method")?;
                addressed.push_str(&addresses(input)?);
            }
        }
    }
    fs::write(out.join("names.rs"), names)?;
    fs::write(out.join("addressed.rs"), addressed)?;
    Ok(())
}

/// Which resource a request names, by its `name` or `parent` or by the `name` of the message that it changes, and
/// its request id.
fn addresses(request: &DescriptorProto) -> Result<String, std::fmt::Error> {
    let field = |name: &str| request.field.iter().find(|field| field.name() == name);
    let changed = request.field.iter().find(|it| it.number() == 1 && it.r#type() == Type::Message);
    let changed = changed.filter(|_| request.name().starts_with("Update"));
    let resource = match (field("name").or_else(|| field("parent")), changed) {
        (Some(field), _) => format!("&self.{}", field.name()),
        (None, Some(field)) => {
            format!("self.{}.as_ref().map_or(\"\", |it| it.name.as_str())", field.name())
        }
        (None, None) => "\"\"".to_owned(),
    };
    let id = if field("request_id").is_some() { "&self.request_id" } else { "\"\"" };
    let mut code = String::new();
    writeln!(code, "impl Addressed for {MESSAGES}::{} {{", request.name())?;
    writeln!(code, "    fn resource(&self) -> &str {{ {resource} }}")?;
    writeln!(code, "    fn request_id(&self) -> &str {{ {id} }}\n}}")?;
    Ok(code)
}

/// The files of the public contract that hold services.
fn contract(root: &Path) -> Result<Vec<FileDescriptorProto>, Box<dyn Error>> {
    let folder = root.join("purveyor/v1");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        println!("cargo::rerun-if-changed={}", path.display());
        files.push(path);
    }
    files.sort();
    let mut compiler = protox::Compiler::new([root])?;
    compiler.open_files(&files)?;
    let mut contract = compiler.file_descriptor_set().file;
    contract.retain(|file| file.package() == PACKAGE && !file.service.is_empty());
    Ok(contract)
}

/// A service as the generator wants it.
fn generated(
    service: &ServiceDescriptorProto,
    method: fn(&str, &MethodDescriptorProto) -> Method,
) -> Service {
    let builder = Service::builder().name(service.name()).package(PACKAGE);
    service
        .method
        .iter()
        .fold(builder, |builder, each| builder.method(method(service.name(), each)))
        .build()
}

/// A method as it is served: with bytes, with writes that are refused when they hold what this
/// server does not know, or simply decoded.
fn server_method(service: &str, method: &MethodDescriptorProto) -> Method {
    let raw = RAW.contains(&format!("{service}.{}", method.name()).as_str());
    let codec = if raw {
        "crate::api::codec::Raw"
    } else if reads(method.name()) {
        "crate::api::codec::Read"
    } else {
        "crate::api::codec::Write"
    };
    let rust = |name| if raw { "bytes::Bytes".to_owned() } else { rust_path(name) };
    let builder = Method::builder()
        .codec_path(codec)
        .input_type(rust(method.input_type()))
        .output_type(rust(method.output_type()));
    named(builder, method)
}

/// A method as it is called: always decoded.
fn client_method(_service: &str, method: &MethodDescriptorProto) -> Method {
    let builder = Method::builder()
        .codec_path("tonic_prost::ProstCodec")
        .input_type(rust_path(method.input_type()))
        .output_type(rust_path(method.output_type()));
    named(builder, method)
}

/// What both sides share.
fn named(builder: tonic_build::manual::MethodBuilder, method: &MethodDescriptorProto) -> Method {
    let builder = builder.name(snake_case(method.name())).route_name(method.name());
    if method.server_streaming() { builder.server_streaming().build() } else { builder.build() }
}

/// Whether a method only reads. What is named otherwise is a write, so that a new method is strict
/// until somebody says that it reads.
fn reads(method: &str) -> bool {
    ["Get", "List", "Check", "Wait", "Watch"].iter().any(|verb| method.starts_with(verb))
}

/// `.purveyor.v1.Order` -> `Order`. The contract's methods take and give its own messages alone.
fn message(full_name: &str) -> &str {
    full_name.rsplit('.').next().unwrap_or(full_name)
}

/// `.purveyor.v1.Order` -> `purveyor_sdk::v1::Order`.
fn rust_path(full_name: &str) -> String {
    format!("{MESSAGES}::{}", message(full_name))
}

/// `CreateOrder` -> `create_order`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
