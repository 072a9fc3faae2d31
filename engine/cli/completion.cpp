#include "cli/completion.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <regex>

#include "cli/command_tree.hpp"
#include "policy/catalogue.hpp"

namespace nfsteer::cli {
namespace {

// What the words before the last one say.
struct Parsed {
  const CLI::App* command;
  std::vector<const CLI::Option*> used;
  std::map<std::string, std::string> values;  // by name_of()
  std::size_t positionals = 0;                // so many have their value
  const CLI::Option* expects = nullptr;       // an option whose value is the next word
};

// A flag's word: "--mode", "-c" or "--mode=dnat".
const CLI::Option* flag_named(const CLI::App& command, std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  for (const CLI::Option* option : flags_of(command))
    for (const std::string& each : names_of(*option))
      if (each == name) return option;
  return nullptr;
}

const CLI::App* subcommand_named(const CLI::App& command, const std::string& word) {
  for (const CLI::App* each : subcommands_of(command))
    if (each->get_name() == word) return each;
  return nullptr;
}

void read_flag(Parsed& parsed, const std::string& word) {
  const CLI::Option* option = flag_named(*parsed.command, word);
  if (option == nullptr) return;
  parsed.used.push_back(option);
  if (!takes_value(*option)) return;
  const auto equals = word.find('=');
  if (equals == std::string::npos) {
    parsed.expects = option;
  } else {
    parsed.values[name_of(*option)] = word.substr(equals + 1);
  }
}

Parsed read_words(const CLI::App& app, std::span<const std::string> words) {
  Parsed parsed{&app, {}, {}, 0, nullptr};
  for (const std::string& word : words) {
    if (parsed.expects != nullptr) {
      parsed.values[name_of(*parsed.expects)] = word;
      parsed.expects = nullptr;
    } else if (word.starts_with('-')) {
      read_flag(parsed, word);
    } else if (const CLI::App* inner = subcommand_named(*parsed.command, word); inner != nullptr) {
      parsed.command = inner;
      parsed.used.clear();
    } else if (const auto all = positionals_of(*parsed.command); parsed.positionals < all.size()) {
      parsed.values[name_of(*all[parsed.positionals++])] = word;
    }
  }
  return parsed;
}

std::string value_or_empty(const Parsed& parsed, const std::string& name) {
  const auto found = parsed.values.find(name);
  return found == parsed.values.end() ? "" : found->second;
}

bool takes_file(std::string_view name) {
  constexpr std::string_view kNames[] = {"FILE",     "--config", "--control", "--pcap",
                                         "--record", "--churn",  "--plot"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

// `before` stands in front of each value: "--mode=".
void offer_values(Completion& completion, const CLI::Option& option, const Parsed& parsed,
                  const std::string& before, const LiveNames& live) {
  const std::string name = name_of(option);
  const std::string& help = option.get_description();
  std::vector<std::string> values;
  if (takes_file(name)) {
    completion.files = true;
  } else if (name == "SERVICE") {
    values = live.services(value_or_empty(parsed, "--control"));
  } else if (name == "BACKEND" && help.find(",weight=") == std::string::npos) {
    values = live.backends(value_or_empty(parsed, "--control"), value_or_empty(parsed, "SERVICE"));
  } else if (name == "POLICY" || name == "SHADOW" || name == "--policy" || name == "--shadow") {
    for (const policy::PolicyInfo& each : policy::catalogue())
      values.emplace_back(each.name);
  } else {
    values = listed_values(help);
  }
  for (const std::string& each : values)
    completion.candidates.push_back({before + each, {}});
}

// Flags that may still be given.
void offer_flags(Completion& completion, const Parsed& parsed) {
  const auto is_used = [&](const CLI::Option* option) {
    return std::ranges::find(parsed.used, option) != parsed.used.end();
  };
  for (const CLI::Option* option : flags_of(*parsed.command)) {
    if (is_used(option) && !may_repeat(*option)) continue;
    const auto excluded = option->get_excludes();
    if (std::ranges::any_of(excluded, is_used)) continue;
    completion.candidates.push_back({names_of(*option).back(), option->get_description()});
  }
}

}  // namespace

Completion complete(const CLI::App& app, std::span<const std::string> words, const LiveNames& live) {
  Completion completion;
  if (words.empty()) return completion;
  const std::string& current = words.back();
  const Parsed parsed = read_words(app, words.first(words.size() - 1));
  if (parsed.expects != nullptr) {
    offer_values(completion, *parsed.expects, parsed, {}, live);
  } else if (const auto equals = current.find('=');
             current.starts_with("--") && equals != std::string::npos) {
    if (const CLI::Option* option = flag_named(*parsed.command, current); option != nullptr)
      offer_values(completion, *option, parsed, current.substr(0, equals + 1), live);
  } else if (current.starts_with('-')) {
    offer_flags(completion, parsed);
  } else {
    for (const CLI::App* each : subcommands_of(*parsed.command))
      completion.candidates.push_back({each->get_name(), each->get_description()});
    if (const auto all = positionals_of(*parsed.command); parsed.positionals < all.size())
      offer_values(completion, *all[parsed.positionals], parsed, {}, live);
  }
  std::erase_if(completion.candidates,
                [&](const Candidate& each) { return !each.text.starts_with(current); });
  return completion;
}

std::vector<std::string> listed_values(std::string_view help) {
  // Words between commas and "or", up to the end or a colon; or clauses "word: what it means".
  static const std::regex kList(
      R"(^([a-z0-9+-]+( \(default\))?)((, | or )[a-z0-9+-]+( \(default\))?)+(?=$|:))");
  static const std::regex kClauses(
      R"(^[a-z0-9-]+( \(default\))?: [^;]*(; [a-z0-9-]+( \(default\))?: [^;]*)+$)");
  static const std::regex kWord(R"((?:^|, | or )([a-z0-9+-]+))");
  static const std::regex kClause(R"((?:^|; )([a-z0-9-]+)(?: \(default\))?:)");
  const std::string text(help);
  std::vector<std::string> values;
  const auto collect = [&](const std::string& from, const std::regex& word) {
    for (std::sregex_iterator each(from.begin(), from.end(), word), end; each != end; ++each)
      values.push_back((*each)[1]);
  };
  if (std::smatch list; std::regex_search(text, list, kList)) {
    collect(list.str(), kWord);
  } else if (std::regex_match(text, kClauses)) {
    collect(text, kClause);
  }
  return values;
}

}  // namespace nfsteer::cli
