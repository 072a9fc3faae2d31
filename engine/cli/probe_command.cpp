// nfsteer probe: what this kernel offers, and what it means that something is missing.
#include <algorithm>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/command_line.hpp"
#include "confine/privileges.hpp"
#include "probe/kernel.hpp"

namespace nfsteer::cli {
namespace {

namespace json = boost::json;
using core::Family;
using probe::Item;

std::string_view text_of(Family family) {
  return family == Family::ipv4 ? "IPv4" : "IPv6";
}

const Item* find(const probe::Kernel& kernel, const std::string& name, Family family) {
  const auto found = std::ranges::find_if(kernel.items, [&](const Item& each) {
    return each.name == name && (!each.family || *each.family == family);
  });
  return found == kernel.items.end() ? nullptr : &*found;
}

// A line for each thing, both families side by side.
std::string text_of(const probe::Kernel& kernel) {
  std::string text = fmt::format("Linux {}\nIPv4  IPv6\n", kernel.release);
  const auto word = [](bool yes) { return yes ? "yes" : "no"; };
  std::set<std::string> told;
  for (const Item& item : kernel.items) {
    if (!told.insert(item.name).second) continue;
    const Item* v4 = find(kernel, item.name, Family::ipv4);
    const Item* v6 = find(kernel, item.name, Family::ipv6);
    text += fmt::format("{:<4}  {:<4}  {}\n", word(v4->available), word(v6->available), item.name);
    for (const Item* each : {v4, v6}) {
      if (each->available) continue;
      text += fmt::format("              {}without it {}; {}\n",
                          each->family ? fmt::format("{}: ", text_of(*each->family)) : "", each->without,
                          each->mend);
      if (!each->family) break;
    }
  }
  text += fmt::format("{:<4}  {:<4}  services in every mode\n", word(kernel.serves(Family::ipv4)),
                      word(kernel.serves(Family::ipv6)));
  return text;
}

json::object json_of(const probe::Kernel& kernel) {
  json::array features;
  for (const Item& item : kernel.items) {
    json::object feature{{"name", item.name},     {"family", nullptr},       {"available", item.available},
                         {"needed", item.needed}, {"without", item.without}, {"mend", item.mend}};
    if (item.family) feature["family"] = *item.family == Family::ipv4 ? "ipv4" : "ipv6";
    features.push_back(std::move(feature));
  }
  return {{"kernel", kernel.release},
          {"serves", {{"ipv4", kernel.serves(Family::ipv4)}, {"ipv6", kernel.serves(Family::ipv6)}}},
          {"features", std::move(features)}};
}

core::Result<void> probe_kernel(bool as_json) {
  if (auto privileged = confine::check_privileges(); !privileged) return privileged;
  const auto kernel = probe::ask_kernel();
  if (!kernel) return tl::unexpected(kernel.error());
  std::cout << (as_json ? json::serialize(json_of(*kernel)) + '\n' : text_of(*kernel)) << std::flush;
  if (kernel->serves(Family::ipv4) || kernel->serves(Family::ipv6)) return {};
  return core::system_error("kernel", "lacks what every service needs",
                            "see the lines above, and Limits in README.md");
}

}  // namespace

void add_probe(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "probe",
      "Say what this kernel offers, and what each missing thing means; changes nothing, may load modules");
  const auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "print it as JSON");
  command->callback([=, &action] { action = [=] { return probe_kernel(*as_json); }; });
}

}  // namespace nfsteer::cli
