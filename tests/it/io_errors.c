/* Lets system calls on files below one folder fail with EIO. Loaded into the binary with LD_PRELOAD (Linux).
 *
 * Not every call goes through the C library (rustix makes its own), so the kernel is asked, by a seccomp filter, to hand
 * the calls of interest to a signal handler, which fails them or makes them itself. Calls are counted over the process.
 *
 *   IO_ERRORS_BELOW  the folder, absolute
 *   IO_ERRORS_LOG    a file: each call that counts, one a line: its name, a space, its path
 *   IO_ERRORS_CALLS  letters: `c` what changes files, and opening for that; `r` what reads them; `l` looks (stat)
 *   IO_ERRORS_FROM, IO_ERRORS_TO  the numbers of the first and the last call that fail, from 1; 0 for none
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* A sixth argument that tells the filter that the handler itself calls. None of these calls has a sixth of its own. */
#define OURS 0x10f417
#define PATH_BYTES 4096

enum where { AT_PATH, AT_FOLDER, AT_FILE };
/* What a call does to the file, as the letters say. */
enum what { CHANGES = 'c', READS = 'r', LOOKS = 'l', AS_OPENED = 'o' };

static const struct call {
    int number;
    enum where where; /* argument 0 is a path; arguments 0 and 1 are a folder and a path; argument 0 is a file */
    enum what what;
    const char *name;
} CALLS[] = {
#ifdef SYS_open
    {SYS_open, AT_PATH, AS_OPENED, "open"},
    {SYS_mkdir, AT_PATH, CHANGES, "mkdir"},
    {SYS_unlink, AT_PATH, CHANGES, "unlink"},
    {SYS_rmdir, AT_PATH, CHANGES, "unlink"},
    {SYS_rename, AT_PATH, CHANGES, "rename"},
    {SYS_link, AT_PATH, CHANGES, "link"},
    {SYS_stat, AT_PATH, LOOKS, "stat"},
    {SYS_lstat, AT_PATH, LOOKS, "stat"},
    {SYS_access, AT_PATH, LOOKS, "stat"},
#endif
#ifdef SYS_renameat
    {SYS_renameat, AT_FOLDER, CHANGES, "rename"},
#endif
#ifdef SYS_newfstatat
    {SYS_newfstatat, AT_FOLDER, LOOKS, "stat"},
#endif
    {SYS_openat, AT_FOLDER, AS_OPENED, "open"},
    {SYS_mkdirat, AT_FOLDER, CHANGES, "mkdir"},
    {SYS_unlinkat, AT_FOLDER, CHANGES, "unlink"},
    {SYS_renameat2, AT_FOLDER, CHANGES, "rename"},
    {SYS_linkat, AT_FOLDER, CHANGES, "link"},
    {SYS_utimensat, AT_FOLDER, CHANGES, "utimens"},
    {SYS_statx, AT_FOLDER, LOOKS, "stat"},
    {SYS_faccessat, AT_FOLDER, LOOKS, "stat"},
    {SYS_write, AT_FILE, CHANGES, "write"},
    {SYS_writev, AT_FILE, CHANGES, "write"},
    {SYS_pwrite64, AT_FILE, CHANGES, "write"},
    {SYS_ftruncate, AT_FILE, CHANGES, "truncate"},
    {SYS_fsync, AT_FILE, CHANGES, "fsync"},
    {SYS_fdatasync, AT_FILE, CHANGES, "fsync"},
    {SYS_read, AT_FILE, READS, "read"},
    {SYS_readv, AT_FILE, READS, "read"},
    {SYS_pread64, AT_FILE, READS, "read"},
    {SYS_getdents64, AT_FILE, READS, "list"},
};
#define COUNT (sizeof CALLS / sizeof *CALLS)

static char below[PATH_BYTES];
static size_t below_length;
static const char *calls;
static int log_file;
static long first, last;
static volatile long counted;

static long ours(long number, const long *a) { return syscall(number, a[0], a[1], a[2], a[3], a[4], OURS); }

/* The absolute path that a call is about; 0 if there is none. */
static int path_of(const struct call *call, const long *arguments, char *path) {
    int folder = call->where == AT_PATH ? AT_FDCWD : (int)arguments[0];
    const char *name = call->where == AT_FILE ? "" : (const char *)arguments[call->where == AT_FOLDER];
    size_t length = 0;
    if (name == NULL) name = "";
    if (name[0] != '/') {
        char link[64];
        if (folder == AT_FDCWD)
            strcpy(link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t read = readlink(link, path, PATH_BYTES - 1);
        if (read <= 0) return 0;
        length = (size_t)read;
        if (name[0] != '\0') path[length++] = '/';
    }
    if (length + strlen(name) >= PATH_BYTES) return 0;
    strcpy(path + length, name);
    return 1;
}

/* Whether the call is to fail. */
static int fails(const struct call *call, const long *arguments) {
    char path[PATH_BYTES], line[PATH_BYTES + 32];
    if (!path_of(call, arguments, path)) return 0;
    if (strncmp(path, below, below_length) != 0 || (path[below_length] != '/' && path[below_length] != '\0')) return 0;
    enum what what = call->what;
    if (what == AS_OPENED) {
        long flags = arguments[call->where == AT_FOLDER ? 2 : 1];
        what = (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0 ? CHANGES : READS;
    }
    if (strchr(calls, what) == NULL) return 0;
    long number = __sync_add_and_fetch(&counted, 1);
    int length = snprintf(line, sizeof line, "%s %s\n", call->name, path);
    long entry[5] = {log_file, (long)line, length};
    ours(SYS_write, entry);
    return first > 0 && number >= first && number <= last;
}

static void trapped(int signal, siginfo_t *info, void *context) {
    (void)signal;
    int saved = errno;
    ucontext_t *user = context;
#if defined(__x86_64__)
    greg_t *r = user->uc_mcontext.gregs;
    long arguments[5] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8]};
#elif defined(__aarch64__)
    unsigned long long *r = user->uc_mcontext.regs;
    long arguments[5] = {(long)r[0], (long)r[1], (long)r[2], (long)r[3], (long)r[4]};
#else
#error "no names for the registers of this processor"
#endif
    const struct call *call = CALLS;
    while (call < CALLS + COUNT && call->number != info->si_syscall) call++;
    long result;
    if (call < CALLS + COUNT && fails(call, arguments)) {
        result = -EIO;
    } else {
        result = ours(info->si_syscall, arguments);
        if (result == -1) result = -errno;
    }
#if defined(__x86_64__)
    r[REG_RAX] = result;
#else
    r[0] = (unsigned long long)result;
#endif
    errno = saved;
}

static void stop(const char *what) {
    perror(what);
    _exit(125);
}

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("IO_ERRORS_BELOW"), *log = getenv("IO_ERRORS_LOG");
    calls = getenv("IO_ERRORS_CALLS");
    if (folder == NULL || log == NULL || calls == NULL || strlen(folder) >= PATH_BYTES) stop("IO_ERRORS_…");
    strcpy(below, folder);
    below_length = strlen(below);
    first = number("IO_ERRORS_FROM");
    last = number("IO_ERRORS_TO");
    log_file = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (log_file < 0) stop(log);

    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    if (sigaction(SIGSYS, &action, NULL) != 0) stop("sigaction");
    /* Ours pass; then each number of the table is compared; the rest pass. */
    struct sock_filter filter[COUNT + 5];
    size_t at = 0;
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]));
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OURS, COUNT + 1, 0);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < COUNT; i++)
        filter[at++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)CALLS[i].number, COUNT - i, 0);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    struct sock_fprog program = {.len = (unsigned short)at, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) stop("no new privileges");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) stop("seccomp");
}
