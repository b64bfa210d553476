/* A plugin in C, written against the header alone: that a plugin need not be in Rust is what makes
 * the boundary an ABI. It keeps no state but the host's table and context, and never calls a
 * function of a newer host.
 *
 *   op 1  answers at once with the request
 *   op 2  stays pending once, wakes, then answers with the request
 *   op 3  asks the host's service 1 with the request, under its own call's id, and passes the
 *         answer on
 *
 * cc -std=c11 -shared -fPIC -I crates/abi/include -o plugin.so tests/plugins/c/plugin.c
 */
#include "purveyor_plugin.h"

#include <stdlib.h>
#include <string.h>

/* The compiler knows what it builds for, but not under Rust's name. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__)
#define TARGET "x86_64-unknown-linux-gnu"
#elif defined(__aarch64__) && defined(__linux__) && defined(__GLIBC__)
#define TARGET "aarch64-unknown-linux-gnu"
#else
#error "this plugin knows the targets of the gateway only"
#endif

__attribute__((section(".purveyor_abi"), used)) static const PurveyorStamp stamp = {
    .magic = PURVEYOR_STAMP_MAGIC,
    .size = sizeof(PurveyorStamp),
    .major = PURVEYOR_MAJOR,
    .minor = PURVEYOR_MINOR,
    .min_host_minor = 0,
    .pointer_width = 8 * sizeof(void *),
    .panic = PURVEYOR_PANIC_UNWIND, /* C does not panic */
    .target = TARGET,
    .name = "plain-c",
    .version = "1.0.0",
    .rustc = "none, this is c",
    .layout_hash = PURVEYOR_LAYOUT_HASH,
};

/* Checked by the entry function; the host keeps it for ever. */
static const PurveyorHost *host;

typedef struct Instance {
    void *host_ctx;
} Instance;

/* One call: its answer, and how often it still answers "pending". */
typedef struct Work {
    unsigned waits;
    PurveyorBuf answer;
} Work;

static const PurveyorBuf nothing = {0};

/* A copy of what was lent; len of the result is 0 when there is nothing or no memory. */
static PurveyorBuf copy_of(PurveyorSlice slice) {
    PurveyorBuf buf = nothing;
    if (slice.len == 0 || (buf.owner = malloc(slice.len)) == NULL) {
        return buf;
    }
    memcpy(buf.owner, slice.ptr, slice.len);
    buf.ptr = buf.owner;
    buf.len = slice.len;
    buf.release = free;
    return buf;
}

static uint32_t work_poll(void *data, PurveyorWaker waker, PurveyorReply *out) {
    Work *work = data;
    if (work->waits > 0) {
        work->waits--;
        /* A clone, as a plugin with a thread of its own would keep it. */
        PurveyorWaker owned = waker->vtable->clone(waker);
        if (owned != NULL) {
            owned->vtable->wake(owned);
            return PURVEYOR_PENDING;
        }
    }
    memset(out, 0, sizeof *out);
    out->code = PURVEYOR_OK;
    out->body = work->answer;
    work->answer = nothing; /* it is the host's now */
    return PURVEYOR_READY;
}

static void work_drop(void *data) {
    Work *work = data;
    if (work->answer.release != NULL) {
        work->answer.release(work->answer.owner);
    }
    free(work);
}

static const PurveyorFutureVtable work_vtable = {
    .size = sizeof(PurveyorFutureVtable),
    .poll = work_poll,
    .drop = work_drop,
};

static uint32_t answer_after(unsigned waits, PurveyorSlice request, PurveyorFuture *out) {
    Work *work = malloc(sizeof *work);
    if (work == NULL) {
        return PURVEYOR_ERROR;
    }
    work->waits = waits;
    work->answer = copy_of(request);
    if (work->answer.len != request.len) {
        work_drop(work);
        return PURVEYOR_ERROR;
    }
    out->data = work;
    out->vtable = &work_vtable;
    return PURVEYOR_OK;
}

/* The bytes are the plugin's for ever, so there is nothing to release. A build that is loaded by the
 * gateway names a file with the bytes of a real manifest, separated by commas. */
#ifdef PURVEYOR_MANIFEST
static const uint8_t manifest_bytes[] = {
#include PURVEYOR_MANIFEST
};
static const size_t manifest_len = sizeof manifest_bytes;
#else
static const uint8_t manifest_bytes[] = {0};
static const size_t manifest_len = 0;
#endif

static uint32_t plugin_manifest(PurveyorBuf *out) {
    *out = nothing;
    out->ptr = manifest_bytes;
    out->len = manifest_len;
    return PURVEYOR_OK;
}

/* The configuration "refuse" is refused, so that a test can see an error of open. */
static uint32_t plugin_open(void *host_ctx, PurveyorSlice config, void **out, PurveyorBuf *error) {
    static const char refusal[] = "refused by configuration";
    Instance *instance = NULL;
    if (config.len == 6 && memcmp(config.ptr, "refuse", 6) == 0) {
        error->ptr = (const uint8_t *)refusal;
        error->len = sizeof refusal - 1;
    } else {
        instance = malloc(sizeof *instance);
    }
    if (instance == NULL) {
        host->release(host_ctx); /* it is ours even if we fail */
        return PURVEYOR_ERROR;
    }
    instance->host_ctx = host_ctx;
    *out = instance;
    return PURVEYOR_OK;
}

static void plugin_close(void *data) {
    static const char target[] = "plain-c", message[] = "closed";
    Instance *instance = data;
    PurveyorLogRecord record = {
        .size = sizeof record,
        .level = PURVEYOR_LEVEL_INFO,
        .target = {(const uint8_t *)target, sizeof target - 1},
        .message = {(const uint8_t *)message, sizeof message - 1},
    };
    host->log(instance->host_ctx, &record);
    host->release(instance->host_ctx);
    free(instance);
}

static uint32_t plugin_start(void *data, const PurveyorCall *call, PurveyorSlice request,
                             PurveyorFuture *out) {
    Instance *instance = data;
    PurveyorSlice empty = {0};
    if (call->size < PURVEYOR_CALL_SIZE_1_0) {
        return PURVEYOR_MALFORMED;
    }
    switch (call->op) {
    case 1:
        return answer_after(0, request, out);
    case 2:
        return answer_after(1, request, out);
    case 3:
        /* The host's future is as good as one of our own. */
        return host->call(instance->host_ctx, 1, call->id, request, empty, out);
    default:
        return PURVEYOR_UNKNOWN_OP;
    }
}

static const PurveyorPlugin table = {
    .header = {PURVEYOR_PLUGIN_MAGIC, sizeof(PurveyorPlugin), PURVEYOR_MAJOR, PURVEYOR_MINOR},
    .manifest = plugin_manifest,
    .open = plugin_open,
    .close = plugin_close,
    .start = plugin_start,
};

__attribute__((visibility("default"))) uint32_t purveyor_plugin_v1(const PurveyorHost *given,
                                                                   const PurveyorPlugin **out) {
    if (given == NULL || out == NULL || given->header.magic != PURVEYOR_HOST_MAGIC ||
        given->header.major != PURVEYOR_MAJOR || given->header.size < PURVEYOR_HOST_SIZE_1_0 ||
        given->call == NULL || given->log == NULL || given->release == NULL) {
        return PURVEYOR_MALFORMED;
    }
    /* A linker that collects garbage keeps a section only if something that is kept reads it. */
    (void)*(const volatile uint64_t *)&stamp.magic;
    host = given;
    *out = &table;
    return PURVEYOR_OK;
}
