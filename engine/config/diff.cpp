#include "config/diff.hpp"

#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace nfsteer::config {
namespace {

using core::Backend;
using core::endpoint_text;
using core::Service;

using Endpoint = std::pair<core::IpAddress, std::uint16_t>;

// Lines about one service.
class Changes {
 public:
  Changes(std::vector<std::string>& lines, std::string_view service) : lines_(lines), service_(service) {}

  template <typename T>
  void field(std::string_view name, const T& before, const T& after) {
    if (before != after) add(fmt::format("{} {} -> {}", name, before, after));
  }
  void add(std::string_view what) { lines_.push_back(fmt::format("~ service {}: {}", service_, what)); }

 private:
  std::vector<std::string>& lines_;
  std::string_view service_;
};

std::map<Endpoint, std::uint32_t> weights_of(const Service& service) {
  std::map<Endpoint, std::uint32_t> weights;
  for (const Backend& each : service.backends)
    weights.emplace(Endpoint{each.address, each.port}, each.weight);
  return weights;
}

void compare_backends(const Service& before, const Service& after, Changes& changes) {
  const auto old = weights_of(before);
  const auto wanted = weights_of(after);
  for (const auto& [endpoint, weight] : old)
    if (!wanted.contains(endpoint))
      changes.add("- backend " + endpoint_text(endpoint.first, endpoint.second));
  for (const auto& [endpoint, weight] : wanted) {
    const std::string name = endpoint_text(endpoint.first, endpoint.second);
    const auto known = old.find(endpoint);
    if (known == old.end()) {
      changes.add(fmt::format("+ backend {}, weight {}", name, weight));
    } else if (known->second != weight) {
      changes.add(fmt::format("~ backend {}, weight {} -> {}", name, known->second, weight));
    }
  }
}

void compare(const Service& before, const Service& after, std::vector<std::string>& lines) {
  Changes changes(lines, after.name);
  changes.field("vip", before.vip.to_string(), after.vip.to_string());
  changes.field("protocol", core::to_string(before.protocol), core::to_string(after.protocol));
  changes.field("port", before.port, after.port);
  changes.field("mode", core::to_string(before.mode), core::to_string(after.mode));
  changes.field("policy", before.policy, after.policy);
  changes.field("masquerade", before.masquerade, after.masquerade);
  changes.field("on_no_backend", core::to_string(before.on_no_backend), core::to_string(after.on_no_backend));
  compare_backends(before, after, changes);
}

std::map<std::string_view, const Service*> by_name(const std::vector<Service>& services) {
  std::map<std::string_view, const Service*> names;
  for (const Service& each : services)
    names.emplace(each.name, &each);
  return names;
}

}  // namespace

std::vector<std::string> differences(const std::vector<Service>& before, const std::vector<Service>& after) {
  const auto old = by_name(before);
  const auto wanted = by_name(after);
  std::vector<std::string> lines;
  for (const auto& [name, service] : old)
    if (!wanted.contains(name)) lines.push_back(fmt::format("- service {}", name));
  for (const auto& [name, service] : wanted) {
    if (const auto known = old.find(name); known != old.end()) {
      compare(*known->second, *service, lines);
    } else {
      lines.push_back(fmt::format("+ service {}: {} {}, {} backend{}", name,
                                  endpoint_text(service->vip, service->port),
                                  core::to_string(service->protocol), service->backends.size(),
                                  service->backends.size() == 1 ? "" : "s"));
    }
  }
  return lines;
}

std::vector<std::string> description(const std::vector<Service>& services) {
  std::vector<std::string> lines;
  for (const Service& service : services) {
    lines.push_back(fmt::format("service {}  {} {}  mode {}  policy {}{}  on_no_backend {}", service.name,
                                endpoint_text(service.vip, service.port), core::to_string(service.protocol),
                                core::to_string(service.mode), service.policy,
                                service.masquerade ? "  masquerade" : "",
                                core::to_string(service.on_no_backend)));
    for (const Backend& each : service.backends)
      lines.push_back(
          fmt::format("  backend {}  weight {}", endpoint_text(each.address, each.port), each.weight));
  }
  return lines;
}

}  // namespace nfsteer::config
