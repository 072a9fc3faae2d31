// What is counted of a backend's connections. One writer, the thread that applies conntrack's events; any
// number of readers.
#pragma once

#include <cstdint>

#include "core/counters.hpp"
#include "core/live_backend.hpp"

namespace nfsteer::tracking {

struct Totals {
  std::uint64_t active = 0;      // connections now
  std::uint64_t opened = 0;      // new ones since the backend has its slot
  std::uint64_t unanswered = 0;  // TCP connections that the backend refused or did not answer in time
  std::uint64_t unanswered_in_a_row = 0;  // of these, since it last answered one
  // Of connections that conntrack has forgotten since. 0 without net.netfilter.nf_conntrack_acct.
  std::uint64_t packets_in = 0, bytes_in = 0;    // client to backend
  std::uint64_t packets_out = 0, bytes_out = 0;  // backend to client

  friend bool operator==(const Totals&, const Totals&) = default;
};

// Two cache lines: what policies read, and what is only counted.
struct alignas(64) ConnectionCounters {
  core::LiveBackend live;
  core::Counter opened;
  core::Counter unanswered;
  core::Counter unanswered_in_a_row;
  core::Counter packets_in, bytes_in;
  core::Counter packets_out, bytes_out;

  void change_active(bool more) noexcept { live.set_active(live.active() + (more ? 1 : ~std::uint32_t{0})); }

  // Everything but `live`, whose active connections are those that stand in the slot.
  void reset() noexcept {
    live.forget();
    for (core::Counter* each :
         {&opened, &unanswered, &unanswered_in_a_row, &packets_in, &bytes_in, &packets_out, &bytes_out})
      each->reset();
  }

  Totals totals() const noexcept {
    return {.active = live.active(),
            .opened = opened.value(),
            .unanswered = unanswered.value(),
            .unanswered_in_a_row = unanswered_in_a_row.value(),
            .packets_in = packets_in.value(),
            .bytes_in = bytes_in.value(),
            .packets_out = packets_out.value(),
            .bytes_out = bytes_out.value()};
  }
};
static_assert(sizeof(ConnectionCounters) == 128);

}  // namespace nfsteer::tracking
