// Which NFQUEUE number serves what. Flags and copy range belong to a queue in the kernel, so each kind of
// packet has a group of queues of its own, and each worker thread owns one queue of every group.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace nfsteer::core {

enum class QueueGroup : std::uint8_t {
  first,    // first packets of connections: whole packets, no GSO, checksums complete
  inspect,  // later packets of `inspect` services: headers only, GSO
  rewrite,  // later packets of `rewrite` services: whole packets, GSO
};

inline constexpr std::array kQueueGroups{QueueGroup::first, QueueGroup::inspect, QueueGroup::rewrite};

constexpr std::string_view to_string(QueueGroup group) {
  switch (group) {
    case QueueGroup::first:
      return "first";
    case QueueGroup::inspect:
      return "inspect";
    case QueueGroup::rewrite:
      return "rewrite";
  }
  return "?";
}

inline constexpr std::uint16_t kWorkersMax = 64;

// Held by the engine of a network namespace, whatever its layout; no rule sends packets there.
inline constexpr std::uint16_t kClaimedQueue = 65535;

// The groups lie one behind the other: base + group * workers + worker.
struct QueueLayout {
  std::uint16_t base = 0;     // first queue number
  std::uint16_t workers = 1;  // 1..kWorkersMax

  constexpr std::uint16_t first_of(QueueGroup group) const {
    return static_cast<std::uint16_t>(base + static_cast<unsigned>(group) * workers);
  }
  constexpr std::uint16_t queue(QueueGroup group, unsigned worker) const {
    return static_cast<std::uint16_t>(first_of(group) + worker);
  }
  constexpr std::uint16_t size() const { return static_cast<std::uint16_t>(kQueueGroups.size() * workers); }
  constexpr bool contains(std::uint16_t queue) const { return queue >= base && queue - base < size(); }
  // `queue` must be one of this layout's.
  constexpr QueueGroup group_of(std::uint16_t queue) const {
    return static_cast<QueueGroup>((queue - base) / workers);
  }
};

}  // namespace nfsteer::core
