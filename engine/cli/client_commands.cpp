// Commands that talk to a running engine over its control socket.
#include <iostream>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/api_client.hpp"
#include "cli/command_line.hpp"
#include "cli/status_text.hpp"

namespace nfsteer::cli {
namespace {

namespace json = boost::json;

core::Result<void> call(const std::string& socket_path, const std::string& method, const std::string& target,
                        const json::object& body) {
  const auto answer = call_api(socket_path, method, target, body.empty() ? "" : json::serialize(body));
  if (!answer) return tl::unexpected(answer.error());
  return {};
}

core::Result<void> show_status(const std::string& socket_path, bool as_json) {
  const auto answer = call_api(socket_path, "GET", "/v1/status");
  if (!answer) return tl::unexpected(answer.error());
  if (as_json) {
    std::cout << json::serialize(*answer) << '\n';
    return {};
  }
  const auto text = status_text(*answer);
  if (!text) return tl::unexpected(text.error());
  std::cout << *text;
  return {};
}

void add_status(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("status", "Show services, backends, shares, workers and queues");
  const auto control = add_control_flag(*command);
  const auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "as JSON");
  command->callback([=, &action] { action = [=] { return show_status(*control, *as_json); }; });
}

struct Names {
  std::string service;
  std::string backend;
  std::string mode;
  unsigned weight = 0;
};

void add_mode(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("mode", "Switch the mode of a service; its connections go on");
  const auto control = add_control_flag(*command);
  const auto names = std::make_shared<Names>();
  command->add_option("SERVICE", names->service, "name of the service")->required();
  command->add_option("MODE", names->mode, "dnat, connection, inspect or rewrite")->required();
  command->callback([=, &action] {
    action = [=] {
      return call(*control, "PUT", "/v1/services/" + names->service + "/mode", {{"mode", names->mode}});
    };
  });
}

void add_weight(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("weight", "Change the weight of a backend; 0: no new connections");
  const auto control = add_control_flag(*command);
  const auto names = std::make_shared<Names>();
  command->add_option("SERVICE", names->service, "name of the service")->required();
  command->add_option("BACKEND", names->backend, "ADDR, or ADDR:PORT where several share the address")
      ->required();
  command->add_option("WEIGHT", names->weight, "0 to 65535")
      ->required()
      ->check(CLI::Range(0U, core::kWeightMax));
  command->callback([=, &action] {
    action = [=] {
      return call(*control, "PUT",
                  "/v1/services/" + names->service + "/backends/" + names->backend + "/weight",
                  {{"weight", names->weight}});
    };
  });
}

void add_reload(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("reload", "Have the engine read its configuration file again");
  const auto control = add_control_flag(*command);
  command->callback([=, &action] { action = [=] { return call(*control, "POST", "/v1/reload", {}); }; });
}

}  // namespace

void add_client_commands(CLI::App& app, Action& action) {
  add_status(app, action);
  add_mode(app, action);
  add_weight(app, action);
  add_reload(app, action);
}

}  // namespace nfsteer::cli
