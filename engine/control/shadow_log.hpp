// What shadow policies would have done since they were set. The workers' counters go on for as long as a
// backend is configured; a shadow's begin where it begins, so what was counted until then is remembered here.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/policy_spec.hpp"

namespace nfsteer::control {

struct ShadowCounts {
  std::uint64_t picks = 0;   // would have been given to the backend
  std::uint64_t gained = 0;  // of these, went to another one
  std::uint64_t lost = 0;    // went to the backend, and would have gone elsewhere

  friend ShadowCounts operator-(const ShadowCounts& one, const ShadowCounts& other) {
    return {one.picks - other.picks, one.gained - other.gained, one.lost - other.lost};
  }
};

struct ShadowTotals {
  std::uint64_t decisions = 0;  // that it was asked about
  std::uint64_t differ = 0;     // of these, it chose otherwise
  std::uint64_t no_backend = 0;

  friend ShadowTotals operator-(const ShadowTotals& one, const ShadowTotals& other) {
    return {one.decisions - other.decisions, one.differ - other.differ, one.no_backend - other.no_backend};
  }
};

// By the slots of services and backends (control/slots.hpp).
class ShadowLog {
 public:
  // A service's shadow is this one from now on; true: it was not before, so begin() is to be called for the
  // service and its backends.
  bool is_new(std::uint32_t service_slot, const core::PolicySpec& spec) {
    const auto [known, added] = services_.try_emplace(service_slot, Service{spec, {}});
    if (!added && known->second.spec == spec) return false;
    known->second.spec = spec;
    return true;
  }
  void begin(std::uint32_t service_slot, const ShadowTotals& until_now) {
    services_[service_slot].until = until_now;
  }
  void begin(std::uint32_t backend_slot, const ShadowCounts& until_now) {
    backends_[backend_slot] = until_now;
  }
  void end(std::uint32_t service_slot) { services_.erase(service_slot); }
  // The slot is given to another backend, with counters from zero.
  void forget_backend(std::uint32_t backend_slot) { backends_.erase(backend_slot); }

  ShadowTotals since(std::uint32_t service_slot, const ShadowTotals& now) const {
    const auto known = services_.find(service_slot);
    return known == services_.end() ? now : now - known->second.until;
  }
  ShadowCounts since(std::uint32_t backend_slot, const ShadowCounts& now) const {
    const auto known = backends_.find(backend_slot);
    return known == backends_.end() ? now : now - known->second;
  }

 private:
  struct Service {
    core::PolicySpec spec;
    ShadowTotals until;
  };
  std::map<std::uint32_t, Service> services_;
  std::map<std::uint32_t, ShadowCounts> backends_;
};

}  // namespace nfsteer::control
