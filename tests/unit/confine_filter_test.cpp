// The filter of system calls.
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include <gtest/gtest.h>

#include "confine/privileges.hpp"
#include "confine_filtered.hpp"

namespace nfsteer::confine {
namespace {

// What a call ends with where the filter refuses it; a sanitizer's build refuses nothing.
int refused(int otherwise) {
  return kSanitized ? otherwise : EPERM;
}

TEST(SyscallFilter, RefusesWhatIsNotListed) {
  using core::Seccomp;
  EXPECT_EQ(filtered(Seccomp::enforce, [] { return errno_of(execl("/nonexistent", "x", nullptr)); }),
            refused(ENOENT));
  EXPECT_EQ(filtered(Seccomp::enforce, [] { return errno_of(kill(getppid(), 0)); }), refused(0));
  EXPECT_EQ(filtered(Seccomp::enforce, [] { return errno_of(socket(AF_PACKET, SOCK_RAW, 0)); }), refused(0));
  EXPECT_EQ(filtered(Seccomp::enforce, [] { return errno_of(syscall(599)); }), ENOSYS);
  EXPECT_EQ(filtered(Seccomp::enforce, [] { return errno_of(socket(AF_INET, SOCK_DGRAM, 0)); }), 0);
  EXPECT_EQ(filtered(Seccomp::log, [] { return errno_of(execl("/nonexistent", "x", nullptr)); }), ENOENT);
  EXPECT_EQ(filtered(Seccomp::off, [] { return errno_of(execl("/nonexistent", "x", nullptr)); }), ENOENT);
}

TEST(SyscallFilter, HighBitsOfAnArgumentThatTheKernelIgnoresChangeNothing) {
  const long high = 1L << 32;
  EXPECT_EQ(filtered(core::Seccomp::enforce,
                     [=] { return errno_of(syscall(SYS_socket, high | AF_PACKET, SOCK_RAW, 0)); }),
            refused(0));
}

TEST(SyscallFilter, ThreadsStartAndEndUnderIt) {
  EXPECT_EQ(filtered(core::Seccomp::enforce,
                     [] {
                       int seen = 1;
                       std::thread([&] { seen = 0; }).join();
                       return seen;
                     }),
            0);
}

}  // namespace
}  // namespace nfsteer::confine
