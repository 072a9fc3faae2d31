// Loading real shared objects: the examples of bindings/c and the fixtures of tests/plugins.
#include <dlfcn.h>
#include <fcntl.h>

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugin/trial.hpp"
#include "plugin_support.hpp"
#include "policy/guarded.hpp"
#include "policy/weighted_random.hpp"

namespace nfsteer::plugin {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST_F(PluginTest, AnExampleInCPicksAsTheBuiltIn) {
  const auto built = build(fixture("weighted_random"));
  ASSERT_TRUE(built.has_value()) << built.error().line();
  const policy::WeightedRandom same({backends_});
  core::Random randoms[]{core::Random(3), core::Random(3)};
  core::PickContext contexts[]{{randoms[0]}, {randoms[1]}};
  for (int each = 0; each < 10000; ++each)
    ASSERT_EQ((*built)->pick({}, contexts[0]), same.pick({}, contexts[1]));
  EXPECT_FALSE((*built)->uses_live());
}

TEST_F(PluginTest, AnExampleInCGoesByLiveState) {
  EXPECT_THAT(refusal(fixture("least_of_two")), HasSubstr("connections are not counted"));
  core::LiveBackend states[5];
  std::vector<core::LiveBackend*> live;
  for (core::LiveBackend& each : states)
    live.push_back(&each);
  states[3].set_active(1000);
  auto code = loader_.open(fixture("least_of_two"));
  ASSERT_TRUE(code.has_value());
  const auto built = (*code)->build({}, {backends_, live, 1});
  ASSERT_TRUE(built.has_value()) << built.error().line();
  EXPECT_TRUE((*built)->uses_live());
  int counts[5]{};
  for (int each = 0; each < 6000; ++each)
    ++counts[pick(**built).value()];
  EXPECT_EQ(counts[0] + counts[4], 0);
  // Drawn twice in a row: (3 / 6)^2 of all.
  EXPECT_NEAR(counts[3], 1500, 190);
  EXPECT_GT(counts[1], 1000);
}

TEST_F(PluginTest, AnExampleInCppPrefersItsZone) {
  backends_[1].data = "zone=b";
  backends_[2].data = "zone=a";
  backends_[4].data = "zone=a";
  const auto shares = [&](const std::string& zone) {
    std::vector<int> counts(backends_.size());
    const auto built = build(fixture("own_zone"), {{"zone", zone}, {"among", "weighted-random"}});
    EXPECT_TRUE(built.has_value()) << built.error().line();
    for (int each = 0; built && each < 600; ++each)
      ++counts[pick(**built).value()];
    return counts;
  };
  EXPECT_EQ(shares("a"), (std::vector<int>{0, 0, 600, 0, 0}));
  EXPECT_EQ(shares("b"), (std::vector<int>{0, 600, 0, 0, 0}));
  EXPECT_GT(shares("c")[3], 200) << "none there: all";
  EXPECT_THAT(refusal(fixture("own_zone")), HasSubstr("option zone is missing"));
  EXPECT_THAT(refusal(fixture("own_zone"), {{"zone", "a"}, {"among", "such"}}),
              HasSubstr("\"such\" is unknown"));
  EXPECT_THAT(refusal(fixture("own_zone"), {{"zone", "a"}, {"size", "1"}}), HasSubstr("no option size"));
}

struct Misbehaviour {
  std::string fixture;
  std::string says;
};
void PrintTo(const Misbehaviour& each, std::ostream* out) {
  *out << each.fixture;
}

class Refused : public PluginTest, public testing::WithParamInterface<Misbehaviour> {};

TEST_P(Refused, WithOneLineThatSaysWhatThePolicyDid) {
  const std::string line = refusal(fixture(GetParam().fixture));
  EXPECT_THAT(line, AllOf(HasSubstr(fixture(GetParam().fixture) + ": "), HasSubstr(GetParam().says)));
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  EXPECT_THAT(line, Not(HasSubstr("/proc/self"))) << "the name of a copy says nothing to anybody";
}

INSTANTIATE_TEST_SUITE_P(
    Fixtures, Refused,
    testing::Values(Misbehaviour{"wrong_abi",
                                 "made for version 7 of the policy interface, this nfsteer has 1"},
                    Misbehaviour{"short_struct", "has 16 bytes, version 1 has at least 56; set struct_size"},
                    Misbehaviour{"no_symbol", "it exports no nfsteer_policy_entry()"},
                    Misbehaviour{"null_table", "nfsteer_policy_entry() returned NULL"},
                    Misbehaviour{"null_pick", "has no pick(): the pointer is NULL"},
                    Misbehaviour{"undefined_symbol", "undefined symbol: nobody_has_this"},
                    Misbehaviour{"out_of_range", "pick() answered 46, there are 5 backends"},
                    Misbehaviour{"weight_zero", "pick() answered 0, a backend of weight 0"},
                    Misbehaviour{"fails", "pick() failed"},
                    Misbehaviour{"throws", "pick() failed: it threw an exception"},
                    Misbehaviour{"throws_in_create", "create() threw an exception: no such table"},
                    Misbehaviour{"sleeps", "100 us are allowed (median of "},
                    Misbehaviour{"crash_in_constructor", "it crashed while it was loaded: SIGSEGV"},
                    Misbehaviour{"crash_in_create", "it crashed in create(): SIGABRT"},
                    Misbehaviour{"crash_in_pick", "it crashed in pick(): SIGFPE"},
                    Misbehaviour{"crash_in_destroy", "it crashed in destroy(): SIGABRT"},
                    Misbehaviour{"exit_in_create", "it ended its process with exit code 3 in create()"},
                    Misbehaviour{"hang_in_create", "it did not come to an end within 2 s in create()"},
                    Misbehaviour{"hang_in_pick", "it did not come to an end within 2 s in pick()"},
                    Misbehaviour{"refuses", ": 5 backends are not enough"},
                    Misbehaviour{"refuses_silently", "it gives no reason"},
                    Misbehaviour{"endless_error", ": xxxxxxxx"}),
    [](const auto& each) { return each.param.fixture; });

// Those that are right in their trial and wrong in traffic: the guard's part.
TEST_F(PluginTest, WhatIsWrongInTrafficIsMendedByTheGuard) {
  for (const auto& [name, count] : {std::pair{"out_of_range", &policy::GuardReport::out_of_range},
                                    std::pair{"weight_zero", &policy::GuardReport::weight_zero},
                                    std::pair{"fails", &policy::GuardReport::failed},
                                    std::pair{"throws", &policy::GuardReport::failed}}) {
    const auto built = build(fixture(name), {{"spare", "198"}});
    ASSERT_TRUE(built.has_value()) << built.error().line();
    const auto record = std::make_shared<policy::GuardRecord>(1, policy::GuardLimits{});
    const policy::Guarded guarded(*built, {backends_}, record);
    for (int each = 0; each < 1000; ++each) {
      const auto picked = pick(guarded);
      ASSERT_GT(backends_[picked.value()].weight, 0U);
    }
    EXPECT_EQ(guarded.report().*count, 1000U) << name;
    EXPECT_EQ(pick(guarded, flow_from(198)), 1U) << name;
    EXPECT_EQ(guarded.report().faults(), 1000U) << name;
  }
}

TEST_F(PluginTest, FilesThatOthersMayWriteAreRefused) {
  EXPECT_THAT(refusal(path("none.so")), HasSubstr("No such file"));
  std::filesystem::create_directory(path("folder.so"));
  EXPECT_THAT(refusal(path("folder.so")), HasSubstr("not a regular file"));
  ASSERT_EQ(mkfifo(path("pipe.so").c_str(), 0600), 0);
  EXPECT_THAT(refusal(path("pipe.so")), HasSubstr("not a regular file"));
  std::ofstream(path("text.so")) << "no code";
  EXPECT_THAT(refusal(path("text.so")), HasSubstr("text.so: "));
  EXPECT_THAT(refusal("mine.so"), HasSubstr("not an absolute path"));

  const std::string file = install("first", "mine.so");
  EXPECT_EQ(refusal(file), "");
  ASSERT_EQ(chmod(file.c_str(), 0664), 0);
  EXPECT_THAT(refusal(file), AllOf(HasSubstr("may be written by group"), HasSubstr("chmod go-w")));
  ASSERT_EQ(chmod(file.c_str(), 0602), 0);
  EXPECT_THAT(refusal(file), HasSubstr("may be written by everybody"));
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  EXPECT_EQ(refusal(file), "");
  ASSERT_EQ(chmod(folder_.c_str(), 0777), 0);
  EXPECT_THAT(refusal(install("first", "mine.so")), HasSubstr("its directory may be written by everybody"));
  ASSERT_EQ(chmod(folder_.c_str(), 01777), 0);
  EXPECT_EQ(refusal(file), "") << "as in /tmp: nobody can put another file in its place";
  if (geteuid() != 0) return;
  ASSERT_EQ(chown(file.c_str(), 65534, 65534), 0);
  EXPECT_THAT(refusal(file), HasSubstr("it belongs to user 65534"));
}

TEST_F(PluginTest, AFileThatIsReplacedIsOtherCode) {
  const std::string file = install("first", "mine.so");
  const auto old_code = *loader_.open(file);
  const auto old = *old_code->build({}, {backends_, {}, 2});
  EXPECT_FALSE(old_code->has_changed());
  EXPECT_EQ(*loader_.open(file), old_code) << "the same contents are not loaded again";
  install("last", "mine.so");
  EXPECT_TRUE(old_code->has_changed());
  const auto fresh = build(file);
  ASSERT_TRUE(fresh.has_value()) << fresh.error().line();
  EXPECT_EQ(pick(**fresh), 3U);
  EXPECT_EQ(pick(*old), 1U) << "in use for as long as it is asked";
  EXPECT_EQ(pick(**old_code->build({}, {backends_, {}, 2})), 1U) << "the code as it was read";
}

TEST_F(PluginTest, AFileThatIsWrittenToIsOtherCode) {
  const std::string file = install("first", "mine.so");
  const auto old = *build(file);
  overwrite("last", "mine.so");
  const auto fresh = build(file);
  ASSERT_TRUE(fresh.has_value()) << fresh.error().line();
  EXPECT_EQ(pick(**fresh), 3U);
  EXPECT_EQ(pick(*old), 1U);
  std::filesystem::resize_file(file, 10);
  EXPECT_EQ(pick(*old), 1U) << "mapped pages of a file that is cut off would be SIGBUS";
}

TEST_F(PluginTest, AFileThatIsGoneGoesOn) {
  const std::string file = install("first", "mine.so");
  const auto code = *loader_.open(file);
  ASSERT_TRUE(code->build({}, {backends_, {}, 2}).has_value());
  std::filesystem::remove(file);
  EXPECT_FALSE(code->has_changed());
  EXPECT_TRUE(code->build({}, {backends_, {}, 2}).has_value());
}

// Copies are mapped under the name of their memory file.
int mapped(const std::string& file) {
  std::ifstream maps("/proc/self/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);)
    count += line.find("memfd:" + file) != std::string::npos;
  return count;
}

TEST_F(PluginTest, CodeIsUnloadedWithItsLastPolicy) {
  const std::string file = install("first", "mine.so");
  auto one = *build(file);
  auto two = *build(file);
  EXPECT_GT(mapped(file), 0);
  one.reset();
  EXPECT_GT(mapped(file), 0);
  EXPECT_EQ(pick(*two), 1U);
  two.reset();
  EXPECT_EQ(mapped(file), 0);
}

TEST_F(PluginTest, ManyVersionsInARowAllTakeEffect) {
  for (int version = 0; version < 20; ++version) {
    const auto built = build(install(version % 2 == 0 ? "first" : "last", "mine.so"));
    ASSERT_TRUE(built.has_value()) << built.error().line();
    EXPECT_EQ(pick(**built), version % 2 == 0 ? 1U : 3U) << version;
  }
  EXPECT_EQ(mapped(path("mine.so")), 0);
}

TEST_F(PluginTest, NoDescriptorIsLeftBehind) {
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = descriptors();
  for (const char* each : {"first", "crash_in_create", "no_symbol", "refuses"})
    refusal(fixture(each));
  EXPECT_EQ(descriptors(), before);
}

TEST_F(PluginTest, WithoutATrialTheErrorsAreTheSame) {
  loader_ = Loader({});
  for (const auto& [name, says] :
       {std::pair{"wrong_abi", "version 7"}, std::pair{"no_symbol", "exports no"},
        std::pair{"refuses", "not enough"}, std::pair{"undefined_symbol", "nobody_has_this"},
        std::pair{"throws_in_create", "no such table"}, std::pair{"endless_error", "xxx"}})
    EXPECT_THAT(refusal(fixture(name)), HasSubstr(says)) << name;
  EXPECT_TRUE(load_policy({fixture("first"), {}}, {backends_}).has_value());
  EXPECT_FALSE(load_policy({fixture("wrong_abi"), {}}, {backends_}).has_value());
}

TEST_F(PluginTest, ATrialThatCannotBeHeldIsAnError) {
  loader_ = Loader({path("no-such-program"), 0});
  EXPECT_THAT(refusal(fixture("first")), HasSubstr("cannot be tried"));
}

TEST_F(PluginTest, PythonWantsItsHost) {
  std::ofstream(path("mine.py")) << "class Mine: pass\n";
  ASSERT_EQ(setenv("NFSTEER_PYTHON_HOST", fixture("refuses").c_str(), 1), 0);
  EXPECT_THAT(refusal(path("mine.py") + ":Mine"), HasSubstr("mine.py:Mine: 5 backends are not enough"));
  EXPECT_THAT(refusal(path("mine.py") + ":Mine", {{"class", "Other"}}), HasSubstr("cannot be called class"));
  EXPECT_THAT(refusal(path("mine.py") + ":"), HasSubstr("names no class"));
  EXPECT_THAT(refusal(path("none.py") + ":Mine"), HasSubstr("No such file"));
  unsetenv("NFSTEER_PYTHON_HOST");
}

TEST(TrialInputTest, ComesBackAsItWasSent) {
  TrialInput input;
  input.backends = backends_of({1, 0, 65535});
  input.backends[1].data = std::string("a\0b\n,", 5);
  input.backends[1].port = 65535;
  input.backends[2].address = *core::IpAddress::parse("fd00::1");
  input.options = {{"file", "/etc/a b.py"}, {"", ""}};
  input.workers = 7;
  input.budget_ns = 100'000;
  input.is_live = true;
  const std::string bytes = input.encode();
  const auto back = TrialInput::decode(bytes);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->backends, input.backends);
  EXPECT_EQ(back->options, input.options);
  EXPECT_EQ(back->workers, 7U);
  EXPECT_EQ(back->budget_ns, 100'000U);
  EXPECT_TRUE(back->is_live);
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(TrialInput::decode(std::string_view(bytes).substr(0, length)).has_value()) << length;
  EXPECT_FALSE(TrialInput::decode(bytes + "x").has_value());
}

}  // namespace
}  // namespace nfsteer::plugin
