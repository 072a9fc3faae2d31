#include "cli/command_tree.hpp"

namespace nfsteer::cli {

std::vector<const CLI::App*> subcommands_of(const CLI::App& command) {
  return command.get_subcommands(
      [](const CLI::App* each) { return !each->get_group().empty() && !each->get_name().empty(); });
}

std::vector<Leaf> leaves_of(const CLI::App& app) {
  std::vector<Leaf> leaves;
  for (const CLI::App* each : subcommands_of(app)) {
    const auto inner = leaves_of(*each);
    if (inner.empty() || !positionals_of(*each).empty()) leaves.push_back({each->get_name(), each});
    for (const Leaf& leaf : inner)
      leaves.push_back({each->get_name() + ' ' + leaf.words, leaf.command});
  }
  return leaves;
}

std::vector<const CLI::Option*> positionals_of(const CLI::App& command) {
  return command.get_options([](const CLI::Option* each) { return each->get_positional(); });
}

std::vector<const CLI::Option*> flags_of(const CLI::App& command) {
  return command.get_options(
      [](const CLI::Option* each) { return each->nonpositional() && !each->get_group().empty(); });
}

std::vector<std::string> names_of(const CLI::Option& option) {
  if (!option.nonpositional()) return {option.get_name(true)};
  std::vector<std::string> names;
  for (const std::string& each : option.get_snames())
    names.push_back('-' + each);
  for (const std::string& each : option.get_lnames())
    names.push_back("--" + each);
  return names;
}

std::string name_of(const CLI::Option& option) {
  return names_of(option).back();
}

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

bool may_repeat(const CLI::Option& option) {
  return option.get_items_expected_max() > 1;
}

}  // namespace nfsteer::cli
