// What the commands that ask a running engine share: their arguments, one call, and its answer printed.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "core/result.hpp"

namespace nfsteer::cli {

// A command's --control and --json, and what its arguments say.
struct ClientArguments {
  std::shared_ptr<std::string> control;
  bool as_json = false;
  std::string service;
  std::string backend;
  std::string value;
  unsigned weight = 0;
};

// Adds --control and --json; the result lives as long as the command's callback keeps it.
std::shared_ptr<ClientArguments> add_client_arguments(CLI::App& command);
void add_service_argument(CLI::App& command, ClientArguments& arguments);
void add_backend_arguments(CLI::App& command, ClientArguments& arguments);  // SERVICE and BACKEND

// Words for what the engine answered.
using AnswerText = std::function<core::Result<std::string>(const boost::json::value& answer)>;

// One call of the API. Prints the answer as JSON with --json, else what `text` makes of it.
core::Result<void> call(const ClientArguments& arguments, const std::string& method, const std::string& path,
                        const boost::json::object& body, const AnswerText& text = {});

// The answer lacks what this version's commands need.
core::Failure unreadable_answer();

}  // namespace nfsteer::cli
