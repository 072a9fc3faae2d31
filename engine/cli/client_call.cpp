#include "cli/client_call.hpp"

#include <iostream>

#include <boost/json/serialize.hpp>

#include "cli/api_client.hpp"
#include "cli/command_line.hpp"

namespace nfsteer::cli {

namespace json = boost::json;

std::shared_ptr<ClientArguments> add_client_arguments(CLI::App& command) {
  auto arguments = std::make_shared<ClientArguments>();
  arguments->control = add_control_flag(command);
  command.add_flag("--json", arguments->as_json, "print the engine's answer as JSON");
  return arguments;
}

void add_service_argument(CLI::App& command, ClientArguments& arguments) {
  command.add_option("SERVICE", arguments.service, "name of the service")->required();
}

void add_backend_arguments(CLI::App& command, ClientArguments& arguments) {
  add_service_argument(command, arguments);
  command.add_option("BACKEND", arguments.backend, "ADDR, or ADDR:PORT where several share the address")
      ->required();
}

core::Result<void> call(const ClientArguments& arguments, const std::string& method, const std::string& path,
                        const json::object& body, const AnswerText& text) {
  const auto answer = call_api(*arguments.control, method, path, body.empty() ? "" : json::serialize(body));
  if (!answer) return tl::unexpected(answer.error());
  if (arguments.as_json) {
    std::cout << json::serialize(*answer) << '\n';
    return {};
  }
  if (!text) return {};
  const auto words = text(*answer);
  if (!words) return tl::unexpected(words.error());
  std::cout << *words;
  return {};
}

core::Failure unreadable_answer() {
  return core::system_error("control socket", "the engine's answer is not one this version reads",
                            "use the engine's own version, or --json");
}

}  // namespace nfsteer::cli
