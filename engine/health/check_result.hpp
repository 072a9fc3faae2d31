// How a check ended.
#pragma once

#include <cstdint>
#include <string>

namespace nfsteer::health {

enum class Outcome : std::uint8_t {
  passed,
  failed,
  undecided,  // this host could not make the check (no descriptors, no memory): that says nothing of the
              // backend
};

struct CheckResult {
  Outcome outcome = Outcome::undecided;
  std::string detail;  // a few words on one line: "status 200", "connection refused"
};

}  // namespace nfsteer::health
