// When the kernel's table is read again, in virtual time.
#include <gtest/gtest.h>

#include "tracking/reading_pace.hpp"

namespace nfsteer::tracking {
namespace {

using namespace std::chrono_literals;
constexpr ReadingPace::Time kAtFirst{100s};

void read(ReadingPace& pace, ReadingPace::Time now) {
  pace.begin();
  pace.end(now);
}

TEST(ReadingPace, TheFirstLossIsReadForAtOnce) {
  ReadingPace pace;
  EXPECT_FALSE(pace.due());
  pace.lost(kAtFirst);
  EXPECT_EQ(pace.due(), kAtFirst);
  read(pace, kAtFirst);
  EXPECT_FALSE(pace.due());
}

TEST(ReadingPace, ReadingsBecomeSeldomWhileLossesGoOn) {
  ReadingPace pace;
  ReadingPace::Time now = kAtFirst;
  for (const auto pause : {1s, 2s, 4s, 8s, 10s, 10s}) {
    pace.lost(now);
    now = *pace.due();
    read(pace, now);
    pace.lost(now + 1ms);
    EXPECT_EQ(pace.due(), now + pause);
  }
}

TEST(ReadingPace, ALossDuringAReadingAsksForAnother) {
  ReadingPace pace;
  pace.lost(kAtFirst);
  pace.begin();
  pace.lost(kAtFirst + 100ms);
  pace.end(kAtFirst + 500ms);
  EXPECT_EQ(pace.due(), kAtFirst + 1500ms) << "counted from the end of the first";
}

TEST(ReadingPace, CalmMakesALossAFirstOneAgain) {
  ReadingPace pace;
  ReadingPace::Time now = kAtFirst;
  for (int loss = 0; loss < 5; ++loss) {
    pace.lost(now);
    now = *pace.due();
    read(pace, now);
  }
  now += 30s;
  pace.lost(now);
  EXPECT_EQ(pace.due(), now);
  read(pace, now);
  pace.lost(now);
  EXPECT_EQ(pace.due(), now + 1s);
}

}  // namespace
}  // namespace nfsteer::tracking
