//! Writes the C header from the description of the structs. It must not know a layout of its own:
//! numbers come from the description and from the crate's constants.

use std::fmt::Write as _;

use purveyor_abi::{Code, LAYOUT_HASH, Level, raw};

use crate::layout::Struct;

const INTRODUCTION: &str = "\
/* The C ABI between the Purveyor host and its provider plugins, version 1.0.
 *
 * Generated from the description in tests/abi/layout.rs, where it says how; do not edit.
 *
 * A plugin is a shared library with one exported function, purveyor_plugin_v1, and a section
 * .purveyor_abi that holds a PurveyorStamp. The function checks the host's table and gives the
 * plugin's own, which must live as long as the library. It also reads the stamp (a volatile read
 * of its magic), since a linker may drop a section that nothing reads.
 *
 * Structs with a size only ever grow at their end. Look at the size of what the other side made
 * before reading a field that is not in version 1.0. A value you do not know is no error by itself.
 *
 * Nothing may unwind or longjmp through any function here.
 */
";

pub(crate) fn text(structs: &[Struct]) -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("#ifndef PURVEYOR_PLUGIN_H\n#define PURVEYOR_PLUGIN_H\n\n");
    text.push_str("#include <stddef.h>\n#include <stdint.h>\n\n");
    text.push_str("#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    constants(&mut text);
    text.push_str("/* A waker in one word. */\n");
    text.push_str("typedef const struct PurveyorWakerObject *PurveyorWaker;\n\n");
    for Struct { name, about, fields, .. } in structs {
        write!(text, "/* {about} */\ntypedef struct Purveyor{name} {{\n").unwrap();
        for field in fields {
            writeln!(text, "    {};", field.c).unwrap();
        }
        write!(text, "}} Purveyor{name};\n\n").unwrap();
    }
    text.push_str("/* The entry function: answers PURVEYOR_OK, or PURVEYOR_MALFORMED for a table it refuses. May be\n * called more than once. */\n");
    text.push_str(
        "uint32_t purveyor_plugin_v1(const PurveyorHost *host, const PurveyorPlugin **out);\n\n",
    );
    text.push_str("#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
    text
}

fn constants(text: &mut String) {
    let wide = [
        ("PURVEYOR_HOST_MAGIC", raw::HOST_MAGIC),
        ("PURVEYOR_PLUGIN_MAGIC", raw::PLUGIN_MAGIC),
        ("PURVEYOR_STAMP_MAGIC", raw::STAMP_MAGIC),
        ("PURVEYOR_LAYOUT_HASH", LAYOUT_HASH),
    ];
    for (name, value) in wide {
        writeln!(text, "#define {name} UINT64_C({value:#018x})").unwrap();
    }
    let sizes = [
        ("PURVEYOR_HOST_SIZE_1_0", raw::HOST_SIZE_1_0),
        ("PURVEYOR_CALL_SIZE_1_0", raw::CALL_SIZE_1_0),
        ("PURVEYOR_FUTURE_VTABLE_SIZE_1_0", raw::FUTURE_VTABLE_SIZE_1_0),
    ];
    for (name, value) in sizes {
        writeln!(text, "#define {name} {value}u").unwrap();
    }
    let numbers = [
        ("PURVEYOR_MAJOR", u32::from(raw::MAJOR)),
        ("PURVEYOR_MINOR", u32::from(raw::MINOR)),
        ("PURVEYOR_OK", Code::OK.0),
        ("PURVEYOR_ERROR", Code::ERROR.0),
        ("PURVEYOR_UNKNOWN_OP", Code::UNKNOWN_OP.0),
        ("PURVEYOR_PANIC", Code::PANIC.0),
        ("PURVEYOR_MALFORMED", Code::MALFORMED.0),
        ("PURVEYOR_CANCELLED", Code::CANCELLED.0),
        ("PURVEYOR_PENDING", raw::PENDING),
        ("PURVEYOR_READY", raw::READY),
        ("PURVEYOR_LEVEL_ERROR", Level::ERROR.0),
        ("PURVEYOR_LEVEL_WARN", Level::WARN.0),
        ("PURVEYOR_LEVEL_INFO", Level::INFO.0),
        ("PURVEYOR_LEVEL_DEBUG", Level::DEBUG.0),
        ("PURVEYOR_LEVEL_TRACE", Level::TRACE.0),
        ("PURVEYOR_PANIC_UNWIND", 1),
        ("PURVEYOR_PANIC_ABORT", 2),
    ];
    for (name, value) in numbers {
        writeln!(text, "#define {name} {value}u").unwrap();
    }
    text.push('\n');
}
