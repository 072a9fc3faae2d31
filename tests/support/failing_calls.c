/* Makes calls of one program fail, as the kernel might: LD_PRELOAD=failing_calls.so, with a file of rules shared with the
 * test in NFSTEER_FAILING_CALLS (tests/support/failing_calls.py writes it and says what the fields mean). Only a program
 * named nfsteer is touched; what it starts is not.
 *
 * A call that fails is not made. A short read makes the call and gives back half of what came.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

enum call {
  CALL_SOCKET, CALL_BIND, CALL_CONNECT, CALL_LISTEN, CALL_ACCEPT, CALL_SETSOCKOPT, CALL_GETSOCKOPT, CALL_SEND, CALL_SENDTO,
  CALL_SENDMSG, CALL_RECV, CALL_RECVFROM, CALL_RECVMSG, CALL_OPEN, CALL_FOPEN, CALL_READ, CALL_WRITE, CALL_WRITEV,
  CALL_EPOLL_CREATE1, CALL_EPOLL_CTL, CALL_EPOLL_WAIT, CALL_EVENTFD, CALL_TIMERFD_CREATE, CALL_TIMERFD_SETTIME, CALL_PIPE2,
  CALL_MEMFD_CREATE, CALL_PTHREAD_CREATE, CALL_POLL, CALL_SOCKETPAIR, CALL_GETSOCKNAME, CALL_INOTIFY_INIT1, CALLS
};

enum { ANY = 0, FAMILIES = 64, SHORT = -1, DESCRIPTORS = 4096 };

/* One for each call. */
struct rule {
  _Atomic uint32_t armed;    /* 0: the call is only counted */
  int32_t error;             /* errno, or SHORT */
  uint32_t family;           /* of the socket (AF_NETLINK...); ANY: any descriptor */
  uint32_t permille;         /* of the calls from `first` on */
  uint32_t option;           /* of getsockopt and setsockopt: its name; ANY: any */
  uint32_t seed;
  uint64_t first;            /* calls to let pass, counted from the arming */
  uint64_t most;             /* so many at most; 0: no limit */
  _Atomic uint64_t calls;    /* since the arming; of the family */
  _Atomic uint64_t failures;
};

static struct rule *rules;
static unsigned char families[DESCRIPTORS];

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("NFSTEER_FAILING_CALLS");
  const char *slash = strrchr(program_invocation_name, '/');
  if (path == NULL || strstr(slash ? slash : program_invocation_name, "nfsteer") == NULL) return;
  int (*open_file)(const char *, int, ...) = (int (*)(const char *, int, ...))real("open");
  const int fd = open_file(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  void *at = mmap(NULL, CALLS * sizeof(struct rule), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) abort();
  close(fd);
  rules = at;
  unsetenv("LD_PRELOAD");
}

/* Which calls fail follows from the seed and their numbers (the finalizer of MurmurHash3). */
static uint32_t chance(uint32_t seed, uint64_t number) {
  uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15u ^ seed;
  mixed = (mixed ^ mixed >> 33) * 0xff51afd7ed558ccdu;
  mixed = (mixed ^ mixed >> 33) * 0xc4ceb9fe1a85ec53u;
  return (uint32_t)((mixed ^ mixed >> 33) % 1000);
}

/* 0: make the call; SHORT: make it, and give back less; else the error. */
static int verdict_of_option(enum call call, int fd, int option) {
  if (rules == NULL) return 0;
  struct rule *rule = &rules[call];
  if (rule->family != ANY && (fd < 0 || fd >= DESCRIPTORS || families[fd] != rule->family)) return 0;
  if (rule->option != ANY && rule->option != (uint32_t)option) return 0;
  const uint64_t number = atomic_fetch_add(&rule->calls, 1);
  if (!atomic_load(&rule->armed) || number < rule->first || chance(rule->seed, number) >= rule->permille) return 0;
  if (atomic_fetch_add(&rule->failures, 1) >= rule->most && rule->most != 0) {
    atomic_fetch_sub(&rule->failures, 1);
    return 0;
  }
  return rule->error;
}

static int verdict(enum call call, int fd) { return verdict_of_option(call, fd, ANY); }

static ssize_t shorter(int what, ssize_t got) { return what == SHORT && got > 1 ? got / 2 : got; }

#define FAIL_AS(what, failed)  \
  if ((what) > 0) {            \
    errno = (what);            \
    return (failed);           \
  }

#define CALL(number, name, type, failed, fd, parameters, arguments)      \
  type name parameters {                                                 \
    static type(*made) parameters;                                       \
    if (made == NULL) made = (type(*) parameters)real(#name);            \
    const int what = verdict(number, fd);                                \
    FAIL_AS(what, failed)                                                \
    return made arguments;                                               \
  }

#define OPTION_CALL(number, call, parameters)                            \
  int call parameters {                                                  \
    static int(*made) parameters;                                        \
    if (made == NULL) made = (int (*) parameters)real(#call);            \
    const int what = verdict_of_option(number, fd, name);                \
    FAIL_AS(what, -1)                                                    \
    return made(fd, level, name, value, size);                           \
  }

#define READING(number, name, parameters, arguments)                     \
  ssize_t name parameters {                                              \
    static ssize_t(*made) parameters;                                    \
    if (made == NULL) made = (ssize_t(*) parameters)real(#name);         \
    const int what = verdict(number, fd);                                \
    FAIL_AS(what, -1)                                                    \
    return shorter(what, made arguments);                                \
  }

int socket(int domain, int type, int protocol) {
  static int (*made)(int, int, int);
  if (made == NULL) made = (int (*)(int, int, int))real("socket");
  const int what = verdict(CALL_SOCKET, -1);
  FAIL_AS(what, -1)
  const int fd = made(domain, type, protocol);
  if (fd >= 0 && fd < DESCRIPTORS && domain < FAMILIES) families[fd] = (unsigned char)domain;
  return fd;
}

CALL(CALL_BIND, bind, int, -1, fd, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
CALL(CALL_CONNECT, connect, int, -1, fd, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
CALL(CALL_LISTEN, listen, int, -1, fd, (int fd, int backlog), (fd, backlog))
OPTION_CALL(CALL_SETSOCKOPT, setsockopt, (int fd, int level, int name, const void *value, socklen_t size))
OPTION_CALL(CALL_GETSOCKOPT, getsockopt, (int fd, int level, int name, void *value, socklen_t *size))
CALL(CALL_SEND, send, ssize_t, -1, fd, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
CALL(CALL_SENDTO, sendto, ssize_t, -1, fd,
     (int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t to_size),
     (fd, data, size, flags, to, to_size))
CALL(CALL_SENDMSG, sendmsg, ssize_t, -1, fd, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
READING(CALL_RECV, recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
READING(CALL_RECVFROM, recvfrom,
        (int fd, void *restrict data, size_t size, int flags, struct sockaddr *restrict from, socklen_t *restrict from_size),
        (fd, data, size, flags, from, from_size))
READING(CALL_RECVMSG, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
READING(CALL_READ, read, (int fd, void *data, size_t size), (fd, data, size))
CALL(CALL_WRITE, write, ssize_t, -1, fd, (int fd, const void *data, size_t size), (fd, data, size))
CALL(CALL_WRITEV, writev, ssize_t, -1, fd, (int fd, const struct iovec *parts, int count), (fd, parts, count))
CALL(CALL_EPOLL_CREATE1, epoll_create1, int, -1, -1, (int flags), (flags))
CALL(CALL_EPOLL_CTL, epoll_ctl, int, -1, fd, (int epoll, int operation, int fd, struct epoll_event *event),
     (epoll, operation, fd, event))
CALL(CALL_EPOLL_WAIT, epoll_wait, int, -1, -1, (int epoll, struct epoll_event *events, int most, int timeout),
     (epoll, events, most, timeout))
CALL(CALL_EVENTFD, eventfd, int, -1, -1, (unsigned value, int flags), (value, flags))
CALL(CALL_TIMERFD_CREATE, timerfd_create, int, -1, -1, (clockid_t clock, int flags), (clock, flags))
CALL(CALL_TIMERFD_SETTIME, timerfd_settime, int, -1, -1,
     (int fd, int flags, const struct itimerspec *at, struct itimerspec *before), (fd, flags, at, before))
CALL(CALL_PIPE2, pipe2, int, -1, -1, (int pair[2], int flags), (pair, flags))
CALL(CALL_MEMFD_CREATE, memfd_create, int, -1, -1, (const char *name, unsigned flags), (name, flags))
CALL(CALL_FOPEN, fopen, FILE *, NULL, -1, (const char *restrict path, const char *restrict mode), (path, mode))
/* The C++ library's streams open files by this name. */
CALL(CALL_FOPEN, fopen64, FILE *, NULL, -1, (const char *restrict path, const char *restrict mode), (path, mode))
CALL(CALL_POLL, poll, int, -1, -1, (struct pollfd *sources, nfds_t count, int timeout), (sources, count, timeout))
CALL(CALL_SOCKETPAIR, socketpair, int, -1, -1, (int domain, int type, int protocol, int pair[2]),
     (domain, type, protocol, pair))
CALL(CALL_GETSOCKNAME, getsockname, int, -1, fd, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
CALL(CALL_INOTIFY_INIT1, inotify_init1, int, -1, -1, (int flags), (flags))

/* The descriptor may have been another socket's before. */
static int of_no_family(int fd) {
  if (fd >= 0 && fd < DESCRIPTORS) families[fd] = ANY;
  return fd;
}

int accept(int fd, struct sockaddr *address, socklen_t *size) {
  static int (*made)(int, struct sockaddr *, socklen_t *);
  if (made == NULL) made = (int (*)(int, struct sockaddr *, socklen_t *))real("accept");
  const int what = verdict(CALL_ACCEPT, fd);
  FAIL_AS(what, -1)
  return of_no_family(made(fd, address, size));
}

int open(const char *path, int flags, ...) {
  static int (*made)(const char *, int, ...);
  if (made == NULL) made = (int (*)(const char *, int, ...))real("open");
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  const int what = verdict(CALL_OPEN, -1);
  FAIL_AS(what, -1)
  return of_no_family(made(path, flags, mode));
}

/* open() without a mode, in a program that is built with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags) {
  static int (*made)(const char *, int);
  if (made == NULL) made = (int (*)(const char *, int))real("__open_2");
  const int what = verdict(CALL_OPEN, -1);
  FAIL_AS(what, -1)
  return of_no_family(made(path, flags));
}

/* Its error is its result. */
int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes, void *(*main)(void *),
                   void *restrict argument) {
  static int (*made)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  if (made == NULL)
    made = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))real("pthread_create");
  const int what = verdict(CALL_PTHREAD_CREATE, -1);
  return what > 0 ? what : made(thread, attributes, main, argument);
}
