// Names for the interface indexes that queued packets carry. For one thread; not for the packet path.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/result.hpp"

struct nlif_handle;

namespace nfsteer::netlink {

class InterfaceTable {
 public:
  // Reads the interfaces of the calling thread's network namespace and subscribes to their changes.
  static core::Result<InterfaceTable> open();

  // Readable when interfaces have come, gone or been renamed.
  int fd() const;

  // Takes in what changed. Never waits. Errors: the table could not be read again after events were lost.
  core::Result<void> refresh();

  // As of the last refresh(); "if<index>" for an interface that is not there any more; empty for 0, no
  // interface.
  std::string name(std::uint32_t index) const;

 private:
  struct Closer {
    void operator()(nlif_handle* handle) const;
  };

  explicit InterfaceTable(nlif_handle* handle) : handle_(handle) {}

  std::unique_ptr<nlif_handle, Closer> handle_;
};

}  // namespace nfsteer::netlink
