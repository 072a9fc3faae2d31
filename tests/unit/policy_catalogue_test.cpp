// Names, aliases and options of the catalogue as a user writes them.
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "policy/catalogue.hpp"

namespace nfsteer::policy {
namespace {

core::PolicySpec spec(const char* text) {
  return core::parse_policy_spec(text).value();
}

TEST(CatalogueNames, AreUniqueAndSoAreAliases) {
  std::set<std::string_view> names;
  std::size_t count = 0;
  for (const PolicyInfo& each : catalogue())
    for (const std::string_view name : {each.name, each.alias}) {
      if (name.empty()) continue;
      names.insert(name);
      ++count;
    }
  EXPECT_EQ(names.size(), count);
}

TEST(CatalogueNames, IpvsNamesStandForThePolicies) {
  for (const auto& [alias, name] : {std::pair{"rr", "round-robin"},
                                    {"wrr", "weighted-round-robin"},
                                    {"lc", "least-connections"},
                                    {"wlc", "weighted-least-connections"},
                                    {"sed", "shortest-expected-delay"},
                                    {"nq", "never-queue"},
                                    {"twos", "power-of-two-choices"},
                                    {"sh", "source-hash"},
                                    {"mh", "maglev"},
                                    {"fo", "weighted-failover"},
                                    {"ovf", "overflow"}})
    EXPECT_EQ(check(spec(alias)).value().name, name);
}

TEST(CatalogueOptions, GoodOnesAreTaken) {
  for (const char* text :
       {"maglev,table_size=65537", "mh,table_size=5003,seed=9223372036854775807", "maglev,source_only=1",
        "ring-hash,vnodes=1,load_factor=0", "ring-hash,load_factor=101", "rendezvous,seed=1,source_only=0",
        "sh,seed=3", "flow-hash,seed=3", "ovf,strict=1"})
    EXPECT_TRUE(check(spec(text)).has_value()) << text;
}

TEST(CatalogueOptions, WrongOnesAreNamed) {
  const std::pair<const char*, const char*> wrong[]{
      {"maglev,table_size=65536", "65536 is no prime number"},
      {"maglev,table_size=2", "\"2\" is not a whole number from 3 to 5000011"},
      {"maglev,table_size=5000077", "\"5000077\" is not a whole number from 3 to 5000011"},
      {"maglev,source_only=2", "\"2\" is not a whole number from 0 to 1"},
      {"ring-hash,load_factor=100", "100 leaves no room for all connections"},
      {"ring-hash,vnodes=0", "\"0\" is not a whole number from 1 to 65536"},
      {"overflow,strict=2", "\"2\" is not a whole number from 0 to 1"},
      {"rr,seed=1", "the policy round-robin has no such option"},
  };
  for (const auto& [text, reason] : wrong) {
    const auto checked = check(spec(text));
    ASSERT_FALSE(checked.has_value()) << text;
    EXPECT_EQ(checked.error().reason.substr(0, std::string(reason).size()), reason);
  }
}

// The whole range of an option builds, or is refused.
TEST(CatalogueOptions, TheirEndsBuild) {
  const core::Backend backend{core::IpAddress::parse("10.0.0.1").value()};
  for (const PolicyInfo& each : catalogue())
    for (const OptionInfo& option : each.options)
      for (const std::uint64_t value : {option.min, option.max}) {
        const core::PolicySpec of{std::string(each.name),
                                  {{std::string(option.name), std::to_string(value)}}};
        ASSERT_TRUE(check(of).has_value()) << to_string(of);
        core::Random random(1);
        core::PickContext context{random};
        EXPECT_EQ(build(of, {.backends = {&backend, 1}})->pick({}, context), 0U) << to_string(of);
      }
}

}  // namespace
}  // namespace nfsteer::policy
