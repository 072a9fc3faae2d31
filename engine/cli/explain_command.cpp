// nfsteer explain: what becomes of a connection, and why.
#include <iostream>
#include <memory>
#include <string>

#include <boost/json/serialize.hpp>

#include "cli/api_client.hpp"
#include "cli/command_line.hpp"
#include "cli/explain_text.hpp"

namespace nfsteer::cli {
namespace {

struct ExplainArguments {
  std::shared_ptr<std::string> control;
  std::string protocol;
  std::string source;
  std::string destination;
  bool live = false;
  bool as_json = false;
};

core::Result<void> print_explanation(const ExplainArguments& arguments) {
  const auto answer =
      call_api(*arguments.control, "GET",
               api_path({"explain"}) + api_query({{"protocol", arguments.protocol},
                                                  {"source", arguments.source},
                                                  {"destination", arguments.destination},
                                                  {"live", arguments.live ? "true" : "false"}}));
  if (!answer) return tl::unexpected(answer.error());
  if (arguments.as_json) {
    std::cout << boost::json::serialize(*answer) << '\n';
    return {};
  }
  const auto words = explain_text(*answer);
  if (!words) return tl::unexpected(words.error());
  std::cout << *words;
  return {};
}

}  // namespace

void add_explain(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "explain", "Show which service and backends a connection gets and why, and the rules its packets meet");
  const auto arguments = std::make_shared<ExplainArguments>();
  arguments->control = add_control_flag(*command);
  command->add_flag("--json", arguments->as_json, "print the engine's answer as JSON");
  command->add_flag("--live", arguments->live, "find the connection in conntrack and say where it went");
  command->add_option("PROTOCOL", arguments->protocol, "tcp, udp, sctp or icmp")->required();
  command->add_option("SOURCE", arguments->source, "ADDR:PORT ([ADDR]:PORT for IPv6); ADDR for icmp")
      ->required();
  command->add_option("DESTINATION", arguments->destination, "the same")->required();
  command->callback([=, &action] { action = [=] { return print_explanation(*arguments); }; });
}

}  // namespace nfsteer::cli
