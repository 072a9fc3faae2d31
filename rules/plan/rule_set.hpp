// The packet filter rules of nfsteer as a value: what a kernel should hold, free of any notion of how it gets
// there. plan() makes it from services, render() prints it, rules/iptc installs it.
//
// It holds our own chains only, plus the one jump from each built-in chain that leads into them. What other
// people keep in the same tables has no place here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plan/rule.hpp"

namespace nfsteer::rules {

using core::Family;

// Every chain of ours has this name, or this name and a dash in front. It is how they are found again after a
// crash.
inline constexpr std::string_view kChainPrefix = "NFSTEER";
inline constexpr std::size_t kChainNameMax = 28;  // XT_EXTENSION_MAXNAMELEN without its NUL

enum class TableName : std::uint8_t { mangle, nat, filter };
enum class BuiltIn : std::uint8_t { prerouting, input, forward, output, postrouting };  // in hook order

using Chain = std::vector<Rule>;

struct Table {
  std::map<std::string, Chain> chains;   // ours, by name
  std::map<BuiltIn, std::string> jumps;  // the head of this built-in chain jumps to this chain of ours

  bool empty() const { return chains.empty() && jumps.empty(); }
  friend bool operator==(const Table&, const Table&) = default;
};

struct TableId {
  Family family = Family::ipv4;
  TableName name = TableName::mangle;

  friend auto operator<=>(const TableId&, const TableId&) = default;
};

struct RuleSet {
  std::map<TableId, Table> tables;  // only those that hold something

  friend bool operator==(const RuleSet&, const RuleSet&) = default;
};

constexpr std::string_view to_string(TableName name) {
  switch (name) {
    case TableName::mangle:
      return "mangle";
    case TableName::nat:
      return "nat";
    case TableName::filter:
      return "filter";
  }
  return "?";
}

constexpr std::string_view to_string(BuiltIn chain) {
  switch (chain) {
    case BuiltIn::prerouting:
      return "PREROUTING";
    case BuiltIn::input:
      return "INPUT";
    case BuiltIn::forward:
      return "FORWARD";
    case BuiltIn::output:
      return "OUTPUT";
    case BuiltIn::postrouting:
      return "POSTROUTING";
  }
  return "?";
}

}  // namespace nfsteer::rules
