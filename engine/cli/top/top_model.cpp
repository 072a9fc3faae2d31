#include "cli/top/top_model.hpp"

#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace nfsteer::cli::top {
namespace {

const std::string& key_of(const ServiceSample& service) {
  return service.name;
}
const std::string& key_of(const BackendSample& backend) {
  return backend.endpoint;
}

// Where things of the sample before stood. Most stand where they stood: the map is made when one does not.
template <typename Item>
class Places {
 public:
  explicit Places(const std::vector<Item>& items) : items_(items) {}

  std::optional<std::size_t> find(const std::string& key, std::size_t guess) {
    if (guess < items_.size() && key_of(items_[guess]) == key) return guess;
    if (by_key_.empty())
      for (std::size_t i = 0; i < items_.size(); ++i)
        by_key_.emplace(key_of(items_[i]), i);
    const auto place = by_key_.find(key);
    return place == by_key_.end() ? std::nullopt : std::optional(place->second);
  }

 private:
  const std::vector<Item>& items_;
  std::unordered_map<std::string_view, std::size_t> by_key_;
};

std::uint64_t grown(std::uint64_t before, std::uint64_t now) {
  return now >= before ? now - before : now;
}

// One comparison of two samples.
struct Comparison {
  const Sample& before;
  const Rates& past;  // of `before`
  const Sample& now;
  double seconds;
  std::size_t slot;  // of BackendRates::recent for the interval between them

  double rate(std::uint64_t earlier, std::uint64_t later) const {
    return static_cast<double>(grown(earlier, later)) / seconds;
  }

  BackendRates compare(const BackendSample& earlier, const BackendRates& known,
                       const BackendSample& later) const {
    BackendRates rates;
    rates.recent = known.recent;
    rates.recent[slot] = grown(earlier.opened, later.opened);
    rates.opened = static_cast<double>(rates.recent[slot]) / seconds;
    return rates;
  }

  ServiceRates compare(const ServiceSample& earlier, const ServiceRates& known,
                       const ServiceSample& later) const {
    ServiceRates rates;
    rates.no_backend = rate(earlier.no_backend, later.no_backend);
    double opened = rate(earlier.unassigned, later.unassigned);
    rates.backends.resize(later.backends.size());
    Places<BackendSample> places(earlier.backends);
    for (std::size_t i = 0; i < later.backends.size(); ++i) {
      const auto place = places.find(later.backends[i].endpoint, i);
      if (!place) continue;  // new: what it has counted may be older than this interval
      rates.backends[i] = compare(earlier.backends[*place], known.backends[*place], later.backends[i]);
      opened += *rates.backends[i].opened;
    }
    rates.opened = opened;
    return rates;
  }

  WorkerRates compare(const WorkerSample& earlier, const WorkerSample& later) const {
    WorkerRates rates;
    rates.packets = rate(earlier.packets, later.packets);
    if (const auto batches = grown(earlier.batches, later.batches); batches > 0)
      rates.batch_mean =
          static_cast<double>(grown(earlier.packets, later.packets)) / static_cast<double>(batches);
    rates.dropped_full = rate(earlier.dropped_full, later.dropped_full);
    rates.dropped_user = rate(earlier.dropped_user, later.dropped_user);
    return rates;
  }
};

void find_shares(ServiceRates& service) {
  const auto sum = [](const BackendRates& backend) {
    return std::accumulate(backend.recent.begin(), backend.recent.end(), std::uint64_t{0});
  };
  std::uint64_t all = 0;
  for (const BackendRates& each : service.backends)
    all += sum(each);
  if (all == 0) return;
  for (BackendRates& each : service.backends)
    each.share = static_cast<double>(sum(each)) / static_cast<double>(all);
}

// As many as the sample's, all of them unknown.
Rates no_rates(const Sample& sample) {
  Rates rates;
  rates.workers.resize(sample.workers.size());
  for (const ServiceSample& each : sample.services)
    rates.services.emplace_back().backends.resize(each.backends.size());
  return rates;
}

Rates differences(const Comparison& both) {
  Rates rates = no_rates(both.now);
  rates.interval_s = both.seconds;
  double packets = 0;
  for (std::size_t i = 0; i < both.now.workers.size() && i < both.before.workers.size(); ++i) {
    rates.workers[i] = both.compare(both.before.workers[i], both.now.workers[i]);
    packets += *rates.workers[i].packets;
  }
  rates.packets = packets;
  double opened = 0;
  Places<ServiceSample> places(both.before.services);
  for (std::size_t i = 0; i < both.now.services.size(); ++i) {
    const ServiceSample& service = both.now.services[i];
    const auto place = places.find(service.name, i);
    if (!place) continue;
    rates.services[i] = both.compare(both.before.services[*place], both.past.services[*place], service);
    find_shares(rates.services[i]);
    opened += *rates.services[i].opened;
  }
  rates.opened = opened;
  return rates;
}

}  // namespace

bool Model::continues(const Sample& next) const {
  return is_known_ && next.pid == sample_.pid && next.uptime_s > sample_.uptime_s &&
         next.followed == sample_.followed;
}

void Model::add(Sample sample) {
  if (continues(sample)) {
    ++interval_;
    rates_ = differences(
        {sample_, rates_, sample, sample.uptime_s - sample_.uptime_s, interval_ % kShareIntervals});
  } else {
    rates_ = no_rates(sample);
  }
  sample_ = std::move(sample);
  is_known_ = true;
}

void Model::lose() {
  rates_ = no_rates(sample_);
  is_known_ = false;
}

}  // namespace nfsteer::cli::top
