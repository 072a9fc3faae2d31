// Who holds a netlink socket, for error messages. A port id is a process id only by custom, and in the
// owner's pid namespace; the kernel's socket table and /proc/PID/fd tell for sure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nfsteer::netlink {

struct Process {
  pid_t pid = 0;
  std::string name;  // /proc/PID/comm
};

// The inode of the NETLINK_NETFILTER socket with that port id; `text` is all of /proc/net/netlink.
std::optional<std::uint64_t> find_socket_inode(std::string_view text, std::uint32_t port_id);

// Nothing when no process that this one may look into holds a NETLINK_NETFILTER socket with that port id in
// the thread's network namespace.
std::optional<Process> port_owner(std::uint32_t port_id);

}  // namespace nfsteer::netlink
