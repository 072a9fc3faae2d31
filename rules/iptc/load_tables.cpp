#include "iptc/load_tables.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <string>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include "iptc/xtables.hpp"

namespace nfsteer::rules {

namespace {

bool tables_answer(Family family) {
  const bool v4 = family == Family::ipv4;
  const int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd < 0) return true;  // no privilege or no such family: no module would help
  xt_get_revision asked{};
  set_name(asked.name, XT_ERROR_TARGET);  // comes with the tables
  socklen_t size = sizeof asked;
  const int got = v4 ? getsockopt(fd, IPPROTO_IP, IPT_SO_GET_REVISION_TARGET, &asked, &size)
                     : getsockopt(fd, IPPROTO_IPV6, IP6T_SO_GET_REVISION_TARGET, &asked, &size);
  const bool answered = got == 0 || errno != ENOPROTOOPT;
  close(fd);
  return answered;
}

// nftables' way to ask for an extension of the tables loads it by the name "ipt_icmp". Up to Linux 6.3 that
// is ip_tables itself, and CAP_NET_ADMIN is enough to ask.
void ask_by_nftables(Family family) {
  const bool v4 = family == Family::ipv4;
  const std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket(
      mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC), mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return;
  std::array<std::uint8_t, 128> buffer{};
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = NFNL_SUBSYS_NFT_COMPAT << 8 | NFNL_MSG_COMPAT_GET;
  header->nlmsg_flags = NLM_F_REQUEST;
  auto* netfilter = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  netfilter->nfgen_family = v4 ? AF_INET : AF_INET6;
  netfilter->version = NFNETLINK_V0;
  mnl_attr_put_strz(header, NFTA_COMPAT_NAME, v4 ? "icmp" : "icmp6");
  mnl_attr_put_u32(header, NFTA_COMPAT_REV, 0);
  mnl_attr_put_u32(header, NFTA_COMPAT_TYPE, 0);
  // The kernel has done it, or has not, before this returns.
  mnl_socket_sendto(socket.get(), header, header->nlmsg_len);
}

// By the program that the kernel itself loads modules with.
void run_modprobe(Family family) {
  std::string program;
  std::getline(std::ifstream("/proc/sys/kernel/modprobe"), program);
  if (access(program.c_str(), X_OK) != 0) return;
  std::string quiet = "-q";
  std::string module = family == Family::ipv4 ? "ip_tables" : "ip6_tables";
  std::array<char*, 4> arguments{program.data(), quiet.data(), module.data(), nullptr};
  posix_spawn_file_actions_t silence;
  posix_spawn_file_actions_init(&silence);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&silence, fd, "/dev/null", O_RDWR, 0);
  pid_t child = 0;
  const bool started =
      posix_spawn(&child, program.c_str(), &silence, nullptr, arguments.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&silence);
  while (started && waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

void load_tables(Family family) {
  if (tables_answer(family)) return;
  ask_by_nftables(family);
  if (!tables_answer(family)) run_modprobe(family);
}

}  // namespace nfsteer::rules
