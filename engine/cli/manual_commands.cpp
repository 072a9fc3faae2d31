// What explains the command line itself: `nfsteer man`, `nfsteer completion`, and the hidden `__complete`.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/api_client.hpp"
#include "cli/command_line.hpp"
#include "cli/completion.hpp"
#include "cli/man_page.hpp"
#include "config/config.hpp"

namespace nfsteer::cli {
namespace {

namespace json = boost::json;

// Nobody waits longer for a completion; an engine that does not answer has no names then.
constexpr unsigned kCompletionMax_s = 1;

std::string socket_of(const std::string& control) {
  if (!control.empty()) return control;
  const char* named = std::getenv("NFSTEER_CONTROL");
  return named != nullptr && *named != '\0' ? named : std::string(config::kControlDefault);
}

// The objects of the list `list` of an answer; none where there is no engine to ask.
std::vector<json::object> objects_of(const std::string& control, const std::string& path, const char* list) {
  std::vector<json::object> objects;
  const auto answer = call_api(socket_of(control), "GET", path);
  if (!answer) return objects;
  const json::value* found = answer->get_object().if_contains(list);
  if (found == nullptr || !found->is_array()) return objects;
  for (const json::value& each : found->get_array())
    if (each.is_object()) objects.push_back(each.get_object());
  return objects;
}

std::string text_of(const json::object& object, const char* member) {
  const json::value* value = object.if_contains(member);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::vector<std::string> service_names(const std::string& control) {
  std::vector<std::string> names;
  for (const json::object& each : objects_of(control, "/v1/services", "services"))
    names.push_back(text_of(each, "name"));
  return names;
}

// As BACKEND takes them: ADDR, or ADDR:PORT where the address alone names several.
std::vector<std::string> backend_names(const std::string& control, const std::string& service) {
  const auto backends = objects_of(control, api_path({"services", service}), "backends");
  std::map<std::string, unsigned> with_address;
  for (const json::object& each : backends)
    ++with_address[text_of(each, "address")];
  std::vector<std::string> names;
  for (const json::object& each : backends) {
    const std::string address = text_of(each, "address");
    const json::value* port = each.if_contains("port");
    if (port == nullptr || !port->is_int64() || with_address[address] == 1) {
      names.push_back(address);
    } else {
      const bool is_ipv6 = address.find(':') != std::string::npos;
      names.push_back(fmt::format(fmt::runtime(is_ipv6 ? "[{}]:{}" : "{}:{}"), address, port->get_int64()));
    }
  }
  return names;
}

}  // namespace

void print_completion(const CLI::App& app, const std::vector<std::string>& words) {
  signal(SIGALRM, [](int) { _exit(0); });
  alarm(kCompletionMax_s);
  const Completion completion = complete(app, words, {service_names, backend_names});
  if (completion.files) std::cout << ":files\n";
  for (const Candidate& each : completion.candidates)
    std::cout << each.text << '\t' << each.help << '\n';
}

void add_manual_commands(CLI::App& app, Action& action) {
  CLI::App* completion = app.add_subcommand("completion", "Print the script that completes command lines");
  const auto shell = std::make_shared<std::string>();
  completion->add_option("SHELL", *shell, "bash, zsh or fish")->required();
  completion->callback([=, &action] {
    action = [=]() -> core::Result<void> {
      const auto script = completion_script(*shell);
      if (!script) return tl::unexpected(script.error());
      std::cout << *script;
      return {};
    };
  });

  CLI::App* man = app.add_subcommand("man", "Print the manual page, for `man -l -`");
  man->callback([&app, &action] {
    action = [&app]() -> core::Result<void> {
      std::cout << man_page(app);
      return {};
    };
  });
}

}  // namespace nfsteer::cli
