// What changes from one sample of an engine to the next: rates, and who got the new connections. Pure: the
// time is the engine's own, from the samples.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "cli/top/sample.hpp"

namespace nfsteer::cli::top {

// Shares are those of so many intervals: one alone holds too few connections to show a share.
inline constexpr std::size_t kShareIntervals = 10;

// Rates are per second. Nothing where there is no earlier sample to compare with.
using Rate = std::optional<double>;

struct BackendRates {
  Rate opened;
  std::optional<double> share;  // of the service's new connections; nothing: there were none
  std::array<std::uint64_t, kShareIntervals> recent{};  // new connections, a ring by interval
};

struct ServiceRates {
  Rate opened;
  Rate no_backend;
  std::vector<BackendRates> backends;  // as the sample's
};

struct WorkerRates {
  Rate packets;
  std::optional<double> batch_mean;  // packets; nothing: no batch
  Rate dropped_full;
  Rate dropped_user;
};

struct Rates {
  std::optional<double> interval_s;
  Rate opened;
  Rate packets;
  std::vector<WorkerRates> workers;    // as the sample's
  std::vector<ServiceRates> services;  // as the sample's
};

// Counters that went down have begun anew and count from 0: no rate is negative. Services and backends are
// known again by their names, wherever they stand.
class Model {
 public:
  // A sample of another engine, or of one that was started again, has no rates.
  void add(Sample sample);
  // The engine has not answered. The values stay, the rates go, and the next sample begins anew.
  void lose();

  const Sample& sample() const { return sample_; }
  const Rates& rates() const { return rates_; }

 private:
  bool continues(const Sample& next) const;

  Sample sample_;
  Rates rates_;
  bool is_known_ = false;     // sample_ can be compared with
  std::size_t interval_ = 0;  // number of the one that ended last
};

}  // namespace nfsteer::cli::top
