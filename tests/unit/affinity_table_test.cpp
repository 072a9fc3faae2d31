#include "core/affinity_table.hpp"

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.hpp"

namespace nfsteer::core {
namespace {

using Placement = AffinityTable::Placement;

constexpr Affinity kEveryAddress{std::chrono::seconds(10), 32, 128};

std::array<std::uint8_t, 16> bytes(const char* text) {
  std::array<std::uint8_t, 16> result{};
  const IpAddress address = IpAddress::parse(text).value();
  std::ranges::copy(address.bytes(), result.begin());
  return result;
}

std::uint64_t hash(const AffinityTable& table, const char* address, const Affinity& affinity = kEveryAddress,
                   std::uint32_t service = 0) {
  return table.hash_of(service, affinity, IpAddress::parse(address)->family(), bytes(address));
}

TEST(AffinityHash, TellsServicesAndClientsApartUpToThePrefix) {
  const AffinityTable table(7, 8);
  const Affinity wide{std::chrono::seconds(10), 20, 64};
  struct {
    const char* one;
    const char* other;
    Affinity affinity;
    bool same;
  } const cases[] = {
      {"10.0.0.1", "10.0.0.1", kEveryAddress, true},  {"10.0.0.1", "10.0.0.2", kEveryAddress, false},
      {"10.0.16.1", "10.0.31.255", wide, true},       {"10.0.16.1", "10.0.32.1", wide, false},
      {"fd00::1", "fd00::2", kEveryAddress, false},   {"fd00::1", "fd00::ffff:0:0:2", wide, true},
      {"fd00::1", "fd00:0:0:1::1", wide, false},      {"10.0.0.1", "a00:1::", kEveryAddress, false},
      {"10.0.0.1", "192.168.0.1", {{}, 0, 0}, true},  {"fd00::1", "2001::1", {{}, 0, 0}, true},
      {"127.255.0.1", "0.0.0.1", {{}, 1, 128}, true}, {"127.255.0.1", "128.0.0.1", {{}, 1, 128}, false},
  };
  for (const auto& each : cases)
    EXPECT_EQ(hash(table, each.one, each.affinity) == hash(table, each.other, each.affinity), each.same)
        << each.one << ' ' << each.other;
  EXPECT_NE(hash(table, "10.0.0.1", kEveryAddress, 0), hash(table, "10.0.0.1", kEveryAddress, 1));
  EXPECT_NE(hash(table, "10.0.0.1", kEveryAddress, 1), hash(table, "10.0.0.1", kEveryAddress, 1U << 16));
  EXPECT_NE(hash(table, "10.0.0.1"), hash(AffinityTable(8, 8), "10.0.0.1"));
}

TEST(AffinityTable, FindsWhatWasPlaced) {
  AffinityTable table(1);
  EXPECT_FALSE(table.find(5));
  EXPECT_EQ(table.place(5, std::nullopt, {3, 100}), (Placement{3, 100}));
  EXPECT_EQ(table.find(5), (Placement{3, 100}));
  table.refresh(5, {3, 100}, 107);
  EXPECT_EQ(table.find(5), (Placement{3, 107}));
  table.refresh(5, {3, 100}, 109);
  EXPECT_EQ(table.find(5), (Placement{3, 107})) << "an old finding must not renew what came after it";
  table.refresh(5, {3, 107}, 105);
  EXPECT_EQ(table.find(5), (Placement{3, 107}))
      << "a worker whose batch began earlier must not make it older";
}

TEST(AffinityTable, TheSecondToPlaceAClientLearnsOfTheFirst) {
  AffinityTable table(1);
  table.place(5, std::nullopt, {3, 100});
  EXPECT_EQ(table.place(5, std::nullopt, {4, 100}), (Placement{3, 100}));
  EXPECT_EQ(table.find(5), (Placement{3, 100}));
  EXPECT_EQ(table.place(5, Placement{3, 100}, {4, 200}), (Placement{4, 200}))
      << "who has seen it may move it";
  EXPECT_EQ(table.place(5, Placement{3, 100}, {6, 200}), (Placement{4, 200}));
}

TEST(AffinityTable, OfAFullSetTheOldestIsEvicted) {
  AffinityTable table(1, 1);  // one set
  const auto ways = static_cast<std::uint32_t>(table.capacity());
  for (std::uint32_t client = 1; client <= ways; ++client)
    table.place(client, std::nullopt, {client, 100 + client});
  table.refresh(1, {1, 101}, 200);
  table.place(99, std::nullopt, {99, 150});
  EXPECT_FALSE(table.find(2));
  for (const std::uint32_t client : {1U, 3U, ways, 99U})
    EXPECT_EQ(table.find(client)->slot, client);
}

TEST(AffinityTable, TheYoungerKnowledgeIsTaken) {
  AffinityTable table(1, 1);
  table.learn(5, {3, 100});
  EXPECT_EQ(table.find(5), (Placement{3, 100}));
  table.learn(5, {4, 100});
  table.learn(5, {4, 99});
  EXPECT_EQ(table.find(5), (Placement{3, 100}));
  table.learn(5, {4, 101});
  EXPECT_EQ(table.find(5), (Placement{4, 101}));
  for (std::uint32_t client = 10; client < 10 + table.capacity(); ++client)
    table.place(client, std::nullopt, {client, 200});
  table.learn(5, {4, 199});
  EXPECT_FALSE(table.find(5)) << "nobody younger is evicted for it";
}

TEST(AffinityTable, ForgetsTheClientsOfABackend) {
  AffinityTable table(1);
  for (std::uint64_t client = 1; client <= 1000; ++client)
    table.place(client << 32, std::nullopt, {static_cast<std::uint32_t>(client % 3), 100});
  table.forget_if([](std::uint32_t slot) { return slot != 1; });
  for (std::uint64_t client = 1; client <= 1000; ++client)
    EXPECT_EQ(table.find(client << 32).has_value(), client % 3 == 1);
}

TEST(AffinityTable, HoldsAsManyClientsAsAskedFor) {
  AffinityTable table(1);
  Random random(2);
  std::vector<std::uint64_t> clients(AffinityTable::kDefaultEntries);
  for (std::uint64_t& client : clients)
    table.place(client = random.next() | 1, std::nullopt, {1, 100});
  std::size_t kept = 0;
  for (const std::uint64_t client : clients)
    kept += table.find(client).has_value();
  EXPECT_GT(kept, clients.size() * 97 / 100);
}

// Threads place the same clients at the same time; each must be told the same backend as the others.
TEST(AffinityTable, ThreadsAgreeOnEachClient) {
  constexpr std::uint32_t kThreads = 4;
  constexpr std::uint32_t kClients = 20000;
  AffinityTable table(1, kClients * 4);
  std::vector<std::vector<std::uint32_t>> answers(kThreads, std::vector<std::uint32_t>(kClients));
  std::vector<std::uint64_t> hashes(kClients);
  Random random(3);
  for (std::uint64_t& each : hashes)
    each = random.next() | 1;
  std::atomic<std::uint32_t> ready{0};
  std::vector<std::thread> threads;
  for (std::uint32_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      ++ready;
      while (ready < kThreads) {
      }
      for (std::uint32_t client = 0; client < kClients; ++client) {
        auto found = table.find(hashes[client]);
        if (found) {
          table.refresh(hashes[client], *found, 101);
        } else {
          found = table.place(hashes[client], std::nullopt, {thread, 100});
        }
        answers[thread][client] = found->slot;
      }
    });
  for (std::thread& each : threads)
    each.join();
  std::size_t told_apart = 0;
  for (std::uint32_t client = 0; client < kClients; ++client) {
    std::set<std::uint32_t> told;
    for (const auto& each : answers)
      told.insert(each[client]);
    told_apart += told.size() != 1;
  }
  // While a thread that writes has lost its CPU, others cannot place further clients in that set. How often
  // that happens is up to the machine.
  EXPECT_LE(told_apart, kClients / 500);
}

// Readers beside writers that evict: what is found of a client is always that client's.
// Shows gross faults: seldom do threads meet where it matters. affinity_table_steps_test.cpp does, but for
// the memory orders, which affinity_table.cpp answers for.
TEST(AffinityTable, NoReaderMeetsAnotherClientsPlace) {
  AffinityTable table(1, 1);
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (std::uint32_t writer = 0; writer < 2; ++writer)
    threads.emplace_back([&, writer] {
      for (std::uint32_t round = 1; round <= 50000; ++round) {
        const std::uint32_t client = 1 + (round * 7 + writer) % 50;
        table.place(client, table.find(client), {client, round});
      }
    });
  std::atomic<std::uint64_t> wrong{0};
  std::thread reader([&] {
    for (std::uint32_t client = 1; !over; client = client % 50 + 1)
      if (const auto found = table.find(client); found && found->slot != client) ++wrong;
  });
  std::thread learner([&] {
    for (std::uint32_t client = 1; !over; client = client % 50 + 1) {
      table.learn(client, {client, 25000});
      table.forget_if([](std::uint32_t slot) { return slot == 13; });
    }
  });
  for (std::thread& each : threads)
    each.join();
  over = true;
  reader.join();
  learner.join();
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace nfsteer::core
