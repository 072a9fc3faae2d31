#include <set>
#include <string>

#include <gtest/gtest.h>

#include "control/slots.hpp"

namespace nfsteer::control {
namespace {

TEST(SlotTable, AKeyKeepsItsSlotAndReleasedOnesAreGivenOutAgain) {
  SlotTable<std::string> slots;
  const auto one = slots.hold("one");
  const auto two = slots.hold("two");
  const auto three = slots.hold("three");
  EXPECT_EQ(std::set({one, two, three}), std::set({0U, 1U, 2U}));
  EXPECT_EQ(slots.hold("two"), two);

  std::vector<std::uint32_t> released;
  slots.release_unless([](const std::string& key) { return key != "two"; },
                       [&](std::uint32_t slot) { released.push_back(slot); });
  EXPECT_EQ(released, std::vector{two});
  EXPECT_EQ(slots.hold("one"), one);
  EXPECT_EQ(slots.hold("four"), two);
  EXPECT_EQ(slots.hold("five"), 3U);
  EXPECT_EQ(slots.size(), 4U);
}

}  // namespace
}  // namespace nfsteer::control
