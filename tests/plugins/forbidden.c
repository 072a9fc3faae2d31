/* Makes, when it is created, system calls that a policy does not need, and adds to the file of the option report=PATH a
 * line of what came of them: "uid=0 execve=1 ...", an errno each, 0 where it was made. Right but for that. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base.h"

static int outcome(long result) { return result < 0 ? errno : 0; }

static int opened(int domain, int type) {
  const int fd = socket(domain, type, 0);
  const int error = outcome(fd);
  if (fd >= 0) close(fd);
  return error;
}

static int forked(void) {
  const long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  if (child > 0) waitpid((pid_t)child, NULL, 0);
  return outcome(child);
}

static int executed(void) {
  char *const nothing[] = {NULL};
  return outcome(execve("/nonexistent", nothing, nothing));
}

/* Whether this process has any capability; capget() is not its to call. */
static int is_capable(void) {
  unsigned long long permitted = 0;
  char line[256];
  FILE *status = fopen("/proc/self/status", "r");
  if (status == NULL) return -1;
  while (fgets(line, sizeof line, status) != NULL)
    if (sscanf(line, "CapPrm: %llx", &permitted) == 1) break;
  fclose(status);
  return permitted != 0;
}

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  const char *path = NULL;
  for (uint32_t index = 0; index < input->option_count; ++index)
    if (strcmp(input->options[index].name, "report") == 0) path = input->options[index].value;
  FILE *report = path == NULL ? NULL : fopen(path, "a");
  if (report != NULL) {
    fprintf(report, "pid=%d uid=%d dumpable=%d", (int)getpid(), (int)geteuid(), prctl(PR_GET_DUMPABLE));
    fprintf(report, " capable=%d", is_capable());
    fprintf(report, " execve=%d fork=%d clone3=%d", executed(), forked(), outcome(syscall(SYS_clone3, NULL, 0)));
    fprintf(report, " ptrace=%d", outcome(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)));
    fprintf(report, " kill=%d", outcome(kill(getppid(), 0)));
    fprintf(report, " mount=%d", outcome(mount("none", "/nonexistent", "tmpfs", 0, NULL)));
    fprintf(report, " unshare=%d", outcome(unshare(CLONE_NEWUTS)));
    fprintf(report, " chown=%d", outcome(chown("/nonexistent", 0, 0)));
    fprintf(report, " setuid=%d", outcome(syscall(SYS_setuid, 0)));
    fprintf(report, " bpf=%d", outcome(syscall(SYS_bpf, 0, NULL, 0)));
    fprintf(report, " undumpable=%d", outcome(prctl(PR_SET_DUMPABLE, 1)));
    fprintf(report, " packet=%d", opened(AF_PACKET, SOCK_RAW));
    fprintf(report, " inet=%d unix=%d", opened(AF_INET, SOCK_STREAM), opened(AF_UNIX, SOCK_STREAM));
    fprintf(report, " future=%d\n", outcome(syscall(600)));
    fclose(report);
  }
  return base_create(input, error, error_size);
}

POLICY(create, base_pick)
