#include "cli/explain_text.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <iterator>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/json_fields.hpp"
#include "core/address.hpp"

namespace nfsteer::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kBackendsMax = 32;  // lines of one list; --json has all
constexpr std::size_t kRulesMax = 16;

std::string endpoint(const json::object& object, std::string_view key) {
  const std::string_view address = text(object, key);
  const auto port = object.at("port").to_number<std::uint16_t>();
  const auto parsed = core::IpAddress::parse(address);
  return parsed ? core::endpoint_text(*parsed, port) : std::string(address);
}

std::string without_bytecode(std::string_view rule) {
  constexpr std::string_view kBefore = "--bytecode ";
  const auto begin = rule.find(kBefore);
  if (begin == std::string_view::npos) return std::string(rule);
  const auto quote = begin + kBefore.size();
  const auto end = rule.find('"', quote + 1);
  if (end == std::string_view::npos) return std::string(rule);
  return fmt::format("{}...{}", rule.substr(0, quote), rule.substr(end + 1));
}

void append_services(std::string& out, const json::object& answer) {
  auto to = std::back_inserter(out);
  if (answer.at("service").is_null())
    fmt::format_to(to, "no service takes it: nfsteer leaves the connection alone\n");
  const json::array& candidates = answer.at("candidates").as_array();
  if (candidates.empty()) fmt::format_to(to, "  no service has this VIP\n");
  for (const json::value& each : candidates) {
    const json::object& candidate = each.as_object();
    if (candidate.at("takes").as_bool())
      fmt::format_to(to, "service {} takes it: {}\n", text(candidate, "service"), text(candidate, "reason"));
  }
  for (const json::value& each : candidates) {
    const json::object& candidate = each.as_object();
    if (!candidate.at("takes").as_bool())
      fmt::format_to(to, "  not {}: {}\n", text(candidate, "service"), text(candidate, "reason"));
  }
}

void append_backends(std::string& out, const json::object& answer) {
  auto to = std::back_inserter(out);
  const json::array& backends = answer.at("backends").as_array();
  fmt::format_to(to, "\n  {:<28} {:>6}  {:<12} {:>6}\n", "backend", "weight", "state", "chance");
  for (std::size_t i = 0; i < backends.size() && i < kBackendsMax; ++i) {
    const json::object& backend = backends[i].as_object();
    std::string line = fmt::format("  {:<28} {:>6}  {:<12} {:>5.1f}%  {}", endpoint(backend, "address"),
                                   backend.at("weight").to_number<std::uint64_t>(), text(backend, "state"),
                                   100 * fraction(backend, "probability"), text(backend, "reason"));
    fmt::format_to(to, "{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
  }
  if (backends.size() > kBackendsMax)
    fmt::format_to(to, "  ... and {} more\n", backends.size() - kBackendsMax);
  if (!answer.at("no_backend").is_null()) fmt::format_to(to, "  {}\n", text(answer, "no_backend"));
  if (const json::value& choice = answer.at("choice"); !choice.is_null()) {
    const auto index = choice.as_object().at("backend").to_number<std::size_t>();
    fmt::format_to(to, "  this connection gets {}: {}\n", endpoint(backends.at(index).as_object(), "address"),
                   text(choice.as_object(), "reason"));
  }
  for (const json::value& note : answer.at("notes").as_array())
    fmt::format_to(to, "  {}\n", std::string_view(note.as_string()));
}

void append_rules(std::string& out, const json::array& rules) {
  auto to = std::back_inserter(out);
  const auto is_certain = [](const json::value& rule) {
    return fraction(rule.as_object(), "probability") > 0.999999;  // sums round
  };
  const std::size_t width = std::ranges::all_of(rules, is_certain) ? 0 : 7;
  for (std::size_t i = 0; i < rules.size() && i < kRulesMax; ++i) {
    const json::object& rule = rules[i].as_object();
    const std::string chance =
        is_certain(rules[i]) ? std::string() : fmt::format("{:.1f}%", 100 * fraction(rule, "probability"));
    fmt::format_to(to, "     {:<{}}{}\n", chance, width, without_bytecode(text(rule, "rule")));
    if (rule.contains("note")) fmt::format_to(to, "     {:{}}  ({})\n", "", width, text(rule, "note"));
  }
  if (rules.size() > kRulesMax)
    fmt::format_to(to, "     ... and {} more; --json has all\n", rules.size() - kRulesMax);
}

void append_steps(std::string& out, const json::array& steps) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "\nthe way of its packets\n");
  int number = 0;
  for (const json::value& each : steps) {
    const json::object& step = each.as_object();
    if (step.at("otherwise").as_bool()) {
      fmt::format_to(to, "   or {}: {}\n", text(step, "place"), text(step, "text"));
    } else {
      fmt::format_to(to, "{}. {}: {}\n", ++number, text(step, "place"), text(step, "text"));
    }
    append_rules(out, step.at("rules").as_array());
  }
}

void append_live(std::string& out, const json::array& live) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "\nthe connection that there is\n");
  if (live.empty()) fmt::format_to(to, "  conntrack knows none with these addresses and ports\n");
  for (const json::value& each : live) {
    const json::object& connection = each.as_object();
    const std::string identifier =
        connection.contains("identifier")
            ? fmt::format(", identifier {}", connection.at("identifier").to_number<unsigned>())
            : std::string();
    fmt::format_to(to, "  {} ({}{})\n", text(connection, "text"), text(connection, "state"), identifier);
  }
}

}  // namespace

core::Result<std::string> explain_text(const json::value& answer) {
  std::string out;
  try {
    const json::object& root = answer.as_object();
    auto to = std::back_inserter(out);
    fmt::format_to(to, "{} {} -> {}\n\n", text(root, "protocol"), text(root, "source"),
                   text(root, "destination"));
    append_services(out, root);
    if (!root.at("service").is_null()) {
      for (const std::string_view key : {"mode", "policy"}) {
        const json::object& each = root.at(key).as_object();
        fmt::format_to(to, "{} {}: {}\n", key, text(each, "name"), text(each, "meaning"));
      }
      append_backends(out, root);
      append_steps(out, root.at("steps").as_array());
    }
    if (root.contains("live")) append_live(out, root.at("live").as_array());
  } catch (const std::exception&) {  // Boost.JSON's way to say that a field is missing or of another type
    return core::system_error("explain", "the engine's answer is not one this version reads",
                              "use the engine's own version, or --json");
  }
  return out;
}

}  // namespace nfsteer::cli
