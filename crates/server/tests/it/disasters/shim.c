/* Loaded before libc by a shop under test (LD_PRELOAD). Writes down, in the order in which the system carried them out,
 * all changes to regular files below the folder $MERX_SHIM_FOLDER into the log $MERX_SHIM_LOG; a test rebuilds from the log
 * what a disk may hold after the power went. While the file $MERX_SHIM_FAULT exists, changes fail with the error it names.
 *
 * A record is written when its call has returned, so that nothing in the log is what never was; of a sync also the begin
 * is noted, for only what was written before it began is safe once it ends. Calls that a database or a shop could
 * use to change a file, and that are not modelled, are noted as such: the test then fails by name.
 *
 * The end of the log, as its length says, is the moment: whoever saw an answer of the shop and then reads the length
 * knows that all that the shop did before it answered lies before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE = 1, TRUNCATE, SYNC_BEGIN, SYNC_END, CREATE, RENAME, UNLINK, UNMODELLED };

/* Followed by path_len bytes of path (relative to the folder), then data_len bytes of data. */
struct record {
    uint32_t kind, path_len;
    uint64_t inode, offset, data_len, wall_ms;
};

static char folder[PATH_MAX];
static size_t folder_len;
static const char *fault_file;
static int log_fd = -1;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t syncs;

#define REAL(result, name, ...)                                        \
    static result (*real_##name)(__VA_ARGS__);                         \
    if (!real_##name) *(void **)(&real_##name) = dlsym(RTLD_NEXT, #name)

static ssize_t raw_writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    return real_writev(fd, parts, count);
}

__attribute__((constructor)) static void begin(void) {
    REAL(int, open, const char *, int, ...);
    const char *below = getenv("MERX_SHIM_FOLDER"), *path = getenv("MERX_SHIM_LOG");
    fault_file = getenv("MERX_SHIM_FAULT");
    if (!below || strlen(below) >= sizeof folder - 1) return;
    strcpy(folder, below);
    folder_len = strlen(folder);
    if (!path) return;
    int fd = real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) abort();
    /* Out of the way of the numbers a program expects. */
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 900);
    if (log_fd < 0) abort();
    close(fd);
}

/* The path below the folder, or null. The shared-memory index of SQLite is not of the disk: the next start makes it anew. */
static const char *ours(const char *path) {
    size_t len = strlen(path);
    if (!folder_len || strncmp(path, folder, folder_len) || path[folder_len] != '/') return NULL;
    if (len > 4 && !strcmp(path + len - 4, "-shm")) return NULL;
    return path + folder_len + 1;
}

static const char *ours_at(int fd, char *path) {
    char link[32];
    if (!folder_len || fd == log_fd) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_MAX - 1);
    if (len <= 0) return NULL;
    path[len] = 0;
    /* What has no name any more outlives no power cut. */
    if (len > 10 && !strcmp(path + len - 10, " (deleted)")) return NULL;
    return ours(path);
}

static void note(enum kind kind, uint64_t inode, uint64_t offset, const char *path, const void *data, size_t data_len) {
    if (log_fd < 0) return;
    int kept = errno;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct record record = {kind, (uint32_t)strlen(path), inode, offset, data_len,
                            (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000};
    struct iovec parts[3] = {{&record, sizeof record}, {(void *)path, record.path_len}, {(void *)data, data_len}};
    pthread_mutex_lock(&log_lock);
    /* A log with a hole in it would prove anything. */
    if (raw_writev(log_fd, parts, 3) != (ssize_t)(sizeof record + record.path_len + data_len)) abort();
    pthread_mutex_unlock(&log_lock);
    errno = kept;
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : (uint64_t)found.st_ino;
}

static int fault(void) {
    char name[16] = {0};
    if (!fault_file) return 0;
    REAL(int, open, const char *, int, ...);
    int kept = errno, fd = real_open(fault_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        errno = kept;
        return 0;
    }
    ssize_t len = read(fd, name, sizeof name - 1);
    close(fd);
    if (len >= 5 && !strncmp(name, "EROFS", 5)) return EROFS;
    if (len >= 6 && !strncmp(name, "ENOSPC", 6)) return ENOSPC;
    return EIO;
}

#define FAIL_IF_FAULTY(result)   \
    do {                         \
        int error = fault();     \
        if (error) {             \
            errno = error;       \
            return result;       \
        }                        \
    } while (0)

ssize_t write(int fd, const void *data, size_t len) {
    REAL(ssize_t, write, int, const void *, size_t);
    char buffer[PATH_MAX];
    const char *path = ours_at(fd, buffer);
    if (!path) return real_write(fd, data, len);
    FAIL_IF_FAULTY(-1);
    ssize_t done = real_write(fd, data, len);
    if (done > 0) {
        /* Also right for a file that is appended to: its offset is moved to its end. */
        off_t end = lseek(fd, 0, SEEK_CUR);
        note(WRITE, inode_of(fd), (uint64_t)(end - done), path, data, (size_t)done);
    }
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char buffer[PATH_MAX];
    if (!ours_at(fd, buffer)) return raw_writev(fd, parts, count);
    /* As one may: less than all of it. */
    for (int at = 0; at < count; at++)
        if (parts[at].iov_len) return write(fd, parts[at].iov_base, parts[at].iov_len);
    return 0;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    char buffer[PATH_MAX];
    const char *path = ours_at(fd, buffer);
    if (!path) return real_pwrite(fd, data, len, offset);
    FAIL_IF_FAULTY(-1);
    ssize_t done = real_pwrite(fd, data, len, offset);
    if (done > 0) note(WRITE, inode_of(fd), (uint64_t)offset, path, data, (size_t)done);
    return done;
}
ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset) { return pwrite(fd, data, len, offset); }

int ftruncate(int fd, off_t len) {
    REAL(int, ftruncate, int, off_t);
    char buffer[PATH_MAX];
    const char *path = ours_at(fd, buffer);
    if (!path) return real_ftruncate(fd, len);
    FAIL_IF_FAULTY(-1);
    int done = real_ftruncate(fd, len);
    if (!done) note(TRUNCATE, inode_of(fd), (uint64_t)len, path, NULL, 0);
    return done;
}
int ftruncate64(int fd, off_t len) { return ftruncate(fd, len); }

static int synced(int fd, int (*real)(int)) {
    char buffer[PATH_MAX];
    if (!folder_len || fd == log_fd) return real(fd);
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, buffer, PATH_MAX - 1);
    if (len > 0) buffer[len] = 0;
    int whole = len > 0 && !strcmp(buffer, folder);
    const char *path = whole ? "" : len > 0 ? ours(buffer) : NULL;
    if (!path) return real(fd);
    int error = fault();
    /* What was written before a file system became read-only is still synced. */
    if (error && error != EROFS) {
        errno = error;
        return -1;
    }
    uint64_t number = __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST) | ((uint64_t)getpid() << 32), inode = inode_of(fd);
    note(SYNC_BEGIN, inode, number, path, NULL, 0);
    int done = real(fd);
    if (!done) note(SYNC_END, inode, number, path, NULL, 0);
    return done;
}
int fsync(int fd) {
    REAL(int, fsync, int);
    return synced(fd, real_fsync);
}
int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return synced(fd, real_fdatasync);
}

static int opened(int (*real)(int, const char *, int, ...), int at, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    const char *name = NULL;
    if (at == AT_FDCWD || path[0] == '/') name = ours(path);
    else if (folder_len && (flags & (O_CREAT | O_TRUNC))) {
        /* Relative to an open folder: as the standard library walks trees. */
        char link[32];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t len = readlink(link, whole, PATH_MAX - 2 - strlen(path));
        if (len > 0) {
            whole[len] = '/';
            strcpy(whole + len + 1, path);
            name = ours(whole);
        }
    }
    if (!name) return real(at, path, flags, mode);
    int there = !faccessat(at, path, F_OK, 0), changes = (!there && (flags & O_CREAT)) || (flags & O_TRUNC);
    int error = fault();
    /* A read-only file system opens nothing for writing, also what is there. */
    if (error && (changes || (error == EROFS && (flags & O_ACCMODE) != O_RDONLY))) {
        errno = error;
        return -1;
    }
    if (!changes) return real(at, path, flags, mode);
    int fd = real(at, path, flags, mode);
    if (fd >= 0 && !there) note(CREATE, inode_of(fd), 0, name, NULL, 0);
    else if (fd >= 0 && (flags & O_TRUNC)) note(TRUNCATE, inode_of(fd), 0, name, NULL, 0);
    return fd;
}

#define MODE_OF(flags)                            \
    mode_t mode = 0;                              \
    if ((flags) & (O_CREAT | O_TMPFILE)) {        \
        va_list rest;                             \
        va_start(rest, flags);                    \
        mode = va_arg(rest, mode_t);              \
        va_end(rest);                             \
    }

int open(const char *path, int flags, ...) {
    REAL(int, openat, int, const char *, int, ...);
    MODE_OF(flags)
    return opened(real_openat, AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    REAL(int, openat, int, const char *, int, ...);
    MODE_OF(flags)
    return opened(real_openat, AT_FDCWD, path, flags, mode);
}
int openat(int at, const char *path, int flags, ...) {
    REAL(int, openat, int, const char *, int, ...);
    MODE_OF(flags)
    return opened(real_openat, at, path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...) {
    REAL(int, openat, int, const char *, int, ...);
    MODE_OF(flags)
    return opened(real_openat, at, path, flags, mode);
}

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    const char *source = ours(from), *target = ours(to);
    if (source || target) FAIL_IF_FAULTY(-1);
    int done = real_rename(from, to);
    if (!done && source && target) note(RENAME, 0, 0, source, target, strlen(target));
    else if (!done && (source || target)) note(UNMODELLED, 0, 0, "rename across the folder's border", NULL, 0);
    return done;
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    const char *name = ours(path);
    if (name) FAIL_IF_FAULTY(-1);
    int done = real_unlink(path);
    if (!done && name) note(UNLINK, 0, 0, name, NULL, 0);
    return done;
}

/* What nothing of ours uses on these files so far. */
#define UNMODELLED_CALL(name, arguments, call, fd)               \
    int name arguments {                                         \
        char buffer[PATH_MAX];                                   \
        *(void **)(&call_##name) = dlsym(RTLD_NEXT, #name);      \
        if (ours_at(fd, buffer)) note(UNMODELLED, 0, 0, #name, NULL, 0); \
        return call_##name call;                                 \
    }
static int (*call_fallocate)(int, int, off_t, off_t);
UNMODELLED_CALL(fallocate, (int fd, int mode, off_t offset, off_t len), (fd, mode, offset, len), fd)
static int (*call_posix_fallocate)(int, off_t, off_t);
UNMODELLED_CALL(posix_fallocate, (int fd, off_t offset, off_t len), (fd, offset, len), fd)

ssize_t copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t len, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off_t *, int, off_t *, size_t, unsigned);
    char buffer[PATH_MAX];
    if (ours_at(out, buffer)) note(UNMODELLED, 0, 0, "copy_file_range", NULL, 0);
    return real_copy_file_range(in, in_at, out, out_at, len, flags);
}

int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *);
    if (ours(to)) note(UNMODELLED, 0, 0, "link", NULL, 0);
    return real_link(from, to);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    if (ours(to)) note(UNMODELLED, 0, 0, "linkat", NULL, 0);
    return real_linkat(from_at, from, to_at, to, flags);
}
