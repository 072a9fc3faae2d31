// Backends of one's own zone as long as there are any, then all: a built-in policy among either. The zone of
// a backend is its `data`: "zone=a".
//
//   nfsteer policy SERVICE ./own_zone.so,zone=a
//   nfsteer policy SERVICE ./own_zone.so,zone=a,among=weighted-random
#include <string>
#include <vector>

#include "nfsteer/policy.hpp"

namespace {

class OwnZone {
 public:
  explicit OwnZone(const nfsteer::Input& input)
      : local_(among(input).c_str(), without_other_zones(input).view()),
        all_(among(input).c_str(), input.raw()) {}

  std::uint32_t pick(const nfsteer_flow& flow, nfsteer_context& context) const {
    const std::uint32_t near = local_.pick(flow, context);
    return near != NFSTEER_NO_BACKEND ? near : all_.pick(flow, context);
  }
  void tick(std::uint64_t now_ns) {
    local_.tick(now_ns);
    all_.tick(now_ns);
  }

 private:
  static std::string among(const nfsteer::Input& input) { return input.text("among", "maglev"); }

  // The same backends, those of other zones with weight 0: the indices stay.
  struct Local {
    std::vector<nfsteer_backend> backends;
    nfsteer_input input;

    const nfsteer_input& view() {
      input.backends = backends.data();
      return input;
    }
  };
  static Local without_other_zones(const nfsteer::Input& input) {
    input.only("zone", "among");
    const std::string zone = "zone=" + input.text("zone", "");
    if (zone == "zone=") throw std::invalid_argument("option zone is missing: which one is this host in?");
    Local local{{input.begin(), input.end()}, input.raw()};
    for (nfsteer_backend& each : local.backends)
      if (each.data != zone) each.weight = 0;
    return local;
  }

  nfsteer::Builtin local_;
  nfsteer::Builtin all_;
};

}  // namespace

NFSTEER_POLICY(OwnZone, "own zone", NFSTEER_USES_LIVE)
