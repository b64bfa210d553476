//! The descriptor set is whole: the contract, the boundary, and what they import.

use purveyor_sdk::FILE_DESCRIPTOR_SET;
use purveyor_sdk::prost::Message;
use purveyor_sdk::prost_types::FileDescriptorSet;

#[test]
fn every_file_is_there_before_what_imports_it_and_without_comments() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut seen = Vec::new();
    for file in &set.file {
        for import in &file.dependency {
            assert!(seen.contains(&import.as_str()), "{import} of {}", file.name());
        }
        assert_eq!(file.source_code_info, None, "{}", file.name());
        seen.push(file.name());
    }
    for name in [
        "google/protobuf/timestamp.proto",
        "google/protobuf/struct.proto",
        "purveyor/v1/orders.proto",
        "purveyor/v1/operations.proto",
        "purveyor/plugin/v1/plugin.proto",
        "purveyor/plugin/v1/manifest.proto",
        "purveyor/plugin/v1/http.proto",
    ] {
        assert!(seen.contains(&name), "{name}");
    }
}
