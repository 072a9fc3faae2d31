#include "process/privileges.hpp"

#include <cap-ng.h>

#include <string>

namespace nfsteer::process {

core::Result<void> check_privileges() {
  capng_get_caps_process();
  std::string missing;
  if (capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) == 0) missing = "CAP_NET_ADMIN";
  if (capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_RAW) == 0)
    missing += missing.empty() ? "CAP_NET_RAW" : " and CAP_NET_RAW";
  if (missing.empty()) return {};
  return core::system_error("privileges", "this process lacks " + missing,
                            "run it as root, or in a container with NET_ADMIN and NET_RAW added");
}

}  // namespace nfsteer::process
