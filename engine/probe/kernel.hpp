// What this kernel offers of all that nfsteer can use, and what it costs that something is missing. `run`
// asks for itself, and only for what its services need; this is for people.
//
// Nothing is changed, but the kernel may load modules to answer. Of the network namespace and with the
// privileges of the thread that asks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/address.hpp"
#include "core/result.hpp"

namespace nfsteer::probe {

struct Item {
  std::string name;                    // "target NETMAP"
  std::optional<core::Family> family;  // nothing: of no family, or of both
  bool available = false;
  bool needed = false;  // by each service in the default mode; what is not needed belongs to an option
  std::string without;  // what there is not, or is instead, where it is missing
  std::string mend;     // how to come to it
};

struct Kernel {
  std::string release;  // as uname(2) says
  std::vector<Item> items;

  // All is there that a service of this family needs.
  bool serves(core::Family family) const;
};

// Errors: no CAP_NET_ADMIN or CAP_NET_RAW.
core::Result<Kernel> ask_kernel();

}  // namespace nfsteer::probe
