#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "control/published_snapshot.hpp"

namespace nfsteer::control {
namespace {

std::unique_ptr<const core::Snapshot> snapshot_named(const std::string& name) {
  std::vector<core::SteeredService> services(1);
  services[0].service.name = name;
  return std::make_unique<const core::Snapshot>(std::move(services));
}

std::string name_of(const core::Snapshot& snapshot) {
  return snapshot.services().front().service.name;
}

TEST(PublishedSnapshot, AReaderSeesTheLatest) {
  PublishedSnapshot published(1, snapshot_named("one"));
  EXPECT_EQ(name_of(published.enter(0)), "one");
  published.leave(0);
  published.publish(snapshot_named("two"));
  EXPECT_EQ(name_of(published.enter(0)), "two");
  published.leave(0);
}

TEST(PublishedSnapshot, PublishingWaitsForReadersOfTheOld) {
  PublishedSnapshot published(2, snapshot_named("one"));
  const core::Snapshot& old = published.enter(1);
  std::atomic<bool> done = false;
  std::thread publisher([&] {
    published.publish(snapshot_named("two"));
    done = true;
  });
  while (name_of(published.enter(0)) != "two")
    published.leave(0);  // the new one is out
  EXPECT_FALSE(done);
  EXPECT_EQ(name_of(old), "one");  // and the old one still there
  published.leave(1);
  publisher.join();
  EXPECT_TRUE(done);
  published.leave(0);
}

TEST(PublishedSnapshot, ManyReadersNeverSeeADeadSnapshot) {
  constexpr std::size_t kReaders = 3;
  PublishedSnapshot published(kReaders, snapshot_named("0"));
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (std::size_t reader = 0; reader < kReaders; ++reader)
    readers.emplace_back([&, reader] {
      int last = 0;
      while (!stop) {
        const int number = std::stoi(name_of(published.enter(reader)));
        published.leave(reader);
        EXPECT_GE(number, last);
        last = number;
      }
    });
  for (int number = 1; number <= 2000; ++number)
    published.publish(snapshot_named(std::to_string(number)));
  stop = true;
  for (auto& reader : readers)
    reader.join();
}

}  // namespace
}  // namespace nfsteer::control
