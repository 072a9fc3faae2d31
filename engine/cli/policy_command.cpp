// `nfsteer policy SERVICE POLICY` and `nfsteer shadow SERVICE POLICY`; and what helps to find or to write a
// policy: `nfsteer policy list`, `show` and `new`.
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/api_client.hpp"
#include "cli/client_call.hpp"
#include "cli/command_line.hpp"
#include "cli/new_policy.hpp"
#include "policy/catalogue.hpp"

namespace nfsteer::cli {
namespace {

namespace json = boost::json;
using policy::OptionInfo;
using policy::PolicyInfo;

// What a contract promises, as words.
struct Promise {
  const char* name;
  const char* words;
  bool policy::Contract::*holds;
};
constexpr Promise kPromises[] = {
    {"proportional", "shares are the weights', load permitting", &policy::Contract::proportional},
    {"by_flow", "the same flow goes to the same backend", &policy::Contract::by_flow},
    {"order_independent", "the order of the backends does not matter", &policy::Contract::order_independent},
    {"minimal_disruption", "a change moves (almost) only the flows that it has to",
     &policy::Contract::minimal_disruption},
    {"uses_live", "looks at connections and latency", &policy::Contract::uses_live},
};

json::object as_json(const OptionInfo& option) {
  return {{"name", std::string(option.name)},
          {"summary", std::string(option.summary)},
          {"min", option.min},
          {"max", option.max},
          {"default", option.usual}};
}

json::object as_json(const PolicyInfo& info) {
  json::object contract;
  for (const Promise& each : kPromises)
    contract[each.name] = info.contract.*each.holds;
  json::array options;
  for (const OptionInfo& each : info.options)
    options.push_back(as_json(each));
  return {{"name", std::string(info.name)},
          {"alias", std::string(info.alias)},
          {"summary", std::string(info.summary)},
          {"contract", std::move(contract)},
          {"options", std::move(options)}};
}

void list_policies(bool wants_json) {
  if (wants_json) {
    json::array policies;
    for (const PolicyInfo& each : policy::catalogue())
      policies.push_back(as_json(each));
    std::cout << json::serialize(json::object{{"policies", std::move(policies)}}) << '\n';
    return;
  }
  std::size_t width = 0;
  for (const PolicyInfo& each : policy::catalogue())
    width = std::max(width, each.name.size());
  for (const PolicyInfo& each : policy::catalogue())
    std::cout << fmt::format("{:{}}  {:4}  {}\n", each.name, width, each.alias, each.summary);
  std::cout << "PATH.so, PATH.py:CLASS: one of your own; `nfsteer policy new` writes it\n";
}

std::string text_of(const PolicyInfo& info) {
  std::string text = fmt::format("{}{}\n  {}\n", info.name,
                                 info.alias.empty() ? "" : fmt::format(" ({})", info.alias), info.summary);
  for (const Promise& each : kPromises)
    if (info.contract.*each.holds) text += fmt::format("  - {}\n", each.words);
  for (const OptionInfo& each : info.options)
    text += fmt::format("  {}={}  {} ({} to {})\n", each.name, each.usual, each.summary, each.min, each.max);
  return text;
}

core::Result<void> show_policy(const std::string& name, bool wants_json) {
  const PolicyInfo* info = policy::find(name);
  if (info == nullptr)
    return core::usage_error("NAME", fmt::format("\"{}\" is unknown", name),
                             "`nfsteer policy list` names the policies");
  std::cout << (wants_json ? json::serialize(as_json(*info)) + '\n' : text_of(*info));
  return {};
}

void add_list(CLI::App& command, Action& action) {
  CLI::App* list = command.add_subcommand("list", "Show the built-in policies");
  const auto wants_json = std::make_shared<bool>(false);
  list->add_flag("--json", *wants_json, "print them as JSON");
  list->callback([=, &action] {
    action = [=]() -> core::Result<void> {
      list_policies(*wants_json);
      return {};
    };
  });
}

void add_show(CLI::App& command, Action& action) {
  CLI::App* show = command.add_subcommand("show", "Show what a built-in policy promises, and its options");
  const auto wants_json = std::make_shared<bool>(false);
  const auto name = std::make_shared<std::string>();
  show->add_option("POLICY", *name, "name or alias of the policy")->required();
  show->add_flag("--json", *wants_json, "print it as JSON");
  show->callback([=, &action] { action = [=] { return show_policy(*name, *wants_json); }; });
}

struct NewPolicy {
  std::string name;
  std::string language;
  std::string directory = ".";
};

core::Result<void> make_policy(const NewPolicy& wanted) {
  const auto folder = write_new_policy(wanted.name, wanted.language, wanted.directory);
  if (!folder) return tl::unexpected(folder.error());
  std::cout << fmt::format(
      "{}: a policy that builds, and its test\n  make -C {} test\n{}", folder->string(), folder->string(),
      wanted.language == "python"
          ? ""
          : fmt::format("  nfsteer policy SERVICE {}\n", (*folder / (wanted.name + ".so")).string()));
  return {};
}

void add_new(CLI::App& command, Action& action) {
  CLI::App* fresh = command.add_subcommand("new", "Write a policy of one's own to begin with, and its test");
  const auto wanted = std::make_shared<NewPolicy>();
  fresh->add_option("NAME", wanted->name, "name of the policy, and of its new directory")->required();
  fresh->add_option("--language", wanted->language, "c, c++ or python")
      ->required()
      ->check(CLI::IsMember({"c", "c++", "python"}));
  fresh->add_option("--directory", wanted->directory, "where to make it; default: here");
  fresh->callback([=, &action] { action = [=] { return make_policy(*wanted); }; });
}

// As the engine needs it: it has a working directory of its own.
core::Result<std::string> with_whole_path(const std::string& policy) {
  const std::string name = policy.substr(0, policy.find(','));
  if (!core::is_policy_file(name)) return policy;
  std::error_code failed;
  const auto whole = std::filesystem::absolute(name, failed);
  if (failed) return core::system_error(name, failed.message(), "name the file from the root directory on");
  return whole.lexically_normal().string() + policy.substr(name.size());
}

// `field`: policy or shadow.
core::Result<void> set_policy(const ClientArguments& arguments, const char* field) {
  if (arguments.service.empty() || arguments.value.empty())
    return core::usage_error("policy", "SERVICE and POLICY are needed", "see `nfsteer policy --help`");
  const auto policy = with_whole_path(arguments.value);
  if (!policy) return tl::unexpected(policy.error());
  return call(arguments, "PATCH", api_path({"services", arguments.service}), {{field, *policy}});
}

}  // namespace

void add_policy(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("policy", "Switch the balancing policy of a service");
  command->require_subcommand(0, 1);
  const auto arguments = add_client_arguments(*command);
  // Needed only where no command of its own follows, which CLI11 cannot say.
  command->add_option("SERVICE", arguments->service, "name of the service");
  command->add_option("POLICY", arguments->value,
                      "name of the policy, PATH.so or PATH.py:CLASS, and ,OPTION=VALUE...");
  command->callback([=, &action] {
    if (command->get_subcommands().empty()) action = [=] { return set_policy(*arguments, "policy"); };
  });
  add_list(*command, action);
  add_show(*command, action);
  add_new(*command, action);
}

void add_shadow(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("shadow", "Ask a second policy as well, without effect; `status` compares them");
  const auto arguments = add_client_arguments(*command);
  add_service_argument(*command, *arguments);
  command->add_option("POLICY", arguments->value, "as for `nfsteer policy`, or none")->required();
  command->callback([=, &action] { action = [=] { return set_policy(*arguments, "shadow"); }; });
}

}  // namespace nfsteer::cli
