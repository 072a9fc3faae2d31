// The part of Python policies that workers run: no Python in it.
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "flow_table.hpp"
#include "published_picker.hpp"

namespace nfsteer::python {
namespace {

using By = FlowTable::By;

core::FlowKey flow_from(std::uint16_t port) {
  core::FlowKey flow;
  flow.source = {10, 0, 0, static_cast<std::uint8_t>(port % 7)};
  flow.source_port = port;
  return flow;
}

// Says when it dies, and answers only while it lives.
class Mortal final : public core::Picker {
 public:
  Mortal(std::uint32_t answer, std::atomic<int>& alive) : answer_(answer), alive_(alive) { ++alive_; }
  ~Mortal() override {
    answer_ = kDead;
    --alive_;
  }
  Mortal(const Mortal&) = delete;
  Mortal& operator=(const Mortal&) = delete;
  std::optional<std::uint32_t> pick(const core::FlowKey& /*flow*/,
                                    core::PickContext& /*context*/) const noexcept override {
    return answer_;
  }
  static constexpr std::uint32_t kDead = ~0U;

 private:
  std::uint32_t answer_;
  std::atomic<int>& alive_;
};

// Holds a worker inside its pick.
class Slow final : public core::Picker {
 public:
  Slow(std::atomic<bool>& entered, std::atomic<bool>& leave, std::atomic<bool>& is_alive)
      : entered_(entered), leave_(leave), is_alive_(is_alive) {
    is_alive_ = true;
  }
  ~Slow() override { is_alive_ = false; }
  Slow(const Slow&) = delete;
  Slow& operator=(const Slow&) = delete;
  std::optional<std::uint32_t> pick(const core::FlowKey& /*flow*/,
                                    core::PickContext& /*context*/) const noexcept override {
    entered_ = true;
    while (!leave_)
      std::this_thread::yield();
    return is_alive_ ? 7U : 0U;
  }

 private:
  std::atomic<bool>& entered_;
  std::atomic<bool>& leave_;
  std::atomic<bool>& is_alive_;
};

TEST(FlowTable, OneFlowHasOneEntryAndOneClientOne) {
  core::Random random(1);
  core::PickContext context{random};
  const FlowTable by_flow({0, 1, 2, 3}, By::flow, 0);
  const FlowTable by_source({0, 1, 2, 3}, By::source, 0);
  for (std::uint16_t port = 1; port < 500; ++port) {
    EXPECT_EQ(by_flow.pick(flow_from(port), context), by_flow.pick(flow_from(port), context));
    const auto same_client = static_cast<std::uint16_t>(port + 7);
    EXPECT_EQ(by_source.pick(flow_from(port), context), by_source.pick(flow_from(same_client), context));
  }
}

TEST(FlowTable, EveryEntryHasItsShare) {
  core::Random random(1);
  core::PickContext context{random};
  for (const By by : {By::flow, By::random}) {
    const FlowTable table({0, 1, 2, 2}, by, 3);
    std::vector<int> counts(3);
    for (std::uint16_t port = 0; port < 40'000; ++port)
      ++counts[*table.pick(flow_from(port), context)];
    // Five standard deviations of a binomial distribution are below 440.
    EXPECT_NEAR(counts[0], 10'000, 440);
    EXPECT_NEAR(counts[1], 10'000, 440);
    EXPECT_NEAR(counts[2], 20'000, 500);
  }
}

TEST(PublishedPicker, NothingPublishedIsNoBackend) {
  core::Random random(1);
  core::PickContext context{random};
  EXPECT_EQ(PublishedPicker(1, true).pick(flow_from(1), context), std::nullopt);
  EXPECT_EQ(PublishedPicker(1, false).pick(flow_from(1), context), std::nullopt);
}

TEST(PublishedPicker, AReplacedOneLivesWhileAWorkerIsInIt) {
  std::atomic<bool> entered{false}, leave{false}, is_alive{false};
  std::atomic<int> others{0};
  PublishedPicker published(2, true);
  published.publish(std::make_shared<Slow>(entered, leave, is_alive));
  std::thread worker([&] {
    core::Random random(1);
    core::PickContext context{random, 0, 1};
    EXPECT_EQ(published.pick(flow_from(1), context), 7U);
  });
  while (!entered)
    std::this_thread::yield();
  published.publish(std::make_shared<Mortal>(0, others));
  published.publish(std::make_shared<Mortal>(1, others));
  EXPECT_TRUE(is_alive);
  EXPECT_EQ(others, 1);  // nobody was in that one
  EXPECT_EQ(published.retired(), 1U);
  leave = true;
  worker.join();
  published.publish(std::make_shared<Mortal>(2, others));
  EXPECT_FALSE(is_alive);
  EXPECT_EQ(published.retired(), 0U);
}

TEST(PublishedPicker, WorkersNeverMeetADeadOne) {
  constexpr std::uint32_t kWorkers = 3;
  constexpr std::uint32_t kPublished = 3'000;
  std::atomic<int> alive{0};
  std::atomic<bool> done{false};
  PublishedPicker published(kWorkers, true);
  published.publish(std::make_shared<Mortal>(0, alive));
  std::vector<std::thread> workers;
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker)
    workers.emplace_back([&, worker] {
      core::Random random(worker);
      core::PickContext context{random, 0, worker};
      for (std::uint32_t last = 0; !done;) {
        const auto picked = published.pick(flow_from(1), context);
        ASSERT_TRUE(picked && *picked != Mortal::kDead);
        ASSERT_GE(*picked, last);  // time does not go back
        last = *picked;
      }
    });
  for (std::uint32_t number = 1; number <= kPublished; ++number) {
    published.publish(std::make_shared<Mortal>(number, alive));
    ASSERT_LE(published.retired(), kWorkers);
    if (number % 64 == 0) std::this_thread::yield();
  }
  done = true;
  for (std::thread& worker : workers)
    worker.join();
  published.publish(nullptr);
  EXPECT_EQ(alive, 0);
}

TEST(PublishedPicker, TheSameOneMayBePublishedAgain) {
  std::atomic<int> alive{0};
  PublishedPicker published(1, true);
  core::Random random(1);
  core::PickContext context{random};
  const auto one = std::make_shared<Mortal>(1, alive);
  const auto two = std::make_shared<Mortal>(2, alive);
  published.publish(one);
  published.publish(one);
  published.publish(two);
  published.publish(one);
  EXPECT_EQ(published.pick(flow_from(1), context), 1U);
  EXPECT_EQ(published.retired(), 0U);
}

}  // namespace
}  // namespace nfsteer::python
