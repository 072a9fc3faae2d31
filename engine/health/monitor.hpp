// Checks the backends of all services, and knows their health.
//
// Everything happens in the thread of the io_context. One timer serves all backends; at most
// kNetworkChecksMax checks and, beside them, kProcessChecksMax programs run at once, each with one
// descriptor: where more are due, those wait that have been due for the shortest time, and the time between
// two checks grows. No backend is ever checked twice at once.
//
// Every backend of every service is checked by itself, also where two have the same address and port.
//
// The log has one line for each change of health and for each check that could not be made for want of
// something on this host, at most kLogLinesMax in a second; one more line counts the others.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "confine/spawner.hpp"
#include "core/backend_key.hpp"
#include "core/health_check.hpp"
#include "core/service.hpp"

namespace nfsteer::health {

// What status says of one backend.
struct Report {
  bool checked = false;  // else nothing below means anything
  std::uint64_t checks_passed = 0;
  std::uint64_t checks_failed = 0;
  std::string last_result;  // empty before the first one
  core::Health health = core::Health::up;
};

class Monitor {
 public:
  static constexpr std::size_t kNetworkChecksMax = 512;
  static constexpr std::size_t kProcessChecksMax = 16;
  static constexpr std::uint32_t kLogLinesMax = 20;

  // `changed` is called from the io_context after the health of one or more backends has changed, though not
  // by watch(). `io` must outlive this; this may end with checks under way, which are cancelled then.
  // `spawner` starts the programs, and outlives `io`; null: this process does.
  Monitor(boost::asio::io_context& io, std::uint64_t seed, std::function<void()> changed,
          confine::Spawner* spawner = nullptr);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // From now on the backends of these services are checked, but for those in maintenance and those of
  // services without a check. A backend that was checked before keeps what is known of it, under another
  // HealthCheck too. `trust_new`: one that was not is up until its first result (BackendHealth).
  void watch(const std::vector<core::Service>& services, bool trust_new);

  // Up where nothing is checked.
  core::Health health(const core::BackendKey& key) const;
  Report report(const core::BackendKey& key) const;

  // For services with HealthCheck::passive, about once a second: so many of the latest connections to the
  // backend have had no answer, all in a row.
  void unanswered(const core::BackendKey& key, std::uint64_t in_a_row);

 private:
  class Checks;
  std::shared_ptr<Checks> checks_;
};

}  // namespace nfsteer::health
