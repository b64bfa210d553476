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
#ifndef PURVEYOR_PLUGIN_H
#define PURVEYOR_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PURVEYOR_HOST_MAGIC UINT64_C(0x54534f4859565250)
#define PURVEYOR_PLUGIN_MAGIC UINT64_C(0x47554c5059565250)
#define PURVEYOR_STAMP_MAGIC UINT64_C(0x504d545359565250)
#define PURVEYOR_LAYOUT_HASH UINT64_C(0xc0c2971ff2823ba4)
#define PURVEYOR_HOST_SIZE_1_0 88u
#define PURVEYOR_CALL_SIZE_1_0 48u
#define PURVEYOR_FUTURE_VTABLE_SIZE_1_0 24u
#define PURVEYOR_MAJOR 1u
#define PURVEYOR_MINOR 0u
#define PURVEYOR_OK 0u
#define PURVEYOR_ERROR 1u
#define PURVEYOR_UNKNOWN_OP 2u
#define PURVEYOR_PANIC 3u
#define PURVEYOR_MALFORMED 4u
#define PURVEYOR_CANCELLED 5u
#define PURVEYOR_PENDING 0u
#define PURVEYOR_READY 1u
#define PURVEYOR_LEVEL_ERROR 1u
#define PURVEYOR_LEVEL_WARN 2u
#define PURVEYOR_LEVEL_INFO 3u
#define PURVEYOR_LEVEL_DEBUG 4u
#define PURVEYOR_LEVEL_TRACE 5u
#define PURVEYOR_PANIC_UNWIND 1u
#define PURVEYOR_PANIC_ABORT 2u

/* A waker in one word. */
typedef const struct PurveyorWakerObject *PurveyorWaker;

/* Begins both tables, for ever. */
typedef struct PurveyorHeader {
    uint64_t magic;
    uint32_t size;
    uint16_t major;
    uint16_t minor;
} PurveyorHeader;

/* Bytes borrowed for one call. ptr may be NULL when len is 0. */
typedef struct PurveyorSlice {
    const uint8_t *ptr;
    size_t len;
} PurveyorSlice;

/* Bytes that the holder owns and the producer frees: release(owner), unless it is NULL. */
typedef struct PurveyorBuf {
    const uint8_t *ptr;
    size_t len;
    void *owner;
    void (*release)(void *owner);
} PurveyorBuf;

/* What a future comes to. */
typedef struct PurveyorReply {
    uint32_t code;
    uint32_t _pad;
    PurveyorBuf body;
    PurveyorBuf attachment;
} PurveyorReply;

/* One call of a method; borrowed for start. */
typedef struct PurveyorCall {
    uint32_t size;
    uint32_t op;
    uint32_t kind;
    uint32_t flags;
    uint64_t id;
    uint64_t deadline_ns;
    PurveyorSlice context;
} PurveyorCall;

/* One line for the log; borrowed for log. */
typedef struct PurveyorLogRecord {
    uint32_t size;
    uint32_t level;
    uint64_t call;
    PurveyorSlice target;
    PurveyorSlice message;
} PurveyorLogRecord;

/* The content of the section .purveyor_abi. Texts are padded with zeros. */
typedef struct PurveyorStamp {
    uint64_t magic;
    uint32_t size;
    uint16_t major;
    uint16_t minor;
    uint16_t min_host_minor;
    uint16_t pointer_width;
    uint32_t panic;
    char target[64];
    char name[64];
    char version[32];
    char rustc[64];
    uint64_t layout_hash;
} PurveyorStamp;

/* What can be done with a waker, on any thread. A waker passed to poll is borrowed;
 * clone makes an owned one, which wake or drop consumes. */
typedef struct PurveyorWakerVtable {
    PurveyorWaker (*clone)(PurveyorWaker waker);
    void (*wake)(PurveyorWaker waker);
    void (*wake_by_ref)(PurveyorWaker waker);
    void (*drop)(PurveyorWaker waker);
} PurveyorWakerVtable;

/* What a PurveyorWaker points to. */
typedef struct PurveyorWakerObject {
    const PurveyorWakerVtable *vtable;
} PurveyorWakerObject;

/* poll writes out and answers READY, after which it is not called again, or answers
 * PENDING. drop is called exactly once, at any stage, and nothing calls back after it. */
typedef struct PurveyorFutureVtable {
    uint32_t size;
    uint32_t _pad;
    uint32_t (*poll)(void *data, PurveyorWaker waker, PurveyorReply *out);
    void (*drop)(void *data);
} PurveyorFutureVtable;

/* Made by one side, polled by the other, by one thread at a time. */
typedef struct PurveyorFuture {
    void *data;
    const PurveyorFutureVtable *vtable;
} PurveyorFuture;

/* What a plugin offers. open owns host_ctx whatever it answers, and the plugin releases it
 * exactly once. start writes out if and only if it answers OK, and may run on several
 * threads at once. close comes after every future of start was dropped. */
typedef struct PurveyorPlugin {
    PurveyorHeader header;
    uint32_t (*manifest)(PurveyorBuf *out);
    uint32_t (*open)(void *host_ctx, PurveyorSlice config, void **out, PurveyorBuf *error);
    void (*close)(void *instance);
    uint32_t (*start)(void *instance, const PurveyorCall *call, PurveyorSlice request,
                    PurveyorFuture *out);
} PurveyorPlugin;

/* What the host offers. call and sleep_until write out if and only if they answer OK. spawn
 * takes the task over whatever it answers; a task may outlive close. */
typedef struct PurveyorHost {
    PurveyorHeader header;
    uint32_t (*call)(void *ctx, uint32_t op, uint64_t parent_call, PurveyorSlice request,
                   PurveyorSlice attachment, PurveyorFuture *out);
    uint32_t (*sleep_until)(void *ctx, uint64_t deadline_ns, PurveyorFuture *out);
    uint32_t (*spawn)(void *ctx, PurveyorFuture task, uint64_t *out);
    void (*abort)(void *ctx, uint64_t task);
    uint64_t (*monotonic_now)(void *ctx);
    int64_t (*system_now)(void *ctx);
    void (*log)(void *ctx, const PurveyorLogRecord *record);
    uint32_t (*is_cancelled)(void *ctx, uint64_t call);
    void (*release)(void *ctx);
} PurveyorHost;

/* The entry function: answers PURVEYOR_OK, or PURVEYOR_MALFORMED for a table it refuses. May be
 * called more than once. */
uint32_t purveyor_plugin_v1(const PurveyorHost *host, const PurveyorPlugin **out);

#ifdef __cplusplus
}
#endif

#endif
