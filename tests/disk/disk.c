/* A disk that fails when it is told to, for tests: preloaded into a gateway, it stands before the calls of
 * the C library that open, read, write and flush files, and lets some of them fail. Whatever it lets pass
 * goes to the kernel as it is. It must not know what is written.
 *
 * PURVEYOR_TEST_FAULTS names a file with one fault on each line, CALL ERRNO NAME: the call (open, read,
 * write or sync), the number of the error that it ends with, and the name of the files that it happens
 * to, where a star at the end stands for any rest. Opening fails only for who wants to write. Without
 * the file nothing fails.
 *
 * PURVEYOR_TEST_DISK names a folder that has, of every database and its log, what a power loss would leave:
 * a flush that succeeds copies what was written since the last one, and a flush that fails forgets it,
 * as Linux does, which holds pages as written that the disk refused. What a process wrote and never flushed
 * is lost with it, which is less than a kernel keeps.
 *
 * cc -std=gnu11 -shared -fPIC -o disk.so tests/disk/disk.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 65536
#define FILES 8

/* What was written to a file and not flushed. */
struct file {
    char name[64];
    unsigned char dirty[PAGES];
};

static struct file files[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The name of an open file; empty where it has none. */
static void name_of(int fd, char *name, size_t size) {
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    path[length > 0 && path[0] == '/' ? length : 0] = 0;
    snprintf(name, size, "%s", base(path));
}

static int matches(const char *pattern, const char *name) {
    size_t length = strlen(pattern);
    if (length > 0 && pattern[length - 1] == '*') return strncmp(pattern, name, length - 1) == 0;
    return strcmp(pattern, name) == 0;
}

/* The error that a call ends with; 0: it goes on. */
static int fault(const char *call, const char *name) {
    const char *path = getenv("PURVEYOR_TEST_FAULTS");
    if (!path || !*name) return 0;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char text[1024];
    long length = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    text[length > 0 ? length : 0] = 0;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        char failing[16], pattern[64];
        int error;
        if (sscanf(line, "%15s %d %63s", failing, &error, pattern) == 3 &&
            strcmp(failing, call) == 0 && matches(pattern, name))
            return error;
    }
    return 0;
}

/* Whether a call fails; errno is then the error, and is as it was where it does not. */
static int fails(const char *call, int fd) {
    int before = errno;
    char name[64] = "";
    if (getenv("PURVEYOR_TEST_FAULTS")) name_of(fd, name, sizeof name);
    int error = fault(call, name);
    errno = error ? error : before;
    return error != 0;
}

/* The file's place in the table; NULL where nobody asks for what the disk has. */
static struct file *tracked(int fd) {
    char name[64];
    if (!getenv("PURVEYOR_TEST_DISK")) return NULL;
    name_of(fd, name, sizeof name);
    const char *kind = strrchr(name, '.');
    if (!kind || (strcmp(kind, ".db") != 0 && strcmp(kind, ".db-wal") != 0)) return NULL;
    for (struct file *file = files; file < files + FILES; file++) {
        if (!*file->name) strcpy(file->name, name);
        if (strcmp(file->name, name) == 0) return file;
    }
    abort();
}

static void written(int fd, off_t offset, ssize_t length) {
    int before = errno;
    pthread_mutex_lock(&lock);
    struct file *file = length > 0 ? tracked(fd) : NULL;
    if (file) {
        if ((offset + length) / PAGE >= PAGES) abort();
        memset(file->dirty + offset / PAGE, 1, (offset + length - 1) / PAGE - offset / PAGE + 1);
    }
    pthread_mutex_unlock(&lock);
    errno = before;
}

/* The disk gets what was written, or it is held to have it. */
static void flushed(int fd, int success) {
    int before = errno;
    pthread_mutex_lock(&lock);
    struct file *file = tracked(fd);
    if (file && success) {
        char path[4096], page[PAGE];
        struct stat stat;
        snprintf(path, sizeof path, "%s/%s", getenv("PURVEYOR_TEST_DISK"), file->name);
        long to = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (to < 0 || fstat(fd, &stat)) abort();
        for (long n = 0; n < PAGES; n++) {
            long length = file->dirty[n] ? syscall(SYS_pread64, fd, page, PAGE, n * PAGE) : 0;
            if (length > 0 && syscall(SYS_pwrite64, to, page, length, n * PAGE) != length) abort();
        }
        if (syscall(SYS_ftruncate, to, stat.st_size)) abort();
        syscall(SYS_close, to);
    }
    if (file) memset(file->dirty, 0, sizeof file->dirty);
    pthread_mutex_unlock(&lock);
    errno = before;
}

ssize_t read(int fd, void *into, size_t length) {
    return fails("read", fd) ? -1 : syscall(SYS_read, fd, into, length);
}

ssize_t pread64(int fd, void *into, size_t length, off64_t offset) {
    return fails("read", fd) ? -1 : syscall(SYS_pread64, fd, into, length, offset);
}

ssize_t pread(int fd, void *into, size_t length, off_t offset) {
    return pread64(fd, into, length, offset);
}

ssize_t write(int fd, const void *from, size_t length) {
    if (fails("write", fd)) return -1;
    ssize_t wrote = syscall(SYS_write, fd, from, length);
    if (getenv("PURVEYOR_TEST_DISK")) written(fd, syscall(SYS_lseek, fd, 0, SEEK_CUR) - wrote, wrote);
    return wrote;
}

ssize_t pwrite64(int fd, const void *from, size_t length, off64_t offset) {
    if (fails("write", fd)) return -1;
    ssize_t wrote = syscall(SYS_pwrite64, fd, from, length, offset);
    written(fd, offset, wrote);
    return wrote;
}

ssize_t pwrite(int fd, const void *from, size_t length, off_t offset) {
    return pwrite64(fd, from, length, offset);
}

int ftruncate64(int fd, off64_t length) {
    return fails("write", fd) ? -1 : syscall(SYS_ftruncate, fd, length);
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int flush(long number, int fd) {
    int failed = fails("sync", fd);
    int flushing = failed ? -1 : syscall(number, fd);
    flushed(fd, flushing == 0);
    return flushing;
}

int fsync(int fd) { return flush(SYS_fsync, fd); }

int fdatasync(int fd) { return flush(SYS_fdatasync, fd); }

static int open_in(int folder, const char *path, int flags, mode_t mode) {
    int before = errno;
    int writing = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
    int error = writing ? fault("open", base(path)) : 0;
    errno = error ? error : before;
    return error ? -1 : syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE(flags, mode)                        \
    mode_t mode = 0;                             \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {     \
        va_list rest;                            \
        va_start(rest, flags);                   \
        mode = va_arg(rest, mode_t);             \
        va_end(rest);                            \
    }

int open(const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_in(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_in(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_in(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return open_in(folder, path, flags, mode);
}
