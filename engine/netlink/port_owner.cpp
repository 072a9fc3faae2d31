#include "netlink/port_owner.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

#include <linux/netlink.h>

namespace nfsteer::netlink {
namespace {

namespace fs = std::filesystem;

bool holds(const fs::path& process, const std::string& socket) {
  std::error_code error;
  for (fs::directory_iterator file(process / "fd", error), end; !error && file != end;
       file.increment(error)) {
    std::error_code unreadable;
    if (fs::read_symlink(file->path(), unreadable) == socket) return true;
  }
  return false;
}

std::optional<pid_t> parse_pid(const std::string& name) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return pid;
}

}  // namespace

std::optional<std::uint64_t> find_socket_inode(std::string_view text, std::uint32_t port_id) {
  std::istringstream lines{std::string(text)};
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string address, groups;
    int protocol = -1;
    std::uint32_t port = 0;
    std::uint64_t receive_bytes = 0, send_bytes = 0, dump = 0, references = 0, drops = 0, inode = 0;
    fields >> address >> protocol >> port >> groups >> receive_bytes >> send_bytes >> dump >> references >>
        drops >> inode;
    if (fields && protocol == NETLINK_NETFILTER && port == port_id) return inode;
  }
  return std::nullopt;
}

std::optional<Process> port_owner(std::uint32_t port_id) {
  std::ifstream table("/proc/thread-self/net/netlink");
  const std::string text(std::istreambuf_iterator<char>(table), {});
  const auto inode = find_socket_inode(text, port_id);
  if (!inode) return std::nullopt;
  const std::string socket = "socket:[" + std::to_string(*inode) + "]";
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    const auto pid = parse_pid(entry->path().filename());
    if (!pid || !holds(entry->path(), socket)) continue;
    Process process{*pid, {}};
    std::ifstream comm(entry->path() / "comm");
    std::getline(comm, process.name);
    return process;
  }
  return std::nullopt;
}

}  // namespace nfsteer::netlink
