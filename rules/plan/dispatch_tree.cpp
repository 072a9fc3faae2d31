#include "plan/dispatch_tree.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <span>
#include <utility>

namespace nfsteer::rules {

namespace {

using Vips = std::span<const VipRules>;
using Services = std::span<const ServiceRules>;

bool bit_at(const core::IpAddress& address, unsigned position) {
  return (address.bytes()[position / 8] >> (7 - position % 8) & 1) != 0;
}

// The longest prefix that holds all of `vips`, which are sorted.
Prefix common_prefix(Vips vips) {
  const auto low = vips.front().vip.bytes();
  const auto high = vips.back().vip.bytes();
  std::array<std::uint8_t, 16> bytes{};
  unsigned length = 0;
  for (std::size_t i = 0; i < low.size(); ++i) {
    const auto difference = static_cast<std::uint8_t>(low[i] ^ high[i]);
    const auto same = static_cast<unsigned>(std::countl_zero(difference));
    bytes[i] = static_cast<std::uint8_t>(low[i] & ~(0xffU >> same));
    length += same;
    if (same < 8) break;
  }
  return {core::IpAddress::from_bytes(vips.front().vip.family(), std::span(bytes).first(low.size())),
          static_cast<std::uint8_t>(length)};
}

std::size_t count_services(Vips vips) {
  std::size_t count = 0;
  for (const VipRules& vip : vips) {
    count += vip.services.size();
  }
  return count;
}

// Up to kTreeWidth parts, each a subtree of the binary trie over the addresses; the fullest is split first.
std::vector<Vips> split(Vips vips) {
  std::vector<Vips> parts{vips};
  while (parts.size() < kTreeWidth) {
    auto fullest =
        std::max_element(parts.begin(), parts.end(), [](Vips a, Vips b) { return a.size() < b.size(); });
    if (fullest->size() == 1) break;
    const unsigned position = common_prefix(*fullest).length;
    auto middle = std::find_if(fullest->begin(), fullest->end(),
                               [&](const VipRules& vip) { return bit_at(vip.vip, position); });
    const auto left = static_cast<std::size_t>(middle - fullest->begin());
    const Vips right = fullest->subspan(left);
    *fullest = fullest->first(left);
    parts.insert(fullest + 1, right);
  }
  return parts;
}

void append(Chain& chain, Services services) {
  for (const ServiceRules& service : services) {
    chain.insert(chain.end(), service.rules.begin(), service.rules.end());
  }
}

class DispatchBuilder {
 public:
  DispatchBuilder(std::string root, LookAt look_at, ChainNames& names, std::map<std::string, Chain>& chains)
      : root_(std::move(root)), look_at_(look_at), names_(names), chains_(chains) {}

  void build(Vips vips) {
    const Prefix prefix = common_prefix(vips);
    const bool one_test_decides = count_services(vips) > kLeafMax && prefix.length > 0;
    chains_[root_] = one_test_decides ? Chain{address_choice(prefix, vips)} : chain_of(vips);
  }

 private:
  Chain chain_of(Vips vips) {
    if (vips.size() == 1) return chain_of(vips.front());
    Chain chain;
    if (count_services(vips) <= kLeafMax) {
      for (const VipRules& vip : vips) {
        append(chain, vip.services);
      }
      return chain;
    }
    for (Vips part : split(vips)) {
      if (count_services(part) == 1) {
        append(chain, part.front().services);  // a chain of its own would only add a test
      } else {
        chain.push_back(address_choice(common_prefix(part), part));
      }
    }
    return chain;
  }

  Chain chain_of(const VipRules& vip) {
    Chain chain;
    const Services services = vip.services;
    if (services.size() <= kVipListMax) {
      append(chain, services);
      return chain;
    }
    // Most specific first means: those with a port, then the others.
    const auto with_port = static_cast<std::size_t>(
        std::find_if(services.begin(), services.end(), [](const auto& s) { return s.port == 0; }) -
        services.begin());
    const Services others = services.subspan(with_port);
    Chain rest;
    if (!others.empty()) {
      const std::string name = vip.vip.to_string();
      Rule rule;
      rule.target = Goto{names_.make(name, root_ + " rest " + name)};
      append(chains_[std::get<Goto>(rule.target).chain], others);
      rest.push_back(std::move(rule));
    }
    for (core::Protocol protocol : {core::Protocol::tcp, core::Protocol::udp, core::Protocol::sctp}) {
      std::vector<ServiceRules> ports;
      std::copy_if(services.begin(), services.begin() + static_cast<std::ptrdiff_t>(with_port),
                   std::back_inserter(ports), [&](const auto& s) { return s.protocol == protocol; });
      if (ports.empty()) continue;
      std::sort(ports.begin(), ports.end(), [](const auto& a, const auto& b) { return a.port < b.port; });
      Rule rule;
      rule.protocol = protocol;
      rule.target = Goto{add_ports(vip.vip, ports, rest)};
      chain.push_back(std::move(rule));
    }
    chain.insert(chain.end(), rest.begin(), rest.end());
    return chain;
  }

  // `ports`: services of one VIP and protocol, sorted by port. `rest`: what to do with every other port.
  std::string add_ports(const core::IpAddress& vip, Services ports, const Chain& rest) {
    Chain chain;
    const std::size_t parts = ports.size() <= kLeafMax ? ports.size() : kTreeWidth;
    for (std::size_t i = 0; i < parts; ++i) {
      const std::size_t begin = ports.size() * i / parts;
      const std::size_t end = ports.size() * (i + 1) / parts;
      const Services part = ports.subspan(begin, end - begin);
      if (part.size() == 1) {
        append(chain, part);
      } else {
        Rule rule = port_test(part.front().protocol, {part.front().port, part.back().port});
        rule.target = Goto{add_ports(vip, part, rest)};
        chain.push_back(std::move(rule));
      }
    }
    chain.insert(chain.end(), rest.begin(), rest.end());
    const std::string range = std::to_string(ports.front().port) + '-' + std::to_string(ports.back().port);
    const auto protocol = core::to_string(ports.front().protocol);
    std::string name = names_.make(std::string(protocol) + range,
                                   root_ + ' ' + vip.to_string() + ' ' + std::string(protocol) + ' ' + range);
    chains_.emplace(name, std::move(chain));
    return name;
  }

  Rule address_choice(const Prefix& prefix, Vips vips) {
    Rule rule;
    if (look_at_ == LookAt::packet) {
      rule.destination = Destination{prefix};
    } else {
      Conntrack conntrack;
      conntrack.original_destination = prefix;
      rule.matches.emplace_back(conntrack);
    }
    const std::string address = prefix.address.to_string();
    std::string name = names_.make(address, root_ + ' ' + address + '/' + std::to_string(prefix.length));
    chains_.emplace(name, chain_of(vips));
    rule.target = Goto{std::move(name)};
    return rule;
  }

  Rule port_test(core::Protocol protocol, PortRange ports) const {
    Rule rule;
    rule.protocol = protocol;
    if (look_at_ == LookAt::packet) {
      rule.matches.emplace_back(DestinationPort{ports});
    } else {
      Conntrack conntrack;
      conntrack.original_port = ports;
      rule.matches.emplace_back(conntrack);
    }
    return rule;
  }

  std::string root_;
  LookAt look_at_;
  ChainNames& names_;
  std::map<std::string, Chain>& chains_;
};

}  // namespace

void add_dispatch(std::string root, std::vector<VipRules> vips, LookAt look_at, ChainNames& names,
                  std::map<std::string, Chain>& chains) {
  assert(!vips.empty());
  std::sort(vips.begin(), vips.end(), [](const auto& a, const auto& b) { return a.vip < b.vip; });
  DispatchBuilder(std::move(root), look_at, names, chains).build(vips);
}

}  // namespace nfsteer::rules
