// A reader of core::AffinityTable meets an eviction at each of its instructions in turn. Threads seldom meet
// in between two loads that follow each other; so the processor steps through the reader, and the signal's
// handler evicts. The steps grow with the square of the instructions: of some hundreds where the compiler
// optimizes, else of thousands.
#if defined(__x86_64__) && defined(__OPTIMIZE__)
#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <csignal>
#include <optional>

#include <gtest/gtest.h>

#include "core/affinity_table.hpp"

namespace nfsteer::core {
namespace {

constexpr greg_t kTrapFlag = 0x100;  // a signal after each instruction (Intel SDM, volume 3, 18.3.1.4)

AffinityTable* stepped_table = nullptr;
std::atomic<int> steps_left{0};
std::atomic<bool> is_evicted{false};
std::atomic<bool> is_read{false};

// As many clients as a set holds, and younger ones than those before.
void fill(AffinityTable& table, std::uint32_t first_client) {
  for (std::uint32_t i = 0; i < table.capacity(); ++i)
    table.place(first_client + i, std::nullopt, {first_client + i, first_client + i});
}

void step(int /*signal*/, siginfo_t* /*about*/, void* context) {
  greg_t& flags = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL];
  flags |= kTrapFlag;
  if (!is_read && steps_left-- > 0) return;
  flags &= ~kTrapFlag;
  if (is_read) return;
  fill(*stepped_table, 100);
  is_evicted = true;
}

// The first signal is raised, the processor raises the others. Those of what is around find() count, too.
std::optional<AffinityTable::Placement> find_stepping(AffinityTable& table, std::uint32_t client, int steps) {
  stepped_table = &table;
  steps_left = steps;
  is_evicted = false;
  is_read = false;
  std::raise(SIGTRAP);
  const auto found = table.find(client);
  is_read = true;
  return found;
}

TEST(AffinityTableSteps, AReaderThatIsEvictedAnywhereMeetsNoOtherClientsPlace) {
  struct sigaction before {};
  struct sigaction stepping {};
  stepping.sa_sigaction = step;
  stepping.sa_flags = SA_SIGINFO;
  ASSERT_EQ(sigaction(SIGTRAP, &stepping, &before), 0);
  int steps = 0, found_count = 0;
  do {
    AffinityTable table(1, 1);
    fill(table, 1);
    const auto found = find_stepping(table, 4, ++steps);
    found_count += found ? 1 : 0;
    EXPECT_EQ(found.value_or(AffinityTable::Placement{4, 0}).slot, 4U)
        << "evicted after " << steps << " steps";
  } while (is_evicted);
  sigaction(SIGTRAP, &before, nullptr);
  if (steps == 1) GTEST_SKIP() << "nothing steps through a program here; valgrind does not, for one";
  EXPECT_LT(found_count, steps) << "evicted before it is read";
  EXPECT_GT(found_count, 1) << "evicted when it is read";
}

}  // namespace
}  // namespace nfsteer::core
#endif
