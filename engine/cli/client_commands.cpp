// Commands that talk to a running engine over its control socket.
#include <cctype>
#include <functional>
#include <iostream>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/api_client.hpp"
#include "cli/command_line.hpp"
#include "cli/status_text.hpp"
#include "config/backend_text.hpp"
#include "config/diff.hpp"
#include "config/json_reader.hpp"
#include "config/services_edit.hpp"
#include "policy/catalogue.hpp"

namespace nfsteer::cli {
namespace {

namespace json = boost::json;

core::Failure unreadable() {
  return core::system_error("control socket", "the engine's answer is not one this version reads",
                            "use the engine's own version, or --json");
}

// The services of a GET /v1/services.
core::Result<std::vector<core::Service>> services_in(const json::value& answer) {
  const json::value* list = answer.is_object() ? answer.get_object().if_contains("services") : nullptr;
  if (list == nullptr) return unreadable();
  const auto raw = config::read_json(json::serialize(*list));
  if (!raw) return unreadable();
  config::RawValue named = *raw;
  named.name = "services";
  auto services = config::validate_services(named, policy::names());
  if (!services) return unreadable();
  return services;
}

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
  if (list == nullptr || !list->is_array()) return unreadable();
  std::vector<std::string> lines;
  for (const json::value& each : list->get_array()) {
    if (!each.is_string()) return unreadable();
    lines.emplace_back(each.get_string());
  }
  return lines_or(lines, "nothing has changed");
}

std::string upper(std::string text) {
  for (char& each : text)
    each = static_cast<char>(std::toupper(static_cast<unsigned char>(each)));
  return text;
}

// --json prints what the engine answered; else `text` does, in its own words.
using Text = std::function<core::Result<std::string>(const json::value& answer)>;

struct Request {
  std::string control;
  bool as_json = false;
};

core::Result<void> call(const Request& request, const std::string& method, const std::string& path,
                        const json::object& body, const Text& text = {}) {
  const auto answer = call_api(request.control, method, path, body.empty() ? "" : json::serialize(body));
  if (!answer) return tl::unexpected(answer.error());
  if (request.as_json) {
    std::cout << json::serialize(*answer) << '\n';
    return {};
  }
  if (!text) return {};
  const auto words = text(*answer);
  if (!words) return tl::unexpected(words.error());
  std::cout << *words;
  return {};
}

// A command's --control and --json, and what its arguments say.
struct Arguments {
  std::shared_ptr<std::string> control;
  bool as_json = false;
  std::string service;
  std::string backend;
  std::string value;
  unsigned weight = 0;

  Request request() const { return {*control, as_json}; }
};

std::shared_ptr<Arguments> add_arguments(CLI::App& command) {
  auto arguments = std::make_shared<Arguments>();
  arguments->control = add_control_flag(command);
  command.add_flag("--json", arguments->as_json, "print the engine's answer as JSON");
  return arguments;
}

void add_service_argument(CLI::App& command, Arguments& arguments) {
  command.add_option("SERVICE", arguments.service, "name of the service")->required();
}

void add_backend_arguments(CLI::App& command, Arguments& arguments) {
  add_service_argument(command, arguments);
  command.add_option("BACKEND", arguments.backend, "ADDR, or ADDR:PORT where several share the address")
      ->required();
}

// `nfsteer NAME SERVICE VALUE`: one field of a service.
void add_field(CLI::App& app, Action& action, const std::string& name, const std::string& what,
               const std::string& values) {
  CLI::App* command = app.add_subcommand(name, what);
  const auto arguments = add_arguments(*command);
  add_service_argument(*command, *arguments);
  command->add_option(upper(name), arguments->value, values)->required();
  command->callback([=, &action] {
    action = [=] {
      return call(arguments->request(), "PATCH", api_path({"services", arguments->service}),
                  {{name, arguments->value}});
    };
  });
}

void add_weight(CLI::App& app, Action& action, const std::string& what) {
  CLI::App* command = app.add_subcommand("weight", what);
  const auto arguments = add_arguments(*command);
  add_backend_arguments(*command, *arguments);
  command->add_option("WEIGHT", arguments->weight, "0 to 65535")
      ->required()
      ->check(CLI::Range(0U, core::kWeightMax));
  command->callback([=, &action] {
    action = [=] {
      return call(arguments->request(), "PATCH",
                  api_path({"services", arguments->service, "backends", arguments->backend}),
                  {{"weight", arguments->weight}});
    };
  });
}

// The fields of "ADDR[:PORT][,weight=N]", as text each.
core::Result<json::object> backend_fields(const std::string& text) {
  config::RawValue raw;
  raw.kind = config::RawValue::Kind::text;
  raw.flag = "BACKEND";
  raw.text = text;
  const auto map = config::expand_backend(config::Place(raw, {}));
  if (!map) return tl::unexpected(map.error());
  json::object fields;
  for (const config::RawValue& each : map->children)
    fields[each.name] = each.text;
  return fields;
}

void add_backend_commands(CLI::App& app, Action& action) {
  CLI::App* backend = app.add_subcommand("backend", "Add, remove and weigh the backends of a service");
  backend->require_subcommand(1);

  CLI::App* add = backend->add_subcommand("add", "Give a service another backend");
  const auto added = add_arguments(*add);
  add_service_argument(*add, *added);
  add->add_option("BACKEND", added->backend, "ADDR[:PORT][,weight=N]")->required();
  add->callback([=, &action] {
    action = [=]() -> core::Result<void> {
      const auto fields = backend_fields(added->backend);
      if (!fields) return tl::unexpected(fields.error());
      return call(added->request(), "POST", api_path({"services", added->service, "backends"}), *fields);
    };
  });

  CLI::App* remove =
      backend->add_subcommand("remove", "Take a backend out; its open connections go on as they are");
  const auto removed = add_arguments(*remove);
  add_backend_arguments(*remove, *removed);
  remove->callback([=, &action] {
    action = [=] {
      return call(removed->request(), "DELETE",
                  api_path({"services", removed->service, "backends", removed->backend}), {});
    };
  });

  add_weight(*backend, action, "Change a backend's share of new connections; 0: none");
}

void add_status(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("status", "Show services, backends, shares, workers and queues");
  const auto arguments = add_arguments(*command);
  command->callback([=, &action] {
    action = [=] { return call(arguments->request(), "GET", "/v1/status", {}, status_text); };
  });
}

void add_services(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("services", "Show the services as they are configured now");
  const auto arguments = add_arguments(*command);
  command->callback([=, &action] {
    action = [=] { return call(arguments->request(), "GET", "/v1/services", {}, services_text); };
  });
}

void add_reload(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("reload", "Have the engine read its configuration file again");
  const auto arguments = add_arguments(*command);
  command->callback([=, &action] {
    action = [=] { return call(arguments->request(), "POST", "/v1/reload", {}, changes_text); };
  });
}

core::Result<void> show_diff(const std::string& control, const std::string& file) {
  const auto wanted = config::load_file(file, policy::names());
  if (!wanted) return tl::unexpected(wanted.error());
  const auto answer = call_api(control, "GET", "/v1/services");
  if (!answer) return tl::unexpected(answer.error());
  const auto running = services_in(*answer);
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
  add_field(app, action, "policy", "Switch the balancing policy of a service", "name of the policy");
  add_backend_commands(app, action);
  add_weight(app, action, "Short for backend weight");
  add_reload(app, action);
  add_diff(app, action);
}

}  // namespace nfsteer::cli
