// What a policy in Python usually comes down to: a table of backends that each flow finds its entry in.
// Nothing here knows Python: workers read it without the interpreter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/picker.hpp"

namespace nfsteer::python {

inline constexpr std::size_t kTableEntriesMax = std::size_t{1} << 20;

class FlowTable final : public core::Picker {
 public:
  // How a flow finds its entry.
  enum class By : std::uint8_t {
    flow,    // by a hash of the whole 5-tuple
    source,  // by a hash of the client's address
    random,  // by chance
  };

  // `entries`: backend indices, at least one and at most kTableEntriesMax. `seed`: of the hash.
  FlowTable(std::vector<std::uint32_t> entries, By by, std::uint64_t seed)
      : entries_(std::move(entries)), by_(by), seed_(seed) {}

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override {
    // The upper half of a number times the size, without its lower half: uniform, and no division.
    return entries_[((number_of(flow, context) >> 32) * entries_.size()) >> 32];
  }

  const std::vector<std::uint32_t>& entries() const { return entries_; }
  By by() const { return by_; }
  std::uint64_t seed() const { return seed_; }

 private:
  std::uint64_t number_of(const core::FlowKey& flow, core::PickContext& context) const noexcept {
    if (by_ == By::flow) return flow.hash(seed_);
    if (by_ == By::random) return context.random.next();
    core::FlowKey client;
    client.source = flow.source;
    client.family = flow.family;
    return client.hash(seed_);
  }

  std::vector<std::uint32_t> entries_;
  By by_;
  std::uint64_t seed_;
};

}  // namespace nfsteer::python
