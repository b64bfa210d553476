/* A plugin whose initialiser leaves a file behind, so that a test can see whether any of its code
 * has run. Each test compiles it with another defect:
 *
 *   MARKER     the file, as a string; needed
 *   MANIFEST   a header with the bytes of the manifest; needed
 *   the others have the values of a plugin without defects
 */
#include "purveyor_plugin.h"

#include <fcntl.h>
#include <unistd.h>

#ifndef STAMP_MAGIC
#define STAMP_MAGIC PURVEYOR_STAMP_MAGIC
#endif
#ifndef STAMP_MAJOR
#define STAMP_MAJOR PURVEYOR_MAJOR
#endif
#ifndef STAMP_PANIC
#define STAMP_PANIC PURVEYOR_PANIC_UNWIND
#endif
#ifndef STAMP_NAME
#define STAMP_NAME "raw"
#endif
#ifndef MIN_HOST_MINOR
#define MIN_HOST_MINOR 0
#endif
#ifndef TABLE_MAGIC
#define TABLE_MAGIC PURVEYOR_PLUGIN_MAGIC
#endif
#ifndef TABLE_SIZE
#define TABLE_SIZE sizeof(PurveyorPlugin)
#endif
#ifndef START
#define START plugin_start
#endif
#ifndef ENTRY
#define ENTRY purveyor_plugin_v1
#endif
#ifndef VISIBILITY
#define VISIBILITY "default"
#endif
#ifndef ENTRY_CODE
#define ENTRY_CODE PURVEYOR_OK
#endif
#ifndef TARGET
#if defined(__x86_64__)
#define TARGET "x86_64-unknown-linux-gnu"
#else
#define TARGET "aarch64-unknown-linux-gnu"
#endif
#endif

#ifndef NO_STAMP
__attribute__((section(".purveyor_abi"), used)) static const PurveyorStamp stamp = {
    .magic = STAMP_MAGIC,
    .size = sizeof(PurveyorStamp),
    .major = STAMP_MAJOR,
    .minor = PURVEYOR_MINOR,
    .min_host_minor = MIN_HOST_MINOR,
    .pointer_width = 8 * sizeof(void *),
    .panic = STAMP_PANIC,
    .target = TARGET,
    .name = STAMP_NAME,
    .version = "1.0.0",
    .rustc = "none, this is c",
    .layout_hash = PURVEYOR_LAYOUT_HASH,
};
#endif

static const uint8_t manifest_bytes[] = {
#include MANIFEST
};

__attribute__((constructor)) static void leave_marker(void) {
    int file = open(MARKER, O_CREAT | O_WRONLY, 0600);
    if (file >= 0) {
        close(file);
    }
}

#ifdef EXTRA_EXPORT
__attribute__((visibility("default"))) int extra_export(void) { return 1; }
#endif

static uint32_t plugin_manifest(PurveyorBuf *out) {
    out->ptr = manifest_bytes;
    out->len = sizeof manifest_bytes;
    return PURVEYOR_OK;
}

static uint32_t plugin_open(void *host_ctx, PurveyorSlice config, void **out, PurveyorBuf *error) {
    (void)config, (void)error;
    *out = host_ctx;
    return PURVEYOR_OK;
}

static void plugin_close(void *data) { (void)data; }

__attribute__((unused)) static uint32_t plugin_start(void *data, const PurveyorCall *call,
                                                     PurveyorSlice request, PurveyorFuture *out) {
    (void)data, (void)call, (void)request, (void)out;
    return PURVEYOR_UNKNOWN_OP;
}

static const PurveyorPlugin table = {
    .header = {TABLE_MAGIC, TABLE_SIZE, PURVEYOR_MAJOR, PURVEYOR_MINOR},
    .manifest = plugin_manifest,
    .open = plugin_open,
    .close = plugin_close,
    .start = START,
};

__attribute__((visibility(VISIBILITY), used)) uint32_t ENTRY(const PurveyorHost *host,
                                                             const PurveyorPlugin **out) {
    (void)host;
    *out = &table;
    return ENTRY_CODE;
}
