// The two sides of the C interface against each other, without a library in between.
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugin/abi.hpp"
#include "plugin_support.hpp"
#include "policy/catalogue.hpp"

namespace nfsteer::plugin {
namespace {

using testing::HasSubstr;

TEST(Abi, BothSidesDrawTheSameRandomNumbers) {
  core::Random random(20260101, 3);
  core::Random same(20260101, 3);
  core::PickContext context{random};
  const nfsteer_context seen = abi_of(context);
  for (int each = 0; each < 1000; ++each)
    ASSERT_EQ(nfsteer_random_next(seen.random), same.next());
  EXPECT_EQ(random.next(), same.next()) << "the worker's own generator has moved on";
}

TEST(Abi, RandomNumbersBelowABoundAreUniform) {
  core::Random random(1);
  core::PickContext context{random};
  const nfsteer_context seen = abi_of(context);
  int counts[3]{};
  for (int each = 0; each < 30000; ++each)
    ++counts[nfsteer_random_below(seen.random, 3)];
  for (const int count : counts)
    EXPECT_NEAR(count, 10000, 450);  // 5.5 standard deviations
}

TEST(Abi, LiveStateIsReadAsItIsWritten) {
  core::LiveBackend state;
  state.set_active(12);
  state.picked();
  state.picked();
  state.set_state(NFSTEER_DOWN);
  state.add_latency(250, 5'000'000'000);
  const auto* live = reinterpret_cast<const nfsteer_live*>(&state);
  EXPECT_EQ(nfsteer_active(live), 12U);
  EXPECT_EQ(nfsteer_pending(live), 2U);
  EXPECT_EQ(nfsteer_state(live), NFSTEER_DOWN);
  EXPECT_NEAR(host().latency_us(live, 5'000'000'000), 250, 0.1);
  nfsteer_backend backend{};
  EXPECT_EQ(nfsteer_load(&backend), 0U) << "not counted";
  backend.live = live;
  EXPECT_EQ(nfsteer_load(&backend), 14U);
}

TEST(Abi, FlowsHashAsTheEngineHashesThem) {
  const core::FlowKey flow = flow_from(10, 4242);
  const nfsteer_flow* seen = abi_of(flow);
  EXPECT_EQ(seen->source_port, 4242);
  EXPECT_EQ(seen->family, NFSTEER_IPV4);
  EXPECT_EQ(host().flow_hash(seen, 7), flow.hash(7));
}

TEST(Abi, InputHoldsWhatThePolicyIsBuiltFrom) {
  std::vector<core::Backend> backends = backends_of({1, 0});
  backends[0].data = "zone=a";
  backends[1].address = *core::IpAddress::parse("fd00::7");
  backends[1].port = 8080;
  core::LiveBackend states[2];
  const std::vector<core::LiveBackend*> live{&states[0], &states[1]};
  const std::vector<core::PolicySpec::Option> options{{"prefer", "b"}};
  const AbiInput made({backends, live, 3}, options);
  const nfsteer_input& input = made.view();
  EXPECT_EQ(input.struct_size, sizeof(nfsteer_input));
  EXPECT_EQ(input.workers, 3U);
  ASSERT_EQ(input.backend_count, 2U);
  EXPECT_STREQ(input.backends[0].data, "zone=a");
  EXPECT_EQ(input.backends[0].weight, 1U);
  EXPECT_EQ(input.backends[0].live, reinterpret_cast<const nfsteer_live*>(&states[0]));
  EXPECT_STREQ(input.backends[1].data, "");
  EXPECT_EQ(input.backends[1].port, 8080);
  EXPECT_EQ(input.backends[1].family, NFSTEER_IPV6);
  EXPECT_EQ(input.backends[1].address[15], 7);
  ASSERT_EQ(input.option_count, 1U);
  EXPECT_STREQ(input.options[0].name, "prefer");
  EXPECT_STREQ(input.options[0].value, "b");

  const BuiltInput back(input);
  EXPECT_EQ(back.backends, backends);
  EXPECT_EQ(back.live, live);
  EXPECT_EQ(back.workers, 3U);
}

TEST(Abi, ABuiltInPicksAsInTheEngine) {
  const auto backends = backends_of({1, 2, 0, 3});
  const AbiInput input({backends, {}, 1}, {});
  char error[kErrorTextMax] = "";
  for (const policy::PolicyInfo& each : policy::catalogue()) {
    if (each.contract.uses_live) continue;
    const std::string name(each.name);
    void* builtin = host().builtin_create(name.c_str(), &input.view(), error, sizeof error);
    ASSERT_NE(builtin, nullptr) << name << ": " << error;
    const auto same = policy::build({name, {}}, {backends});
    core::Random randoms[]{core::Random(5), core::Random(5)};
    core::PickContext contexts[]{{randoms[0]}, {randoms[1]}};
    nfsteer_context seen = abi_of(contexts[0]);
    for (std::uint16_t port = 0; port < 500; ++port) {
      const core::FlowKey flow = flow_from(10, port);
      ASSERT_EQ(host().builtin_pick(builtin, abi_of(flow), &seen), same->pick(flow, contexts[1])) << name;
    }
    host().builtin_tick(builtin, 1);
    host().builtin_destroy(builtin);
  }
}

TEST(Abi, ABuiltInThatIsNoneSaysWhy) {
  const auto backends = backends_of({1});
  const AbiInput input({backends, {}, 1}, {});
  for (const auto& [spec, reason] :
       {std::pair{"weighted-randon", "unknown"}, std::pair{"weighted-random,size=4", "option size: "},
        std::pair{"weighted-random,size", "an option without a value"},
        std::pair{"/etc/mine.so", "not a built-in"}}) {
    char error[kErrorTextMax] = "";
    EXPECT_EQ(host().builtin_create(spec, &input.view(), error, sizeof error), nullptr) << spec;
    EXPECT_THAT(std::string(error), HasSubstr(reason)) << spec;
    char small[8];
    EXPECT_EQ(host().builtin_create(spec, &input.view(), small, sizeof small), nullptr);
    EXPECT_EQ(std::string(small), std::string(error).substr(0, 7)) << "cut, and ended";
    EXPECT_EQ(host().builtin_create(spec, &input.view(), nullptr, 0), nullptr);
  }
}

nfsteer_policy right_table() {
  return {.abi = NFSTEER_POLICY_ABI,
          .struct_size = sizeof(nfsteer_policy),
          .name = "right",
          .flags = NFSTEER_USES_LIVE,
          .reserved = 0,
          .create = [](const nfsteer_input*, char*, std::size_t) -> void* { return nullptr; },
          .pick = [](void*, const nfsteer_flow*, nfsteer_context*) { return NFSTEER_NO_BACKEND; },
          .destroy = [](void*) {},
          .tick = nullptr};
}

std::string wrong(const nfsteer_policy& table) {
  const auto checked = check_table("x.so", &table);
  return checked ? "" : checked.error().line();
}

TEST(PolicyTable, WhatHasToBeThereIsThere) {
  EXPECT_EQ(wrong(right_table()), "");
  auto table = right_table();
  table.create = nullptr;
  EXPECT_THAT(wrong(table), HasSubstr("no create()"));
  table = right_table();
  table.pick = nullptr;
  EXPECT_THAT(wrong(table), HasSubstr("no pick()"));
  table = right_table();
  table.destroy = nullptr;
  EXPECT_THAT(wrong(table), HasSubstr("no destroy()"));
  table = right_table();
  table.abi = 2;
  EXPECT_THAT(wrong(table), HasSubstr("version 2 of the policy interface"));
  table = right_table();
  --table.struct_size;
  EXPECT_THAT(wrong(table), HasSubstr("struct_size"));
}

TEST(PolicyTable, OneOfALaterHeaderIsReadAsFarAsItIsKnown) {
  struct Later {
    nfsteer_policy known;
    void* more[4];
  } later{right_table(), {}};
  later.known.struct_size = sizeof later;
  const auto checked = check_table("x.so", &later.known);
  ASSERT_TRUE(checked.has_value());
  EXPECT_EQ(checked->flags, NFSTEER_USES_LIVE);
}

// Nothing behind what struct_size says is read, and nothing at all behind the head of another version.
TEST(PolicyTable, ShortOnesAreNotReadPastTheirEnd) {
  const auto table = right_table();
  for (const std::uint32_t abi : {NFSTEER_POLICY_ABI, 9U}) {
    const auto head = std::make_unique<unsigned char[]>(offsetof(nfsteer_policy, name));
    std::memcpy(head.get(), &table, offsetof(nfsteer_policy, name));
    std::memcpy(head.get(), &abi, sizeof abi);
    const std::uint32_t size = offsetof(nfsteer_policy, name);
    std::memcpy(head.get() + offsetof(nfsteer_policy, struct_size), &size, sizeof size);
    EXPECT_FALSE(check_table("x.so", reinterpret_cast<const nfsteer_policy*>(head.get())).has_value());
  }
}

TEST(ErrorText, IsOneLineWhateverItHolds) {
  char text[kErrorTextMax]{};
  EXPECT_EQ(error_text(text), "it gives no reason");
  std::strcpy(text, "two\nlines\t\x1b[1m ");
  EXPECT_EQ(error_text(text), "two lines  [1m");
  std::memset(text, 'x', sizeof text);
  EXPECT_EQ(error_text(text), std::string(kErrorTextMax, 'x'));
}

}  // namespace
}  // namespace nfsteer::plugin
