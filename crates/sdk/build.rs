//! Compiles the protos into the messages of this crate and into one descriptor set. It must not
//! generate services: those belong to the gateway.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;

/// The folder of all protos, from this crate.
const PROTOS: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join(PROTOS);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let files = proto_files(&root)?;
    let mut compiler = protox::Compiler::new([&root])?;
    // The comments become documentation of the generated types.
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(&files)?;
    let mut descriptors = compiler.file_descriptor_set();
    // Rarely set, and it would make every message with a price larger.
    let ceiling = ".purveyor.v1.Price.ceiling";
    prost_build::Config::new().btree_map(["."]).boxed(ceiling).compile_fds(descriptors.clone())?;
    // What is served by reflection needs no comments.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    Ok(())
}

/// Every proto below `folder`, in a fixed order; changes of them and new ones build again.
fn proto_files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(proto_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
