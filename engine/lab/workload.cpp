#include "lab/workload.hpp"

#include <algorithm>
#include <cmath>

#include "core/bytes.hpp"

namespace nfsteer::lab {
namespace {

// Streams of the scenario's seed; the run's own are in simulation.cpp.
constexpr std::uint64_t kTimes = 11, kKeys = 12, kDemands = 13;

// A century: what is drawn longer counts as that, so that sums of times stay in 64 bits.
constexpr double kLongest = 3.2e18;

constexpr std::uint32_t kEphemeralFirst = 32768;  // net.ipv4.ip_local_port_range
constexpr std::uint32_t kEphemeralCount = 60999 - kEphemeralFirst + 1;

Nanoseconds to_time(double ns) {
  return static_cast<Nanoseconds>(std::clamp(ns, 0.0, kLongest));
}

core::FlowKey key_to(const Scenario& scenario) {
  core::FlowKey key;
  key.family = scenario.vip.family();
  key.protocol = static_cast<std::uint8_t>(scenario.protocol);
  key.destination_port = scenario.port;
  std::ranges::copy(scenario.vip.bytes(), key.destination.begin());
  if (scenario.vip.is_v4()) {
    key.source[0] = 100;
    key.source[1] = 64;
  } else {
    key.source[0] = 0x20;
    key.source[1] = 0x01;
    key.source[2] = 0x0d;
    key.source[3] = 0xb8;
  }
  return key;
}

}  // namespace

Clients::Clients(const Scenario& scenario)
    : to_service_(key_to(scenario)),
      count_(scenario.workload.clients),
      popularity_(count_, scenario.workload.skew) {}

core::FlowKey Clients::key_of(std::uint32_t client, core::Random& random) const {
  core::FlowKey key = to_service_;
  const std::size_t last = key.family == core::Family::ipv4 ? 3 : 15;
  key.source[last] = static_cast<std::uint8_t>(client);
  key.source[last - 1] = static_cast<std::uint8_t>(client >> 8);
  key.source[last - 2] |= static_cast<std::uint8_t>(client >> 16);
  const std::uint64_t port = ((random.next() >> 32) * kEphemeralCount) >> 32;
  key.source_port = static_cast<std::uint16_t>(kEphemeralFirst + port);
  return key;
}

core::FlowKey Clients::next(core::Random& random) const {
  return key_of(popularity_.sample(random), random);
}

core::FlowKey Clients::next_uniform(core::Random& random) const {
  return key_of(static_cast<std::uint32_t>(((random.next() >> 32) * count_) >> 32), random);
}

FlowSource::FlowSource(const Scenario& scenario)
    : scenario_(scenario),
      clients_(scenario),
      times_(scenario.seed, kTimes),
      keys_(scenario.seed, kKeys),
      demands_(scenario.seed, kDemands) {}

bool FlowSource::next(Flow& flow) {
  if (scenario_.recorded != nullptr) return next_recorded(flow);
  const Workload& load = scenario_.workload;
  if (count_ >= load.flows) return false;
  const double at = now_ + static_cast<double>(next_gap());
  if (load.duration && at >= static_cast<double>(*load.duration)) return false;
  now_ = at;
  ++count_;
  flow.start = to_time(now_);
  flow.key = clients_.next(keys_);
  draw_work(flow);
  return true;
}

bool FlowSource::next_recorded(Flow& flow) {
  const auto& all = *scenario_.recorded;
  if (count_ >= all.size() || count_ >= scenario_.workload.flows) return false;
  const Flow& next = all[count_];
  if (scenario_.workload.duration && next.start >= *scenario_.workload.duration) return false;
  ++count_;
  flow = next;
  if (!scenario_.recorded_work) draw_work(flow);
  return true;
}

void FlowSource::draw_work(Flow& flow) {
  const Workload& load = scenario_.workload;
  flow.work = to_time(load.service_time.sample(demands_));
  flow.bytes = load.size.mean == 0 ? 0 : to_time(load.size.sample(demands_));
}

Nanoseconds FlowSource::next_gap() {
  const double mean = static_cast<double>(kSecond) / scenario_.workload.rate;
  switch (scenario_.workload.arrivals) {
    case Arrivals::constant:
      return to_time(mean);
    case Arrivals::poisson:
      return to_time(exponential(times_, mean));
    case Arrivals::bursty:
      return next_gap_of_bursts();
  }
  return 0;
}

// An interrupted Poisson process. What is left of a gap when its phase ends is drawn anew in the next one:
// the exponential distribution has no memory.
Nanoseconds FlowSource::next_gap_of_bursts() {
  const Workload& load = scenario_.workload;
  const auto on = static_cast<double>(load.burst_on);
  const auto off = static_cast<double>(load.burst_off);
  const double mean = static_cast<double>(kSecond) / load.rate * on / (on + off);
  double gap = 0;
  while (true) {
    const double step = exponential(times_, mean);
    if (step <= burst_left_) {
      burst_left_ -= step;
      return to_time(gap + step);
    }
    gap += burst_left_ + exponential(times_, off);
    burst_left_ = exponential(times_, on);
  }
}

Nanoseconds FlowSource::expected_end() const {
  const Workload& load = scenario_.workload;
  Nanoseconds end = to_time(static_cast<double>(load.flows) / load.rate * static_cast<double>(kSecond));
  if (scenario_.recorded != nullptr) end = scenario_.recorded->empty() ? 0 : scenario_.recorded->back().start;
  return load.duration ? std::min(end, *load.duration) : end;
}

}  // namespace nfsteer::lab
