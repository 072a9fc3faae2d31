#include "netlink/interfaces.hpp"

#include <net/if.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <system_error>

#include <libnfnetlink/libnfnetlink.h>

namespace nfsteer::netlink {
namespace {

core::Failure interfaces_error() {
  return core::system_error("network interfaces",
                            "cannot be listed: " + std::generic_category().message(errno));
}

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, 0) == 1;
}

}  // namespace

void InterfaceTable::Closer::operator()(nlif_handle* handle) const {
  nlif_close(handle);
}

core::Result<InterfaceTable> InterfaceTable::open() {
  nlif_handle* handle = nlif_open();
  if (handle == nullptr) return interfaces_error();
  InterfaceTable table(handle);
  if (nlif_query(handle) < 0) return interfaces_error();
  return table;
}

int InterfaceTable::fd() const {
  return nlif_fd(handle_.get());
}

core::Result<void> InterfaceTable::refresh() {
  while (readable(fd())) {
    if (nlif_catch(handle_.get()) >= 0) continue;
    if (errno == EINTR) continue;
    // Events were lost (ENOBUFS): read everything anew.
    if (nlif_query(handle_.get()) < 0) return interfaces_error();
  }
  return {};
}

std::string InterfaceTable::name(std::uint32_t index) const {
  if (index == 0) return {};
  std::array<char, IF_NAMESIZE> name{};
  if (nlif_index2name(handle_.get(), index, name.data()) < 0) return "if" + std::to_string(index);
  return name.data();
}

}  // namespace nfsteer::netlink
