// Keys of `nfsteer top`: bytes of a terminal, and what they do.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/top/keys.hpp"

namespace nfsteer::cli::top {
namespace {

using Kind = Key::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Key> keys_of(std::string bytes) {
  return take_keys(bytes);
}

TEST(TopKeys, CharactersAreKeys) {
  EXPECT_THAT(keys_of("q/"), ElementsAre(Key{Kind::character, 'q'}, Key{Kind::character, '/'}));
}

TEST(TopKeys, ArrowsInBothForms) {
  EXPECT_THAT(keys_of("\x1b[A\x1b[B\x1bOA\x1bOB"),
              ElementsAre(Key{Kind::up}, Key{Kind::down}, Key{Kind::up}, Key{Kind::down}));
}

TEST(TopKeys, PagesAndEnds) {
  EXPECT_THAT(keys_of("\x1b[5~\x1b[6~\x1b[H\x1b[F\x1b[1~\x1b[4~"),
              ElementsAre(Key{Kind::page_up}, Key{Kind::page_down}, Key{Kind::home}, Key{Kind::end},
                          Key{Kind::home}, Key{Kind::end}));
}

TEST(TopKeys, ControlKeys) {
  EXPECT_THAT(keys_of("\x03\x1a\x0c\r\n\x7f\x08"),
              ElementsAre(Key{Kind::interrupt}, Key{Kind::suspend}, Key{Kind::redraw}, Key{Kind::enter},
                          Key{Kind::enter}, Key{Kind::backspace}, Key{Kind::backspace}));
}

TEST(TopKeys, ALoneEscapeIsAKey) {
  EXPECT_THAT(keys_of("\x1b"), ElementsAre(Key{Kind::escape}));
  EXPECT_THAT(keys_of("\x1bq"), ElementsAre(Key{Kind::escape}, Key{Kind::character, 'q'}));
}

TEST(TopKeys, ASequenceThatIsCutWaitsForItsEnd) {
  std::string bytes = "j\x1b[5";
  EXPECT_THAT(take_keys(bytes), ElementsAre(Key{Kind::character, 'j'}));
  bytes += "~k";
  EXPECT_THAT(take_keys(bytes), ElementsAre(Key{Kind::page_up}, Key{Kind::character, 'k'}));
  EXPECT_THAT(bytes, IsEmpty());
}

TEST(TopKeys, WhatIsUnknownIsNoKey) {
  EXPECT_THAT(keys_of("\x1b[200~"), IsEmpty());
  EXPECT_THAT(keys_of("\x1b[1;5C"), IsEmpty());
  EXPECT_THAT(keys_of("\xc3\xa4\x01"), IsEmpty());
}

TEST(TopKeys, AnEndlessSequenceIsGivenUp) {
  std::string bytes = "\x1b[" + std::string(1000, '1');
  take_keys(bytes);
  EXPECT_LT(bytes.size(), 20U);
}

class TopKeyMap : public testing::Test {
 protected:
  Wish press(const std::string& bytes) {
    Wish last = Wish::none;
    for (const Key& key : keys_of(bytes))
      last = apply(key, {100, 10}, state);
    return last;
  }

  ViewState state;
};

TEST_F(TopKeyMap, QAndInterruptEnd) {
  EXPECT_EQ(press("q"), Wish::quit);
  EXPECT_EQ(press("\x03"), Wish::quit);
  press("/");
  EXPECT_EQ(press("q"), Wish::none) << "a letter of the filter";
  EXPECT_EQ(press("\x03"), Wish::quit);
}

TEST_F(TopKeyMap, ScrollingStaysWithinTheTable) {
  press("k");
  EXPECT_EQ(state.scroll, 0U);
  press("jj\x1b[B");
  EXPECT_EQ(state.scroll, 3U);
  press(" ");
  EXPECT_EQ(state.scroll, 13U);
  press("\x1b[5~k");
  EXPECT_EQ(state.scroll, 2U);
  press("Gj");
  EXPECT_EQ(state.scroll, 100U);
  press("g");
  EXPECT_EQ(state.scroll, 0U);
}

TEST_F(TopKeyMap, SGoesRoundTheOrders) {
  press("s");
  EXPECT_EQ(state.sort, SortBy::rate);
  press("s");
  EXPECT_EQ(state.sort, SortBy::active);
  press("s");
  EXPECT_EQ(state.sort, SortBy::configuration);
}

TEST_F(TopKeyMap, TheFilterIsTyped) {
  press("jj/wqb\x7f");
  EXPECT_EQ(state.filter, "wq");
  EXPECT_EQ(state.scroll, 0U) << "there may be less to scroll";
  EXPECT_TRUE(state.is_typing);
  press("\r");
  EXPECT_FALSE(state.is_typing);
  EXPECT_EQ(state.filter, "wq");
  press("fx");
  EXPECT_EQ(state.filter, "wqx") << "typing goes on where it was";
  press("\x1b");
  EXPECT_EQ(state.filter, "");
  EXPECT_FALSE(state.is_typing);
  press("\x7f");
  EXPECT_EQ(state.filter, "");
}

TEST_F(TopKeyMap, PauseAndHelp) {
  press("p");
  EXPECT_TRUE(state.is_paused);
  press("p");
  EXPECT_FALSE(state.is_paused);
  press("?");
  EXPECT_TRUE(state.is_help);
  press("s");
  EXPECT_FALSE(state.is_help);
  EXPECT_EQ(state.sort, SortBy::configuration) << "the key only led back";
  press("h");
  EXPECT_EQ(press("q"), Wish::quit);
}

}  // namespace
}  // namespace nfsteer::cli::top
