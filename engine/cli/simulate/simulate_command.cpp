// `nfsteer simulate`: policies in virtual time, side by side.
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/serialize.hpp>

#include "cli/command_line.hpp"
#include "cli/simulate/plot.hpp"
#include "cli/simulate/report_json.hpp"
#include "cli/simulate/report_text.hpp"
#include "core/policy_spec.hpp"
#include "experiment/experiment.hpp"
#include "lab/assertion.hpp"
#include "lab/disruption.hpp"
#include "lab/simulation.hpp"
#include "plugin/loader.hpp"
#include "plugin/trial.hpp"

namespace nfsteer::cli {
namespace {

using core::Result;
using simulate::Outcome;
using simulate::Speed;
using Clock = std::chrono::steady_clock;

struct SimulateArguments {
  experiment::Flags flags;
  std::vector<std::string> assertions;
  std::string plot_file;
  bool as_json = false;
  bool no_timing = false;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Policies from files, tried in a process of their own first. A decision may take as long as it likes here.
lab::FileLoader file_loader() {
  return [loader = std::make_shared<plugin::Loader>(plugin::LoaderOptions{plugin::trial_program(), 0})](
             const core::PolicySpec& spec, const policy::BuildInput& input) -> Result<lab::PolicyPtr> {
    const auto code = loader->open(spec.name);
    if (!code) return tl::unexpected(code.error());
    return (*code)->build(spec.options, input);
  };
}

// The policy alone, over flows of the scenario's clients, for a tenth of a second.
Result<double> decisions_per_second(const lab::Scenario& scenario, const core::PolicySpec& spec,
                                    const lab::FileLoader& load_file) {
  constexpr double kEnough_s = 0.1;
  lab::Scenario probing = scenario;
  probing.probes = 10'000;
  const lab::Probes probes(probing);
  const lab::Fleet fleet(scenario);
  const lab::Members members = fleet.members();
  const auto policy = lab::build_policy(spec, members.input(), load_file);
  if (!policy) return tl::unexpected(policy.error());
  core::Random random(scenario.seed);
  core::PickContext context{random, 0, 0};
  std::uint64_t decisions = 0;
  const auto start = Clock::now();
  double passed = 0;
  while (passed < kEnough_s) {
    for (const core::FlowKey& flow : probes.flows()) {
      const auto choice = (*policy)->pick(flow, context);
      asm volatile("" : : "r"(choice ? *choice : 0));  // so that the decision is not optimized away
    }
    decisions += probes.flows().size();
    passed = seconds_since(start);
  }
  return static_cast<double>(decisions) / passed;
}

Result<Outcome> run(const lab::Scenario& scenario, const core::PolicySpec& policy, bool timed) {
  const lab::FileLoader load_file = file_loader();
  const auto start = Clock::now();
  auto report = lab::simulate(scenario, policy, load_file);
  if (!report) return tl::unexpected(report.error());
  Outcome outcome{*std::move(report), std::nullopt};
  if (!timed) return outcome;
  const double run_s = seconds_since(start);
  const auto speed = decisions_per_second(scenario, policy, load_file);
  if (!speed) return tl::unexpected(speed.error());
  outcome.speed = Speed{run_s, *speed};
  return outcome;
}

Result<void> check_assertions(const std::vector<lab::Assertion>& assertions,
                              const std::vector<Outcome>& outcomes) {
  std::vector<lab::Report> reports;
  for (const Outcome& each : outcomes)
    reports.push_back(each.report);
  for (const lab::Assertion& each : assertions)
    if (auto held = lab::check(each, reports); !held) return held;
  return {};
}

Result<void> simulate_all(const SimulateArguments& arguments) {
  std::vector<lab::Assertion> assertions;
  for (const std::string& text : arguments.assertions) {
    auto assertion = lab::parse_assertion(text);
    if (!assertion) return tl::unexpected(assertion.error());
    assertions.push_back(*std::move(assertion));
  }
  if (!arguments.plot_file.empty())
    if (const auto format = simulate::plot_format(arguments.plot_file); !format)
      return tl::unexpected(format.error());
  const auto experiment = experiment::load(arguments.flags);
  if (!experiment) return tl::unexpected(experiment.error());
  for (const std::string& note : experiment->notes)
    std::cerr << "nfsteer: " << note << '\n';

  std::vector<Outcome> outcomes;
  for (const core::PolicySpec& policy : experiment->policies) {
    auto outcome = run(experiment->scenario, policy, !arguments.no_timing);
    if (!outcome) return tl::unexpected(outcome.error());
    outcomes.push_back(*std::move(outcome));
  }
  if (arguments.as_json)
    std::cout << boost::json::serialize(simulate::report_json(experiment->scenario, outcomes)) << '\n';
  else
    std::cout << simulate::report_text(experiment->scenario, outcomes);
  std::cout.flush();
  if (!arguments.plot_file.empty())
    if (auto plotted = simulate::write_plot(experiment->scenario, outcomes, arguments.plot_file); !plotted)
      return plotted;
  return check_assertions(assertions, outcomes);
}

void add_flow_flags(CLI::App& command, experiment::Flags& flags) {
  CLI::Option* pcap = command.add_option("--pcap", flags.pcap_file,
                                         "play the new flows of a packet capture, to --vip or to all");
  command.add_option("--record", flags.record_file, "play flows that `nfsteer record` wrote")->excludes(pcap);
  command.add_option("--service", flags.service, "the one of the recording; default: its only one");
  for (CLI::Option* option : {
           command.add_option("--arrivals", flags.arrivals, "poisson (default), constant or bursty"),
           command.add_option("--rate", flags.rate, "new flows per second"),
           command.add_option("--duration", flags.duration, "no more flows come after it, as in 60s"),
           command.add_option("--flows", flags.flows, "no more flows come after so many; default: 100000"),
           command.add_option("--service-time", flags.service_time,
                              "mean of an exponential distribution, as in 10ms; or SHAPE,mean=TIME with "
                              "constant, exponential, lognormal (sigma=), pareto (alpha=)"),
           command.add_option("--clients", flags.clients, "so many addresses; default: 10000"),
           command.add_option("--skew", flags.skew, "exponent of Zipf's law for the clients; default: 0"),
           command.add_option("--vip", flags.vip, "destination of the flows"),
           command.add_option("--port", flags.port, "port of the VIP; default: 80"),
           command.add_option("--protocol", flags.protocol, "tcp, udp or sctp"),
       })
    option->group("Workload");
}

void add_server_flags(CLI::App& command, experiment::Flags& flags) {
  CLI::Option* backends =
      command.add_option("--backend", flags.backends,
                         "ADDR[:PORT][,weight=N][,concurrency=N][,speed=N][,rtt=TIME]; once per backend");
  CLI::Option* servers =
      command.add_option("--servers", flags.servers, "so many backends that are alike")->excludes(backends);
  for (CLI::Option* option : {
           backends,
           servers,
           command.add_option("--concurrency", flags.concurrency,
                              "flows that a server serves at a time, 0 for all; default: 1"),
           command.add_option("--rtt", flags.rtt, "round trip to a server, as in 2ms; default: 200us"),
           command.add_option("--churn", flags.churn_file, "YAML file with what changes at what time"),
       })
    option->group("Servers");
}

}  // namespace

void add_simulate(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "simulate", "Compare balancing policies in virtual time: shares, disruption, latency");
  const auto arguments = std::make_shared<SimulateArguments>();
  experiment::Flags& flags = arguments->flags;
  command->add_option("FILE", flags.scenario_file, "YAML file with a scenario; flags win over what it says");
  command->add_option("--policy", flags.policies,
                      "NAME[,OPTION=VALUE...], PATH.so or PATH.py:CLASS; once per policy to compare");
  add_flow_flags(*command, flags);
  add_server_flags(*command, flags);
  command->add_option("--seed", flags.seed, "all chance follows from it; default: 1");
  command->add_option("--warmup", flags.warmup, "flows before this time are not measured");
  command->add_option("--probes", flags.probes, "flows that disruption is measured with; default: 10000");
  command->add_flag("--decisions-only", flags.decisions_only, "no servers and no queues: shares alone");
  command->add_flag("--json", arguments->as_json, "print everything as JSON");
  command->add_option("--plot", arguments->plot_file, "write plots to this .svg or .png file, by gnuplot");
  command->add_option("--assert", arguments->assertions,
                      "exit with 1 unless it holds: METRIC<NUMBER or METRIC[POLICY]<NUMBER, as in p99<20ms");
  command->add_flag("--no-timing", arguments->no_timing, "leave out what the wall clock says");
  command->callback([=, &action] { action = [=] { return simulate_all(*arguments); }; });
}

}  // namespace nfsteer::cli
