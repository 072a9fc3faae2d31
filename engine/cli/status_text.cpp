#include "cli/status_text.hpp"

#include <cstdint>
#include <iterator>
#include <stdexcept>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/json_fields.hpp"

namespace nfsteer::cli {
namespace {

namespace json = boost::json;

std::string endpoint(std::string_view address, std::uint64_t port) {
  if (port == 0) return std::string(address);
  const bool v6 = address.find(':') != std::string_view::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address, v6 ? "]" : "", port);
}

void append_backend(std::string& out, const json::object& backend, bool followed) {
  auto to = std::back_inserter(out);
  const json::object& connections = backend.at("connections").as_object();
  fmt::format_to(to, "  {:<28} {:<11} {:>6} {:>8} {:>9} {:>10} {:>6.1f}% {:>7.1f}% {:>12} {:>14}\n",
                 endpoint(text(backend, "address"), number(backend, "port")), text(backend, "state"),
                 number(backend, "weight"), followed ? std::to_string(number(connections, "active")) : "-",
                 followed ? std::to_string(number(connections, "opened")) : "-", number(backend, "picks"),
                 100 * fraction(backend, "share"), 100 * fraction(backend, "expected_share"),
                 number(backend, "packets"), number(backend, "bytes"));
  if (const json::value* value = backend.if_contains("shadow")) {
    const json::object& shadow = value->as_object();
    fmt::format_to(to, "    the shadow would give it {} ({:.1f}%): {} more, {} fewer\n",
                   number(shadow, "picks"), 100 * fraction(shadow, "share"), number(shadow, "gained"),
                   number(shadow, "lost"));
  }
  const json::object& health = backend.at("health").as_object();
  if (health.at("checked").as_bool() && text(health, "status") != "up")
    fmt::format_to(to, "    {}: {}\n", text(health, "status"), text(health, "last_result"));
}

// Of a policy from a file, if it has done anything wrong.
void append_report(std::string& out, std::string_view what, const json::object& report) {
  auto to = std::back_inserter(out);
  if (report.at("set_aside").as_bool())
    fmt::format_to(to, "  {}: set aside, weighted random decides: {}\n", what, text(report, "reason"));
  const std::uint64_t faults =
      number(report, "out_of_range") + number(report, "weight_zero") + number(report, "failed");
  if (faults + number(report, "overruns") > 0)
    fmt::format_to(to,
                   "  {}: of {} decisions, {} out of range, {} of weight 0, {} failed, {} took too long\n",
                   what, number(report, "picks"), number(report, "out_of_range"),
                   number(report, "weight_zero"), number(report, "failed"), number(report, "overruns"));
}

void append_service(std::string& out, const json::object& service, bool followed) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "\nservice {}  {} {}  mode {}  policy {}{}{}{}\n", text(service, "name"),
                 endpoint(text(service, "vip"), number(service, "port")), text(service, "protocol"),
                 text(service, "mode"), text(service, "policy"),
                 service.at("masquerade").as_bool() ? "  masquerade" : "",
                 service.at("panic").as_bool() ? "  panic: too few are healthy, all are used" : "",
                 service.at("on_backup").as_bool() ? "  on backup" : "");
  fmt::format_to(to, "  new flows: {} by the engine, {} by the ladder, {} without a backend\n",
                 number(service, "picks"), number(service, "ladder"), number(service, "no_backend"));
  if (const json::value* value = service.if_contains("policy_report"))
    append_report(out, "policy", value->as_object());
  if (const json::value* value = service.if_contains("shadow")) {
    const json::object& shadow = value->as_object();
    if (const json::value* report = shadow.if_contains("report"))
      append_report(out, "shadow", report->as_object());
    const std::uint64_t decisions = number(shadow, "decisions");
    const std::uint64_t differ = number(shadow, "differ");
    fmt::format_to(
        to, "  shadow {}: asked {} times, would differ {} times ({:.1f}%), no backend {} times\n",
        text(shadow, "policy"), decisions, differ,
        decisions == 0 ? 0.0 : 100.0 * static_cast<double>(differ) / static_cast<double>(decisions),
        number(shadow, "no_backend"));
  }
  fmt::format_to(to, "  {:<28} {:<11} {:>6} {:>8} {:>9} {:>10} {:>7} {:>8} {:>12} {:>14}\n", "backend",
                 "state", "weight", "active", "opened", "picks", "share", "expected", "packets seen",
                 "bytes seen");
  for (const json::value& each : service.at("backends").as_array())
    append_backend(out, each.as_object(), followed);
}

void append_workers(std::string& out, const json::array& workers) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "\n{:<8} {:>12} {:>10} {:>10} {:>10} {:>8} {:>10} {:>10} {:>8}\n", "worker", "packets",
                 "batches", "rewritten", "accepted", "dropped", "malformed", "unmatched", "errors");
  for (const json::value& each : workers) {
    const json::object& worker = each.as_object();
    fmt::format_to(to, "{:<8} {:>12} {:>10} {:>10} {:>10} {:>8} {:>10} {:>10} {:>8}\n",
                   number(worker, "index"), number(worker, "packets"), number(worker, "batches"),
                   number(worker, "rewritten"), number(worker, "accepted"), number(worker, "dropped"),
                   number(worker, "malformed"), number(worker, "unmatched"),
                   number(worker, "receive_overflows") + number(worker, "receive_errors") +
                       number(worker, "verdict_errors"));
  }
}

void append_queues(std::string& out, const json::array& queues) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "\n{:<8} {:<8} {:>7} {:>9} {:>14} {:>16}\n", "queue", "group", "worker", "waiting",
                 "dropped, full", "dropped, socket");
  for (const json::value& each : queues) {
    const json::object& queue = each.as_object();
    fmt::format_to(to, "{:<8} {:<8} {:>7} {:>9} {:>14} {:>16}\n", number(queue, "queue"),
                   text(queue, "group"), number(queue, "worker"), number(queue, "waiting"),
                   number(queue, "dropped_full"), number(queue, "dropped_user"));
  }
}

}  // namespace

core::Result<std::string> status_text(const json::value& status) {
  std::string out;
  try {
    const json::object& root = status.as_object();
    auto to = std::back_inserter(out);
    fmt::format_to(to, "nfsteer {}  pid {}  up {:.0f} s  rule commits {}, errors {}, repairs {}\n",
                   text(root, "version"), number(root, "pid"), fraction(root, "uptime_seconds"),
                   number(root.at("rules").as_object(), "commits"),
                   number(root.at("rules").as_object(), "errors"),
                   number(root.at("rules").as_object(), "repairs"));
    const json::object& conntrack = root.at("conntrack").as_object();
    const bool followed = conntrack.at("followed").as_bool();
    fmt::format_to(to, "connection table: {} of {} entries{}\n", number(conntrack, "entries"),
                   number(conntrack, "entries_max"), followed ? "" : "; connections are not counted");
    for (const json::value& service : root.at("services").as_array())
      append_service(out, service.as_object(), followed);
    append_workers(out, root.at("workers").as_array());
    append_queues(out, root.at("queues").as_array());
    fmt::format_to(to, "\npackets came in by:");
    for (const json::value& each : root.at("interfaces").as_array())
      fmt::format_to(to, "  {} {}", text(each.as_object(), "name"), number(each.as_object(), "packets"));
    out += '\n';
  } catch (const std::exception&) {  // Boost.JSON's way to say that a field is missing or of another type
    return core::system_error("status", "the engine's answer is not one this version reads",
                              "use the engine's own version, or --json");
  }
  return out;
}

}  // namespace nfsteer::cli
