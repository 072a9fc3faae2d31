// Which backend's slot a translated connection counts in, found by the tuples that conntrack has of it, and
// which services' connections have all been seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/flow.hpp"
#include "core/snapshot.hpp"

namespace nfsteer::tracking {

inline constexpr std::uint32_t kNone = ~0U;

// Where a connection's answers come from. `address` as in core::FlowKey.
struct Endpoint {
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

class BackendIndex {
 public:
  struct Place {
    std::uint32_t service = kNone;  // index into the lookup's services
    std::uint32_t slot = kNone;     // kNone with a service: it has no such backend
  };

  explicit BackendIndex(std::shared_ptr<const core::Snapshot> lookup);

  // The service that the original destination belongs to, and its backend at `backend`: the one of that
  // port, else the one of that address that takes any port. Of two backends with one address and port, the
  // first.
  Place find(const core::FlowKey& original, const Endpoint& backend) const noexcept;

  const core::Snapshot& lookup() const { return *lookup_; }

  // Whether the kernel's table has been read since this VIP, protocol and port are a service's. Until then,
  // connections may come to light that are not new.
  bool was_read(std::uint32_t service) const { return read_[service]; }
  bool all_read() const;
  void set_all_read(bool read) { read_.assign(read_.size(), read); }
  void take_over_read(const BackendIndex& before);

 private:
  struct Key {
    Endpoint backend;
    std::uint32_t service = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept;
  };

  std::shared_ptr<const core::Snapshot> lookup_;
  std::unordered_map<Key, std::uint32_t, Hash> slots_;
  std::vector<bool> read_;  // by service
};

}  // namespace nfsteer::tracking
