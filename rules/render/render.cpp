#include "render/render.hpp"

#include <array>
#include <cstdio>
#include <span>
#include <string_view>

namespace nfsteer::rules {

namespace {

std::string text_of(const Prefix& prefix) {
  return prefix.address.to_string() + '/' + std::to_string(prefix.length);
}

// conntrack's addresses come without the length where it says nothing.
std::string short_text_of(const Prefix& prefix) {
  return prefix == Prefix::host(prefix.address) ? prefix.address.to_string() : text_of(prefix);
}

std::string text_of(const PortRange& ports) {
  std::string text = std::to_string(ports.first);
  return ports.first == ports.last ? text : text + ':' + std::to_string(ports.last);
}

// iptables-save puts quotes around a string as soon as it holds anything but letters, digits, - and _.
std::string quoted(std::string_view text) {
  constexpr std::string_view kPlain = "_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  if (text.find_first_not_of(kPlain) == std::string_view::npos) return std::string(text);
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\' || c == '\'') result += '\\';
    result += c;
  }
  return result + '"';
}

// An address whose first `length` bits are set.
std::string mask_text(Family family, std::size_t length) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < length; ++i) {
    bytes[i / 8] = static_cast<std::uint8_t>(bytes[i / 8] | 0x80U >> i % 8);
  }
  return core::IpAddress::from_bytes(family, std::span(bytes).first(family == Family::ipv4 ? 4 : 16))
      .to_string();
}

struct MatchText {
  const Rule& rule;
  Family family;

  std::string operator()(const DestinationPort& match) const {
    return " -m " + std::string(core::to_string(rule.protocol)) + " --dport " + text_of(match.ports);
  }
  std::string operator()(const Conntrack& match) const {
    std::string text = " -m conntrack";
    if (match.states != 0) {
      std::string states;
      auto name = [&](Conntrack::State state, const char* word) {
        if ((match.states & state) == 0) return;
        if (!states.empty()) states += ',';
        states += word;
      };
      name(Conntrack::kNew, "NEW");
      name(Conntrack::kEstablished, "ESTABLISHED");
      name(Conntrack::kDnat, "DNAT");
      text += (match.not_states ? " ! --ctstate " : " --ctstate ") + states;
    }
    if (match.original_destination) text += " --ctorigdst " + short_text_of(*match.original_destination);
    if (match.original_port) text += " --ctorigdstport " + text_of(*match.original_port);
    if (match.original_direction) text += " --ctdir ORIGINAL";
    return text;
  }
  std::string operator()(const Statistic& match) const {
    char number[32];
    std::snprintf(number, sizeof number, "%.11f", match.probability / static_cast<double>(Statistic::kOne));
    return std::string(" -m statistic --mode random --probability ") + number;
  }
  std::string operator()(const Bpf& match) const {
    std::string text = " -m bpf --bytecode \"" + std::to_string(match.program.size());
    for (const BpfInstruction& instruction : match.program) {
      char numbers[64];
      std::snprintf(numbers, sizeof numbers, ",%u %u %u %u", instruction.code, instruction.jump_true,
                    instruction.jump_false, instruction.k);
      text += numbers;
    }
    return text + '"';
  }
  std::string operator()(const Recent& match) const {
    std::string text = " -m recent";
    switch (match.act) {
      case Recent::Act::enter:
        text += " --set";
        break;
      case Recent::Act::refresh:
        text += " --update";
        break;
      case Recent::Act::ask:
        text += " --rcheck";
        break;
    }
    if (match.act != Recent::Act::enter) text += " --seconds " + std::to_string(match.seconds) + " --reap";
    return text + " --name " + match.list + " --mask " + mask_text(family, match.prefix) + " --rsource";
  }
  std::string operator()(const Comment& match) const { return " -m comment --comment " + quoted(match.text); }
};

struct TargetText {
  Family family;

  std::string operator()(const Jump& target) const { return " -j " + target.chain; }
  std::string operator()(const Goto& target) const { return " -g " + target.chain; }
  std::string operator()(const Return&) const { return " -j RETURN"; }
  std::string operator()(const Drop&) const { return " -j DROP"; }
  std::string operator()(const Nfqueue& target) const {
    std::string queues = target.count == 1 ? " --queue-num " + std::to_string(target.first)
                                           : " --queue-balance " + std::to_string(target.first) + ':' +
                                                 std::to_string(target.first + target.count - 1);
    return " -j NFQUEUE" + queues + " --queue-bypass";
  }
  std::string operator()(const Netmap&) const {
    return family == Family::ipv4 ? " -j NETMAP --to 0.0.0.0/0" : " -j NETMAP --to ::/0";
  }
  std::string operator()(const Dnat& target) const {
    std::string address = target.address.to_string();
    if (target.port != 0) {
      if (family == Family::ipv6) address.insert(0, 1, '[').push_back(']');
      address.append(1, ':').append(std::to_string(target.port));
    }
    return " -j DNAT --to-destination " + address;
  }
  std::string operator()(const Masquerade&) const { return " -j MASQUERADE"; }
  std::string operator()(const Reject& target) const {
    if (target.with == Reject::With::tcp_reset) return " -j REJECT --reject-with tcp-reset";
    return family == Family::ipv4 ? " -j REJECT --reject-with icmp-port-unreachable"
                                  : " -j REJECT --reject-with icmp6-port-unreachable";
  }
};

std::string render(TableName name, const Table& table, Family family) {
  std::string text = "*";
  text.append(to_string(name)).push_back('\n');
  for (const auto& [chain, rules] : table.chains) {
    text += ':' + chain + " - [0:0]\n";
  }
  for (const auto& [built_in, chain] : table.jumps) {
    text += "-A " + std::string(to_string(built_in)) + " -j " + chain + '\n';
  }
  for (const auto& [chain, rules] : table.chains) {
    for (const Rule& rule : rules) {
      if (const auto* netmap = std::get_if<Netmap>(&rule.target); netmap != nullptr && netmap->port != 0) {
        text += "# the next rule also binds port " + std::to_string(netmap->port) +
                ", which iptables cannot show\n";
      }
      text += render(chain, rule, family) + '\n';
    }
  }
  return text + "COMMIT\n";
}

}  // namespace

std::string render(const std::string& chain, const Rule& rule, Family family) {
  std::string text = "-A " + chain;
  if (rule.destination) {
    text += (rule.destination->negated ? " ! -d " : " -d ") + text_of(rule.destination->prefix);
  }
  if (rule.protocol != core::Protocol::any) text += " -p " + std::string(core::to_string(rule.protocol));
  for (const Match& match : rule.matches) {
    text += std::visit(MatchText{rule, family}, match);
  }
  return text + std::visit(TargetText{family}, rule.target);
}

std::string render(const RuleSet& rules, Family family) {
  std::string text;
  for (const auto& [id, table] : rules.tables) {
    if (id.family == family) text += render(id.name, table, family);
  }
  return text;
}

}  // namespace nfsteer::rules
