// The lists of addresses that rules with a Recent match keep (plan/rule.hpp), as the kernel shows them in
// /proc/net/xt_recent (xt_recent.c), and the clock that their times are of.
//
// Works on the network namespace of the calling thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.hpp"
#include "core/result.hpp"

namespace nfsteer::rules {

struct RecentClient {
  core::IpAddress address;      // its first bits, as the rule's prefix says; the others are zero
  unsigned long last_seen = 0;  // ticks, see TickClock
  friend bool operator==(const RecentClient&, const RecentClient&) = default;
};

// Lines "src=ADDRESS ttl: N last_seen: TICKS oldest_pkt: N ..."; others are passed over.
std::vector<RecentClient> parse_recent_list(std::string_view text);

// Empty where no rule keeps such a list.
core::Result<std::vector<RecentClient>> read_recent_list(const std::string& list);

// Takes a client out. False: it may not, or neither list nor client is there.
bool forget_recent_client(const std::string& list, const core::IpAddress& client);

// How many clients a list holds before the oldest one goes (module parameter ip_list_tot). Nothing: the
// kernel does not say.
std::optional<unsigned> recent_list_length();

// Says how old a tick is. The kernel's tick counter (jiffies, as wide as a long of its) runs in step with
// CLOCK_MONOTONIC (tick_do_update_jiffies64() in kernel/time/tick-sched.c); what it shows has to be found out
// once. It begins at INITIAL_JIFFIES, five minutes before it wraps at 32 bits, some tenths of a second after
// the clock: good enough until something better is seen.
class TickClock {
 public:
  explicit TickClock(std::uint64_t tick_ns)
      : tick_ns_(tick_ns),
        start_(static_cast<std::uint32_t>(0U - 300U * static_cast<std::uint32_t>(1'000'000'000 / tick_ns))) {}

  // For this kernel, from the resolution of CLOCK_MONOTONIC_COARSE, which is a tick, and from
  // /proc/timer_list, where it may be read.
  static TickClock of_kernel();

  // The counter showed `ticks` at that time.
  void set(unsigned long ticks, std::uint64_t monotonic_ns) { start_ = ticks - elapsed(monotonic_ns); }

  // Whole seconds that have passed since. A tick that is yet to come shows that the counter is further than
  // believed, unless it is too far off for that.
  std::uint32_t age_s(unsigned long ticks, std::uint64_t monotonic_ns);

 private:
  unsigned long elapsed(std::uint64_t monotonic_ns) const {
    return static_cast<unsigned long>(monotonic_ns / tick_ns_);
  }

  std::uint64_t tick_ns_;
  unsigned long start_;  // what the counter showed at time 0
};

std::uint64_t monotonic_ns();

}  // namespace nfsteer::rules
