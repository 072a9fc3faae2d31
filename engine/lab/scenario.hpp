// What a run simulates: one service, the servers behind its VIP, who comes when, and what changes meanwhile.
// Plain values; engine/experiment reads them from a file. engine/lab/README.md explains the model.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/flow.hpp"
#include "core/service.hpp"
#include "lab/distribution.hpp"

namespace nfsteer::lab {

using Nanoseconds = std::uint64_t;  // of virtual time, since the beginning of the run
inline constexpr Nanoseconds kMicrosecond = 1'000;
inline constexpr Nanoseconds kMillisecond = 1'000'000;
inline constexpr Nanoseconds kSecond = 1'000'000'000;

// A backend and how it behaves.
struct Server {
  static constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();

  core::Backend backend;
  std::uint32_t concurrency = 1;       // flows served at a time, first come, first served; 0: all that come
  std::uint32_t queue_max = kNoLimit;  // flows that wait; one more is rejected
  double speed = 1;                    // service times are divided by it
  double bandwidth = 0;                // bytes per second of one flow; 0: bytes take no time
  Distribution rtt{Shape::constant, 200.0 * kMicrosecond, 0};  // nanoseconds
};

struct Endpoint {
  core::IpAddress address;
  std::uint16_t port = 0;  // as configured
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};
inline Endpoint endpoint_of(const core::Backend& backend) {
  return {backend.address, backend.port};
}

enum class Action : std::uint8_t { add, remove, activate, drain, maintenance, weight, fail, recover, slow };
std::string_view to_string(Action action);

struct Change {
  Nanoseconds at = 0;
  Action action = Action::drain;
  Endpoint backend;
  std::optional<Server> server;     // add
  std::uint32_t weight = 0;         // weight
  std::optional<double> factor;     // slow: service times are multiplied by it; 1: no longer
  std::optional<Distribution> rtt;  // slow: instead of the server's own
};
std::string to_string(const Change& change);  // "weight 10.0.0.5 3"

enum class Arrivals : std::uint8_t { poisson, constant, bursty };
std::string_view to_string(Arrivals arrivals);

struct Workload {
  Arrivals arrivals = Arrivals::poisson;
  double rate = 1000;              // new flows per second, over all phases
  Nanoseconds burst_on = kSecond;  // bursty: means of exponential phases; all come, as a Poisson process,
  Nanoseconds burst_off = 4 * kSecond;                                   // in the first kind of phase
  std::optional<Nanoseconds> duration;                                   // ends the run, or
  std::uint64_t flows = 100'000;                                         // so many have come
  Distribution service_time{Shape::exponential, 1.0 * kMillisecond, 0};  // nanoseconds, at speed 1
  Distribution size{Shape::constant, 0, 0};                              // bytes of a flow
  std::uint32_t clients = 10'000;
  double skew = 0;  // of the clients' popularity (lab::Zipf)
};

// A new connection, whoever it is for.
struct Flow {
  Nanoseconds start = 0;
  core::FlowKey key;
  Nanoseconds work = 0;  // service time at speed 1
  std::uint64_t bytes = 0;
};

struct Scenario {
  core::IpAddress vip = *core::IpAddress::parse("192.0.2.1");
  std::uint16_t port = 80;
  core::Protocol protocol = core::Protocol::tcp;  // with ports; tcp alone has a handshake to measure
  std::vector<Server> servers;
  Workload workload;
  // Instead of those of the workload, in the order of their start.
  std::shared_ptr<const std::vector<Flow>> recorded;
  bool recorded_work = false;  // their `work` and `bytes` count; else the workload's distributions
  std::vector<Change> churn;   // in the order of time; each names a backend that is there then

  Nanoseconds event_delay = kMillisecond;  // until the engine learns of a connection, as from conntrack
  Nanoseconds detection = 6 * kSecond;     // until health checks notice that a server fails or is back
  Nanoseconds timeout = 10 * kSecond;      // a client waits so long for a server that does not answer
  Nanoseconds warmup = 0;                  // flows of this beginning are not measured
  std::uint32_t probes = 10'000;           // flows that disruption is measured with; 0: it is not
  bool decisions_only = false;             // no servers, no time: every flow is open for ever
  std::uint64_t seed = 1;
};

}  // namespace nfsteer::lab
