// Any bytes as a scenario, as a churn script, and as flags. What is accepted must hold what the simulator
// relies on; what is refused must be refused in one line.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "experiment/experiment.hpp"
#include "experiment/scenario_reader.hpp"
#include "lab/fleet.hpp"

namespace {

using nfsteer::core::Result;
using nfsteer::lab::Change;
using nfsteer::lab::Scenario;

void require(bool holds) {
  if (!holds) std::abort();
}

template <typename T>
void check_refusal(const Result<T>& result) {
  if (result) return;
  require(result.error().exit_code() == 2);
  require(!result.error().reason.empty());
  require(result.error().line().find('\n') == std::string::npos);
}

// Every change finds its backend, in the order of time.
void check(const Scenario& scenario) {
  require(scenario.workload.rate > 0 && scenario.workload.clients > 0);
  nfsteer::lab::Fleet fleet(scenario);
  std::uint64_t last = 0;
  for (const Change& change : scenario.churn) {
    require(change.at >= last);
    last = change.at;
    require(fleet.apply(change) < fleet.size());
  }
  const auto members = fleet.members();
  require(members.backends.size() == members.numbers.size() && members.numbers.size() <= fleet.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto whole = nfsteer::experiment::parse_scenario(text, "fuzz.yaml");
  check_refusal(whole);
  if (whole) check(whole->scenario);

  Scenario scenario = nfsteer::experiment::parse_scenario("backends: 3\n", "base.yaml")->scenario;
  const auto churn = nfsteer::experiment::read_churn_script(text, "fuzz.yaml", {}, scenario);
  check_refusal(churn);
  if (churn) check(scenario);

  const std::string line = text.substr(0, text.find('\n'));
  nfsteer::experiment::Flags flags;
  flags.backends = {"10.0.0.1", line};
  check_refusal(nfsteer::experiment::load(flags));
  flags.backends.pop_back();
  flags.service_time = line;
  check_refusal(nfsteer::experiment::load(flags));
  return 0;
}
