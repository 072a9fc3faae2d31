// The raw socket on which the kernel is asked about the legacy tables, as libiptc asks. For this layer's
// sources only.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plan/rule_set.hpp"

namespace nfsteer::rules {

class TablesSocket {
 public:
  explicit TablesSocket(Family family)
      : family_(family),
        fd_(socket(family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)) {}
  ~TablesSocket() {
    if (fd_ >= 0) close(fd_);
  }
  TablesSocket(const TablesSocket&) = delete;
  TablesSocket& operator=(const TablesSocket&) = delete;

  bool open() const { return fd_ >= 0; }
  // False with errno set.
  template <typename Data>
  bool get(int v4_option, int v6_option, Data& data) const {
    socklen_t size = sizeof data;
    return family_ == Family::ipv4 ? getsockopt(fd_, IPPROTO_IP, v4_option, &data, &size) >= 0
                                   : getsockopt(fd_, IPPROTO_IPV6, v6_option, &data, &size) >= 0;
  }

 private:
  Family family_;
  int fd_;
};

}  // namespace nfsteer::rules
