// Commands that talk to a running engine over its control socket.
#include <cctype>
#include <functional>
#include <iostream>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "cli/api_client.hpp"
#include "cli/client_call.hpp"
#include "cli/command_line.hpp"
#include "cli/running_services.hpp"
#include "cli/status_text.hpp"
#include "config/config.hpp"
#include "config/diff.hpp"

namespace nfsteer::cli {
namespace {

namespace json = boost::json;

std::string lines_or(const std::vector<std::string>& lines, std::string_view otherwise) {
  std::string text;
  for (const std::string& each : lines)
    text += each + '\n';
  return lines.empty() ? std::string(otherwise) + '\n' : text;
}

// As differences from nothing, without the signs of a change.
core::Result<std::string> services_text(const json::value& answer) {
  const auto services = services_in(answer);
  if (!services) return tl::unexpected(services.error());
  return lines_or(config::description(*services), "no services");
}

core::Result<std::string> changes_text(const json::value& answer) {
  const json::value* list = answer.is_object() ? answer.get_object().if_contains("changes") : nullptr;
  if (list == nullptr || !list->is_array()) return unreadable_answer();
  std::vector<std::string> lines;
  for (const json::value& each : list->get_array()) {
    if (!each.is_string()) return unreadable_answer();
    lines.emplace_back(each.get_string());
  }
  return lines_or(lines, "nothing has changed");
}

std::string upper(std::string text) {
  for (char& each : text)
    each = static_cast<char>(std::toupper(static_cast<unsigned char>(each)));
  return text;
}

// `nfsteer NAME SERVICE VALUE`: one field of a service.
void add_field(CLI::App& app, Action& action, const std::string& name, const std::string& what,
               const std::string& values) {
  CLI::App* command = app.add_subcommand(name, what);
  const auto arguments = add_client_arguments(*command);
  add_service_argument(*command, *arguments);
  command->add_option(upper(name), arguments->value, values)->required();
  command->callback([=, &action] {
    action = [=] {
      return call(*arguments, "PATCH", api_path({"services", arguments->service}),
                  {{name, arguments->value}});
    };
  });
}

void add_status(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("status", "Show services, backends, shares, workers and queues");
  const auto arguments = add_client_arguments(*command);
  command->callback(
      [=, &action] { action = [=] { return call(*arguments, "GET", "/v1/status", {}, status_text); }; });
}

void add_services(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("services", "Show the services as they are configured now");
  const auto arguments = add_client_arguments(*command);
  command->callback(
      [=, &action] { action = [=] { return call(*arguments, "GET", "/v1/services", {}, services_text); }; });
}

void add_reload(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("reload", "Have the engine read its configuration file again");
  const auto arguments = add_client_arguments(*command);
  command->callback(
      [=, &action] { action = [=] { return call(*arguments, "POST", "/v1/reload", {}, changes_text); }; });
}

core::Result<void> show_diff(const std::string& control, const std::string& file) {
  const auto wanted = config::load_file(file);
  if (!wanted) return tl::unexpected(wanted.error());
  const auto running = running_services(control);
  if (!running) return tl::unexpected(running.error());
  std::cout << lines_or(config::differences(*running, wanted->services), "nothing would change");
  return {};
}

void add_diff(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("diff", "Show what a reload of FILE would change; changes nothing");
  const auto control = add_control_flag(*command);
  const auto file = std::make_shared<std::string>();
  command->add_option("FILE", *file, "YAML file")->required();
  command->callback([=, &action] { action = [=] { return show_diff(*control, *file); }; });
}

}  // namespace

void add_client_commands(CLI::App& app, Action& action) {
  add_status(app, action);
  add_services(app, action);
  add_field(app, action, "mode", "Switch the mode of a service; its connections go on",
            "dnat, connection, inspect or rewrite");
  add_policy(app, action);
  add_shadow(app, action);
  add_backend_commands(app, action);
  add_weight(app, action, "Short for backend weight");
  add_reload(app, action);
  add_diff(app, action);
}

}  // namespace nfsteer::cli
