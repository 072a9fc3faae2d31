// No policy allocates memory when it is asked.
#include <atomic>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "policy_support.hpp"

namespace {

std::atomic<std::size_t> allocations{0};

}  // namespace

// Out of line: g++ would otherwise inline one of a pair and warn that malloc and delete do not match.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
// What std::stable_sort uses: else a sanitizer's own would go with the delete below.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace nfsteer::policy::test {
namespace {

TEST(PolicyAllocation, NoPickAllocatesMemory) {
  const Pool pool(Weights(500, 3));
  std::vector<std::string_view> specs{"ring-hash,load_factor=125"};
  for (const PolicyInfo& each : catalogue())
    specs.push_back(each.name);
  for (const std::string_view spec : specs) {
    const auto policy = build(spec, pool.input());
    Asker asker;
    std::size_t picked = 0;
    const std::size_t before = allocations;
    for (std::uint32_t flow = 0; flow < 2000; ++flow)
      picked += asker.ask(*policy, any_flow(flow), flow).has_value();
    EXPECT_EQ(allocations, before) << spec;
    EXPECT_EQ(picked, 2000U) << spec;
  }
}

}  // namespace
}  // namespace nfsteer::policy::test
