//! The description of every struct that crosses, from which the golden dump and the C header are
//! made, and the tests that hold both.
//!
//! After a change of the ABI: `PURVEYOR_BLESS=1 cargo test -p purveyor-abi --test abi layout`
//! rewrites the dump and the header; run it twice, since the header quotes the dump's hash.

use std::fmt::Write as _;
use std::mem::{align_of, offset_of, size_of};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use purveyor_abi::{Stamp, raw};

use crate::header;

pub(crate) struct Struct {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) size: usize,
    pub(crate) align: usize,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) offset: usize,
    pub(crate) size: usize,
    /// How C declares it.
    pub(crate) c: &'static str,
}

macro_rules! describe {
    ($about:literal, $type:ty as $name:literal { $($field:ident: $c:literal),* $(,)? }) => {
        Struct {
            name: $name,
            about: $about,
            size: size_of::<$type>(),
            align: align_of::<$type>(),
            fields: vec![$(Field {
                name: stringify!($field),
                offset: offset_of!($type, $field),
                size: size_behind(|it: &$type| &raw const it.$field),
                c: $c,
            }),*],
        }
    };
}

fn size_behind<T, F>(_: fn(&T) -> *const F) -> usize {
    size_of::<F>()
}

/// Every struct, in an order in which C can declare them.
pub(crate) fn structs() -> Vec<Struct> {
    let mut all = values();
    all.extend(futures());
    all.extend(tables());
    all
}

fn values() -> Vec<Struct> {
    vec![
        describe!("Begins both tables, for ever.", raw::Header as "Header" {
            magic: "uint64_t magic", size: "uint32_t size", major: "uint16_t major",
            minor: "uint16_t minor",
        }),
        describe!("Bytes borrowed for one call. ptr may be NULL when len is 0.",
            raw::Slice as "Slice" { ptr: "const uint8_t *ptr", len: "size_t len" }),
        describe!("Bytes that the holder owns and the producer frees: release(owner), unless it is NULL.",
            raw::Buf as "Buf" {
            ptr: "const uint8_t *ptr", len: "size_t len", owner: "void *owner",
            release: "void (*release)(void *owner)",
        }),
        describe!("What a future comes to.", raw::Reply as "Reply" {
            code: "uint32_t code", _pad: "uint32_t _pad", body: "PurveyorBuf body",
            attachment: "PurveyorBuf attachment",
        }),
        describe!("One call of a method; borrowed for start.", raw::Call as "Call" {
            size: "uint32_t size", op: "uint32_t op", kind: "uint32_t kind",
            flags: "uint32_t flags", id: "uint64_t id", deadline_ns: "uint64_t deadline_ns",
            context: "PurveyorSlice context",
        }),
        describe!("One line for the log; borrowed for log.", raw::LogRecord as "LogRecord" {
            size: "uint32_t size", level: "uint32_t level", call: "uint64_t call",
            target: "PurveyorSlice target", message: "PurveyorSlice message",
        }),
        describe!("The content of the section .purveyor_abi. Texts are padded with zeros.",
            Stamp as "Stamp" {
            magic: "uint64_t magic", size: "uint32_t size", major: "uint16_t major",
            minor: "uint16_t minor", min_host_minor: "uint16_t min_host_minor",
            pointer_width: "uint16_t pointer_width", panic: "uint32_t panic",
            target: "char target[64]", name: "char name[64]", version: "char version[32]",
            rustc: "char rustc[64]", layout_hash: "uint64_t layout_hash",
        }),
    ]
}

fn futures() -> Vec<Struct> {
    vec![
        describe!("What can be done with a waker, on any thread. A waker passed to poll is borrowed;\n * clone makes an owned one, which wake or drop consumes.",
            raw::WakerVtable as "WakerVtable" {
            clone: "PurveyorWaker (*clone)(PurveyorWaker waker)",
            wake: "void (*wake)(PurveyorWaker waker)",
            wake_by_ref: "void (*wake_by_ref)(PurveyorWaker waker)",
            drop: "void (*drop)(PurveyorWaker waker)",
        }),
        describe!("What a PurveyorWaker points to.", raw::WakerObject as "WakerObject" {
            vtable: "const PurveyorWakerVtable *vtable",
        }),
        describe!("poll writes out and answers READY, after which it is not called again, or answers\n * PENDING. drop is called exactly once, at any stage, and nothing calls back after it.",
            raw::FutureVtable as "FutureVtable" {
            size: "uint32_t size", _pad: "uint32_t _pad",
            poll: "uint32_t (*poll)(void *data, PurveyorWaker waker, PurveyorReply *out)",
            drop: "void (*drop)(void *data)",
        }),
        describe!("Made by one side, polled by the other, by one thread at a time.",
            raw::Future as "Future" {
            data: "void *data", vtable: "const PurveyorFutureVtable *vtable",
        }),
    ]
}

fn tables() -> Vec<Struct> {
    vec![
        describe!("What a plugin offers. open owns host_ctx whatever it answers, and the plugin releases it\n * exactly once. start writes out if and only if it answers OK, and may run on several\n * threads at once. close comes after every future of start was dropped.",
            raw::Plugin as "Plugin" {
            header: "PurveyorHeader header",
            manifest: "uint32_t (*manifest)(PurveyorBuf *out)",
            open: "uint32_t (*open)(void *host_ctx, PurveyorSlice config, void **out, PurveyorBuf *error)",
            close: "void (*close)(void *instance)",
            start: "uint32_t (*start)(void *instance, const PurveyorCall *call, PurveyorSlice request,\n                    PurveyorFuture *out)",
        }),
        describe!("What the host offers. call and sleep_until write out if and only if they answer OK. spawn\n * takes the task over whatever it answers; a task may outlive close.",
            raw::Host as "Host" {
            header: "PurveyorHeader header",
            call: "uint32_t (*call)(void *ctx, uint32_t op, uint64_t parent_call, PurveyorSlice request,\n                   PurveyorSlice attachment, PurveyorFuture *out)",
            sleep_until: "uint32_t (*sleep_until)(void *ctx, uint64_t deadline_ns, PurveyorFuture *out)",
            spawn: "uint32_t (*spawn)(void *ctx, PurveyorFuture task, uint64_t *out)",
            abort: "void (*abort)(void *ctx, uint64_t task)",
            monotonic_now: "uint64_t (*monotonic_now)(void *ctx)",
            system_now: "int64_t (*system_now)(void *ctx)",
            log: "void (*log)(void *ctx, const PurveyorLogRecord *record)",
            is_cancelled: "uint32_t (*is_cancelled)(void *ctx, uint64_t call)",
            release: "void (*release)(void *ctx)",
        }),
    ]
}

fn dump() -> String {
    let mut dump = String::new();
    for Struct { name, size, align, fields, .. } in structs() {
        writeln!(dump, "{name} size {size} align {align}").unwrap();
        for Field { name, offset, size, .. } in fields {
            writeln!(dump, "  {name} offset {offset} size {size}").unwrap();
        }
    }
    dump
}

/// Compares a checked-in file with what it should be, or rewrites it when asked to.
fn check_file(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("PURVEYOR_BLESS").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert_eq!(
        found,
        expected,
        "{} is stale; the top of this file says how to bless",
        path.display()
    );
}

#[test]
fn the_layouts_are_those_of_the_golden_dump() {
    check_file("tests/data/layout.txt", &dump());
}

#[test]
fn the_c_header_is_made_from_the_same_description() {
    check_file("include/purveyor_plugin.h", &header::text(&structs()));
}

#[test]
fn a_c_compiler_lays_the_header_out_as_rust_does() {
    let mut program =
        String::from("#include <stdio.h>\n#include \"purveyor_plugin.h\"\nint main(void) {\n");
    for Struct { name, fields, .. } in structs() {
        let c = format!("Purveyor{name}");
        writeln!(program, "printf(\"{name} size %zu align %zu\\n\", sizeof({c}), _Alignof({c}));")
            .unwrap();
        for Field { name, .. } in fields {
            writeln!(
                program,
                "printf(\"  {name} offset %zu size %zu\\n\", offsetof({c}, {name}), sizeof((({c} *)0)->{name}));"
            )
            .unwrap();
        }
    }
    program.push_str("return 0;\n}\n");

    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("layout.c");
    let binary = folder.path().join("layout");
    fs::write(&source, program).unwrap();
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
        .arg("-o")
        .args([&binary, &source])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let printed = Command::new(&binary).output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), dump());
}
