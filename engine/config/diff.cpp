#include "config/diff.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "config/raw_writer.hpp"

namespace nfsteer::config {
namespace {

using core::endpoint_text;
using core::Service;

std::string plain_text(const RawValue& single) {
  return single.text.empty() ? "\"\"" : single.text;
}

// A value for people; none: the field has no default that could be written.
std::string words(const RawValue* value) {
  return value == nullptr ? "none" : on_one_line(without_defaults(*value), plain_text);
}

bool equal(const RawValue& one, const RawValue& other) {
  if (one.kind != other.kind || one.text != other.text || one.children.size() != other.children.size())
    return false;
  for (std::size_t i = 0; i < one.children.size(); ++i)
    if (one.children[i].name != other.children[i].name || !equal(one.children[i], other.children[i]))
      return false;
  return true;
}

// "FIELD BEFORE -> AFTER" of each field of two maps that differs, but for the backends; a map's in a map are
// called "health.interval".
std::vector<std::string> changed_fields(const RawValue& before, const RawValue& after,
                                        const std::string& above = {}) {
  std::vector<std::string> changes;
  const auto compare = [&](const std::string& name) {
    const RawValue* old = before.find(name);
    const RawValue* wanted = after.find(name);
    if (name == "backends" || (old != nullptr && wanted != nullptr && equal(*old, *wanted))) return;
    if (old != nullptr && wanted != nullptr && old->kind == RawValue::Kind::map &&
        wanted->kind == old->kind) {
      for (std::string& each : changed_fields(*old, *wanted, above + name + "."))
        changes.push_back(std::move(each));
    } else {
      changes.push_back(fmt::format("{}{} {} -> {}", above, name, words(old), words(wanted)));
    }
  };
  for (const RawValue& field : after.children)
    compare(field.name);
  for (const RawValue& field : before.children)
    if (after.find(field.name) == nullptr) compare(field.name);
  return changes;
}

// The backends by address and port, the values of raw_of(service).
std::map<std::pair<core::IpAddress, std::uint16_t>, const RawValue*> backends_of(const Service& service,
                                                                                 const RawValue& raw) {
  std::map<std::pair<core::IpAddress, std::uint16_t>, const RawValue*> backends;
  const RawValue& list = *raw.find("backends");
  for (std::size_t i = 0; i < service.backends.size(); ++i)
    backends.try_emplace({service.backends[i].address, service.backends[i].port}, &list.children[i]);
  return backends;
}

// What a backend's or service's fields say beside its name and place, each behind `joint`.
std::string settings(const RawValue& map, std::string_view joint) {
  constexpr std::string_view kElsewhere[] = {"name", "vip", "protocol", "address", "port", "backends"};
  std::string text;
  for (const RawValue& field : map.children) {
    if (field.is_default || std::ranges::find(kElsewhere, field.name) != std::end(kElsewhere)) continue;
    if (field.name == "masquerade" && field.text == "false") continue;
    text += joint;
    text += field.text == "true" ? field.name : fmt::format("{} {}", field.name, words(&field));
  }
  return text;
}

void compare(const Service& before, const Service& after, std::vector<std::string>& lines) {
  if (before == after) return;
  const auto add = [&](std::string_view what) {
    lines.push_back(fmt::format("~ service {}: {}", after.name, what));
  };
  const RawValue old_raw = raw_of(before);
  const RawValue wanted_raw = raw_of(after);
  for (const std::string& each : changed_fields(old_raw, wanted_raw))
    add(each);
  const auto old = backends_of(before, old_raw);
  const auto wanted = backends_of(after, wanted_raw);
  for (const auto& [endpoint, raw] : old)
    if (!wanted.contains(endpoint)) add("- backend " + endpoint_text(endpoint.first, endpoint.second));
  for (const auto& [endpoint, raw] : wanted) {
    const std::string name = endpoint_text(endpoint.first, endpoint.second);
    const auto known = old.find(endpoint);
    if (known == old.end()) {
      add(fmt::format("+ backend {}{}", name, settings(*raw, ", ")));
    } else if (const auto changes = changed_fields(*known->second, *raw); !changes.empty()) {
      add(fmt::format("~ backend {}, {}", name, fmt::join(changes, ", ")));
    }
  }
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
    const RawValue raw = raw_of(service);
    lines.push_back(fmt::format("service {}  {} {}{}", service.name, endpoint_text(service.vip, service.port),
                                core::to_string(service.protocol), settings(raw, "  ")));
    const std::vector<RawValue>& backends = raw.find("backends")->children;
    for (std::size_t i = 0; i < backends.size(); ++i)
      lines.push_back(fmt::format("  backend {}{}",
                                  endpoint_text(service.backends[i].address, service.backends[i].port),
                                  settings(backends[i], "  ")));
  }
  return lines;
}

}  // namespace nfsteer::config
