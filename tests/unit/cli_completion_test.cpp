// Completion of command lines and the manual page, over a small tree of commands.
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command_tree.hpp"
#include "cli/completion.hpp"
#include "cli/man_page.hpp"

namespace nfsteer::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

TEST(ListedValuesTest, AListOfWordsIsTheValues) {
  EXPECT_THAT(listed_values("dnat, connection, inspect or rewrite"),
              ElementsAre("dnat", "connection", "inspect", "rewrite"));
  EXPECT_THAT(listed_values("text (default) or json"), ElementsAre("text", "json"));
  EXPECT_THAT(listed_values("c, c++ or python"), ElementsAre("c", "c++", "python"));
  EXPECT_THAT(listed_values("debug, info (default), warning or error"),
              ElementsAre("debug", "info", "warning", "error"));
  EXPECT_THAT(listed_values("tcp, http or passive: check the backends"),
              ElementsAre("tcp", "http", "passive"));
}

TEST(ListedValuesTest, ClausesAreAListToo) {
  EXPECT_THAT(listed_values("keep (default): the DNAT ladder stays; remove: every rule goes"),
              ElementsAre("keep", "remove"));
}

TEST(ListedValuesTest, ProseIsNone) {
  for (const char* prose :
       {"", "name of the service", "ADDR[:PORT][,weight=N]; once per backend", "0 to 65535", "path",
        "virtual IP address, IPv4 or IPv6", "worker threads; default: number of CPUs",
        "client, or for how long a client keeps its backend, as in 3h",
        "port of the VIP; default: every port"})
    EXPECT_THAT(listed_values(prose), IsEmpty()) << prose;
}

class TreeTest : public testing::Test {
 protected:
  TreeTest() {
    app_.require_subcommand(1);
    CLI::App* set = app_.add_subcommand("set", "Set a -thing");
    CLI::Option* file = set->add_option("-c,--config", text_, "a file");
    set->add_option("--colour", text_, "red, green or blue")->excludes(file);
    set->add_option("--many", list_, "again and again");
    set->add_flag("--fast", fast_, "be quick");
    set->add_option("SERVICE", text_, "which")->required();
    set->add_option("BACKEND", text_, "ADDR")->required();
    CLI::App* group = app_.add_subcommand("group", "Inner commands");
    group->add_subcommand("one", "First");
    group->add_subcommand("two", "Second");
    app_.add_subcommand("secret", "Not shown")->group("");
    set->add_flag("--secret", fast_, "not shown")->group("");
  }

  std::vector<std::string> after(std::vector<std::string> words) {
    const Completion completion = complete(app_, words,
                                           {[](const std::string& control) {
                                              return std::vector<std::string>{"web", control + "!"};
                                            },
                                            [](const std::string&, const std::string& service) {
                                              return std::vector<std::string>{service + "-1"};
                                            }});
    std::vector<std::string> texts;
    for (const Candidate& each : completion.candidates)
      texts.push_back(each.text);
    if (completion.files) texts.emplace_back("<files>");
    return texts;
  }

  CLI::App app_{"A tree", "tree"};
  std::string text_;
  std::vector<std::string> list_;
  bool fast_ = false;
};

TEST_F(TreeTest, CommandsAndInnerCommandsAreOffered) {
  EXPECT_THAT(after({""}), ElementsAre("set", "group"));
  EXPECT_THAT(after({"g"}), ElementsAre("group"));
  EXPECT_THAT(after({"group", ""}), ElementsAre("one", "two"));
  EXPECT_THAT(after({"group", "two", ""}), IsEmpty());
  EXPECT_THAT(after({"unknown", ""}), ElementsAre("set", "group"));
  EXPECT_THAT(after({}), IsEmpty());
}

TEST_F(TreeTest, ACommandMayHaveArgumentsBesideInnerCommands) {
  CLI::App* policy = app_.add_subcommand("policy", "Set, or list");
  policy->add_option("SERVICE", text_, "which");
  policy->add_subcommand("list", "All");
  std::vector<std::string> leaves;
  for (const Leaf& each : leaves_of(app_))
    leaves.push_back(each.words);
  EXPECT_THAT(leaves, ElementsAre("set", "group one", "group two", "policy", "policy list"));
  EXPECT_THAT(after({"policy", ""}), ElementsAre("list", "web", "!"));
}

TEST_F(TreeTest, FlagsAreOfferedWhileTheyMayBeGiven) {
  EXPECT_THAT(after({"set", "--"}),
              UnorderedElementsAre("--help", "--config", "--colour", "--many", "--fast"));
  EXPECT_THAT(after({"set", "--fast", "--f"}), IsEmpty());
  EXPECT_THAT(after({"set", "--many", "x", "--m"}), ElementsAre("--many"));
  EXPECT_THAT(after({"set", "-c", "x", "--co"}), IsEmpty()) << "one excludes the other";
  EXPECT_THAT(after({"set", "--config=x", "--co"}), IsEmpty());
}

TEST_F(TreeTest, ValuesFollowTheirFlag) {
  EXPECT_THAT(after({"set", "--colour", ""}), ElementsAre("red", "green", "blue"));
  EXPECT_THAT(after({"set", "--colour", "gr"}), ElementsAre("green"));
  EXPECT_THAT(after({"set", "--colour=b"}), ElementsAre("--colour=blue"));
  EXPECT_THAT(after({"set", "--fast", ""}), ElementsAre("web", "!"))
      << "a flag without a value takes no word";
  EXPECT_THAT(after({"set", "-c", ""}), ElementsAre("<files>"));
  EXPECT_THAT(after({"set", "--unknown="}), IsEmpty());
}

TEST_F(TreeTest, PositionalsAreCountedAndKnowEachOther) {
  EXPECT_THAT(after({"set", "w"}), ElementsAre("web"));
  EXPECT_THAT(after({"set", "web", ""}), ElementsAre("web-1"));
  EXPECT_THAT(after({"set", "--many", "x", "web", ""}), ElementsAre("web-1"));
  EXPECT_THAT(after({"set", "web", "web-1", ""}), IsEmpty());
}

TEST_F(TreeTest, ThePageHasWhatIsShownAndNothingHidden) {
  const std::string page = man_page(app_);
  EXPECT_THAT(page, HasSubstr(".SS \\fBnfsteer group two\\fR"));
  EXPECT_THAT(page, HasSubstr("\\fB\\-c\\fR, \\fB\\-\\-config\\fR \\fITEXT\\fR\na file\n"));
  EXPECT_THAT(page, HasSubstr("\\fISERVICE\\fR\nwhich\n"));
  EXPECT_THAT(page, HasSubstr("\nSet a \\-thing.\n"));
  EXPECT_THAT(page, Not(HasSubstr("secret")));
}

TEST_F(TreeTest, LeavesAreCommandsThatDoSomething) {
  std::vector<std::string> words;
  for (const Leaf& each : leaves_of(app_))
    words.push_back(each.words);
  EXPECT_THAT(words, ElementsAre("set", "group one", "group two"));
}

}  // namespace
}  // namespace nfsteer::cli
