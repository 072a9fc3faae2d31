// `nfsteer backend ...`: the life of a service's backends.
#include <chrono>
#include <iostream>
#include <map>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "cli/api_client.hpp"
#include "cli/client_call.hpp"
#include "cli/command_line.hpp"
#include "config/backend_text.hpp"

namespace nfsteer::cli {
namespace {

namespace json = boost::json;

constexpr auto kPoll = std::chrono::milliseconds(200);

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

std::string backend_path(const ClientArguments& arguments) {
  return api_path({"services", arguments.service, "backends", arguments.backend});
}

void add_add(CLI::App& backend, Action& action) {
  CLI::App* add = backend.add_subcommand("add", "Give a service another backend");
  const auto arguments = add_client_arguments(*add);
  add_service_argument(*add, *arguments);
  add->add_option("BACKEND", arguments->backend, "ADDR[:PORT][,weight=N]")->required();
  add->callback([=, &action] {
    action = [=]() -> core::Result<void> {
      const auto fields = backend_fields(arguments->backend);
      if (!fields) return tl::unexpected(fields.error());
      return call(*arguments, "POST", api_path({"services", arguments->service, "backends"}), *fields);
    };
  });
}

void add_remove(CLI::App& backend, Action& action) {
  CLI::App* remove = backend.add_subcommand(
      "remove", "Take a backend out; on_backend_loss says what becomes of its open connections");
  const auto arguments = add_client_arguments(*remove);
  add_backend_arguments(*remove, *arguments);
  remove->callback(
      [=, &action] { action = [=] { return call(*arguments, "DELETE", backend_path(*arguments), {}); }; });
}

// `nfsteer backend NAME SERVICE BACKEND`: the operator's word on it.
void add_state(CLI::App& backend, Action& action, const std::string& name, const std::string& what) {
  CLI::App* command = backend.add_subcommand(name, what);
  const auto arguments = add_client_arguments(*command);
  add_backend_arguments(*command, *arguments);
  const std::string state = name == "undrain" ? "active" : name;
  command->callback([=, &action] {
    action = [=] { return call(*arguments, "PATCH", backend_path(*arguments), {{"state", state}}); };
  });
}

struct Wait {
  bool wait = false;
  std::optional<double> deadline_s;
};

// How many connections the backend has open.
core::Result<std::uint64_t> active_of(const ClientArguments& arguments) {
  const auto answer = call_api(*arguments.control, "GET", backend_path(arguments) + "/status");
  if (!answer) return tl::unexpected(answer.error());
  boost::system::error_code missing;
  const json::value* followed = answer->find_pointer("/followed", missing);
  const json::value* active = answer->find_pointer("/connections/active", missing);
  if (followed == nullptr || !followed->is_bool() || active == nullptr || !active->is_number())
    return unreadable_answer();
  if (!followed->get_bool())
    return core::system_error("drain --wait", "this engine does not count connections",
                              "start it with track_connections, on a kernel with conntrack events");
  return active->to_number<std::uint64_t>();
}

// Says how many are left whenever that has changed, until none is.
core::Result<void> wait_until_empty(const ClientArguments& arguments, const Wait& wait) {
  const auto begin = std::chrono::steady_clock::now();
  std::optional<std::uint64_t> told;
  while (true) {
    const auto left = active_of(arguments);
    if (!left) return tl::unexpected(left.error());
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    if (told != *left) {
      std::cout << (arguments.as_json
                        ? fmt::format("{{\"seconds\":{:.1f},\"active\":{}}}\n", passed.count(), *left)
                        : fmt::format("{:7.1f} s  {} open connection{}\n", passed.count(), *left,
                                      *left == 1 ? "" : "s"))
                << std::flush;
      told = *left;
    }
    if (*left == 0) return {};
    if (wait.deadline_s && passed.count() >= *wait.deadline_s)
      return core::system_error(fmt::format("backend {}", arguments.backend),
                                fmt::format("{} connection{} still open after {:.0f} s", *left,
                                            *left == 1 ? " is" : "s are", passed.count()),
                                "it takes no new ones: wait on, or remove it and cut them");
    std::this_thread::sleep_for(kPoll);
  }
}

void add_drain(CLI::App& backend, Action& action) {
  CLI::App* drain = backend.add_subcommand("drain", "Give a backend no new connections; its open ones go on");
  const auto arguments = add_client_arguments(*drain);
  add_backend_arguments(*drain, *arguments);
  const auto wait = std::make_shared<Wait>();
  CLI::Option* flag =
      drain->add_flag("--wait", wait->wait, "return when it is empty; say what is left meanwhile");
  const std::map<std::string, double> units{{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}};
  drain->add_option("--deadline", wait->deadline_s, "with --wait: give up after so long, as in 90s or 5m")
      ->needs(flag)
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME"));
  drain->callback([=, &action] {
    action = [=]() -> core::Result<void> {
      ClientArguments quiet = *arguments;
      quiet.as_json = arguments->as_json && !wait->wait;
      auto drained = call(quiet, "PATCH", backend_path(*arguments), {{"state", "drain"}});
      return drained && wait->wait ? wait_until_empty(*arguments, *wait) : drained;
    };
  });
}

}  // namespace

void add_weight(CLI::App& app, Action& action, const std::string& what) {
  CLI::App* command = app.add_subcommand("weight", what);
  const auto arguments = add_client_arguments(*command);
  add_backend_arguments(*command, *arguments);
  command->add_option("WEIGHT", arguments->weight, "0 to 65535")
      ->required()
      ->check(CLI::Range(0U, core::kWeightMax));
  command->callback([=, &action] {
    action = [=] {
      return call(*arguments, "PATCH", backend_path(*arguments), {{"weight", arguments->weight}});
    };
  });
}

void add_backend_commands(CLI::App& app, Action& action) {
  CLI::App* backend = app.add_subcommand("backend", "Add, remove, weigh and drain the backends of a service");
  backend->require_subcommand(1);
  add_add(*backend, action);
  add_remove(*backend, action);
  add_weight(*backend, action, "Change a backend's share of new connections; 0: none");
  add_drain(*backend, action);
  add_state(*backend, action, "undrain", "Let a backend take new connections again");
  add_state(*backend, action, "maintenance",
            "Give a backend no new connections and do not check it; undrain ends that");
}

}  // namespace nfsteer::cli
