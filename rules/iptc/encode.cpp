#include "iptc/encode.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "iptc/xtables.hpp"

namespace nfsteer::rules {

namespace {

template <typename Address>
void put_address(const core::IpAddress& address, Address& out) {
  const auto bytes = address.bytes();
  assert(bytes.size() <= sizeof out);
  std::memcpy(&out, bytes.data(), bytes.size());
}

template <typename Address>
void put_mask(std::uint8_t length, Address& out) {
  std::array<std::uint8_t, sizeof out> bytes{};
  for (std::size_t i = 0; i < length; ++i) {
    bytes[i / 8] = static_cast<std::uint8_t>(bytes[i / 8] | 0x80U >> i % 8);
  }
  std::memcpy(&out, bytes.data(), bytes.size());
}

void put_header(const Rule& rule, ipt_entry& entry) {
  entry.ip.proto = static_cast<std::uint16_t>(rule.protocol);
  if (std::holds_alternative<Goto>(rule.target)) entry.ip.flags = IPT_F_GOTO;
  if (!rule.destination) return;
  put_address(rule.destination->prefix.address, entry.ip.dst);
  put_mask(rule.destination->prefix.length, entry.ip.dmsk);
  if (rule.destination->negated) entry.ip.invflags = IPT_INV_DSTIP;
}

void put_header(const Rule& rule, ip6t_entry& entry) {
  entry.ipv6.proto = static_cast<std::uint16_t>(rule.protocol);
  if (rule.protocol != core::Protocol::any) entry.ipv6.flags = IP6T_F_PROTO;
  if (std::holds_alternative<Goto>(rule.target)) entry.ipv6.flags |= IP6T_F_GOTO;
  if (!rule.destination) return;
  put_address(rule.destination->prefix.address, entry.ipv6.dst);
  put_mask(rule.destination->prefix.length, entry.ipv6.dmsk);
  if (rule.destination->negated) entry.ipv6.invflags = IP6T_INV_DSTIP;
}

// An entry under construction. Everything is written in place into zeroed memory: the kernel keeps padding as
// it got it, so padding takes part in comparisons.
class Blocks {
 public:
  explicit Blocks(std::size_t entry_size) : bytes_(aligned(entry_size)) {}

  // Appends a match or target; the result, its data, is valid until the next call. `Header` is xt_entry_match
  // or xt_entry_target, both the same shape.
  template <typename Header, typename Data>
  Data& add(std::string_view name, std::uint8_t revision) {
    const std::size_t at = bytes_.size();
    const std::size_t size = aligned(sizeof(Header) + sizeof(Data));
    bytes_.resize(at + size);
    auto* header = reinterpret_cast<Header*>(bytes_.data() + at);
    if constexpr (std::is_same_v<Header, xt_entry_match>) {
      header->u.user.match_size = static_cast<std::uint16_t>(size);
    } else {
      header->u.user.target_size = static_cast<std::uint16_t>(size);
    }
    assert(name.size() < sizeof header->u.user.name);
    set_name(header->u.user.name, name);
    header->u.user.revision = revision;
    return *reinterpret_cast<Data*>(bytes_.data() + at + sizeof(Header));
  }

  template <typename Entry>
  Entry& entry() {
    return *reinterpret_cast<Entry*>(bytes_.data());
  }
  std::uint16_t size() const { return static_cast<std::uint16_t>(bytes_.size()); }
  std::vector<std::byte> finish() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

struct MatchEncoder {
  const Rule& rule;
  Blocks& out;

  template <typename Data>
  Data& add(std::string_view name, std::uint8_t revision) const {
    return out.add<xt_entry_match, Data>(name, revision);
  }

  void operator()(const DestinationPort& match) const {
    const auto put = [&](auto& info) {
      info.spts[1] = 0xffff;
      info.dpts[0] = match.ports.first;
      info.dpts[1] = match.ports.last;
    };
    if (rule.protocol == core::Protocol::sctp) {
      auto& info = add<xt_sctp_info>("sctp", revision::kPorts);
      put(info);
      info.flags = XT_SCTP_DEST_PORTS;
    } else if (rule.protocol == core::Protocol::udp) {
      put(add<xt_udp>("udp", revision::kPorts));
    } else {
      assert(rule.protocol == core::Protocol::tcp);
      put(add<xt_tcp>("tcp", revision::kPorts));
    }
  }

  void operator()(const Conntrack& match) const {
    auto& info = add<xt_conntrack_mtinfo3>("conntrack", revision::kConntrack);
    auto ask = [&](unsigned what) { info.match_flags = static_cast<std::uint16_t>(info.match_flags | what); };
    if (match.states != 0) {
      ask(XT_CONNTRACK_STATE);
      unsigned mask = 0;
      if ((match.states & Conntrack::kNew) != 0) mask |= XT_CONNTRACK_STATE_BIT(IP_CT_NEW);
      if ((match.states & Conntrack::kEstablished) != 0) mask |= XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED);
      if ((match.states & Conntrack::kDnat) != 0) mask |= XT_CONNTRACK_STATE_DNAT;
      info.state_mask = static_cast<std::uint16_t>(mask);
      if (match.not_states) info.invert_flags = XT_CONNTRACK_STATE;
    }
    if (match.original_destination) {
      ask(XT_CONNTRACK_ORIGDST);
      put_address(match.original_destination->address, info.origdst_addr);
      put_mask(match.original_destination->length, info.origdst_mask);
    }
    if (match.original_port) {
      ask(XT_CONNTRACK_ORIGDST_PORT);
      info.origdst_port = match.original_port->first;  // host byte order since revision 3
      info.origdst_port_high = match.original_port->last;
    }
    if (match.original_direction) ask(XT_CONNTRACK_DIRECTION);
  }

  void operator()(const Statistic& match) const {
    auto& info = add<xt_statistic_info>("statistic", revision::kStatistic);
    info.mode = XT_STATISTIC_MODE_RANDOM;
    info.u.random.probability = match.probability;
  }

  void operator()(const Bpf& match) const {
    assert(match.program.size() <= XT_BPF_MAX_NUM_INSTR);
    auto& info = add<xt_bpf_info_v1>("bpf", revision::kBpf);
    info.mode = XT_BPF_MODE_BYTECODE;
    info.bpf_program_num_elem = static_cast<std::uint16_t>(match.program.size());
    std::transform(match.program.begin(), match.program.end(), info.bpf_program,
                   [](const BpfInstruction& from) {
                     return sock_filter{from.code, from.jump_true, from.jump_false, from.k};
                   });
  }

  void operator()(const Recent& match) const {
    auto& info = add<xt_recent_mtinfo_v1>("recent", revision::kRecent);
    switch (match.act) {
      case Recent::Act::enter:
        info.check_set = XT_RECENT_SET;
        break;
      case Recent::Act::refresh:
        info.check_set = XT_RECENT_UPDATE | XT_RECENT_REAP;
        break;
      case Recent::Act::ask:
        info.check_set = XT_RECENT_CHECK | XT_RECENT_REAP;
        break;
    }
    info.seconds = match.seconds;
    assert(!match.list.empty() && match.list.size() < sizeof info.name);
    set_name(info.name, match.list);
    info.side = XT_RECENT_SOURCE;
    put_mask(match.prefix, info.mask);  // of an IPv4 client the kernel masks the first four bytes
  }

  void operator()(const Comment& match) const {
    auto& info = add<xt_comment_info>("comment", revision::kComment);
    assert(match.text.size() < sizeof info.comment);
    std::memcpy(info.comment, match.text.data(), match.text.size());
  }
};

struct TargetEncoder {
  Family family;
  Blocks& out;

  template <typename Data>
  Data& add(std::string_view name, std::uint8_t revision) const {
    return out.add<xt_entry_target, Data>(name, revision);
  }
  // libiptc turns the name of a chain or verdict into the number the kernel wants.
  void add_standard(std::string_view name) const { add<int>(name, 0); }

  void operator()(const Jump& target) const { add_standard(target.chain); }
  void operator()(const Goto& target) const { add_standard(target.chain); }
  void operator()(const Return&) const { add_standard("RETURN"); }
  void operator()(const Drop&) const { add_standard("DROP"); }

  void operator()(const Nfqueue& target) const {
    auto& info = add<xt_NFQ_info_v3>("NFQUEUE", revision::kNfqueue);
    info.queuenum = target.first;
    info.queues_total = target.count;
    info.flags = NFQ_FLAG_BYPASS;
  }

  void operator()(const Netmap& target) const {
    const unsigned flags = NF_NAT_RANGE_MAP_IPS | (target.port != 0 ? NF_NAT_RANGE_PROTO_SPECIFIED : 0U);
    const std::uint16_t port = htons(target.port);
    // Bits in which both ends agree come from the rule, the others from the packet (xt_NETMAP.c): here all
    // do.
    if (family == Family::ipv4) {
      auto& info = add<nf_nat_ipv4_multi_range_compat>("NETMAP", revision::kNetmap);
      info.rangesize = 1;
      info.range[0].flags = flags;
      info.range[0].max_ip = 0xffffffff;
      info.range[0].min.all = info.range[0].max.all = port;
    } else {
      auto& info = add<nf_nat_range>("NETMAP", revision::kNetmap);
      info.flags = flags;
      std::memset(&info.max_addr, 0xff, sizeof info.max_addr);
      info.min_proto.all = info.max_proto.all = port;
    }
  }

  void operator()(const Dnat& target) const {
    auto& info = add<nf_nat_range2>("DNAT", revision::kDnat);
    info.flags = NF_NAT_RANGE_MAP_IPS | (target.port != 0 ? NF_NAT_RANGE_PROTO_SPECIFIED : 0U);
    put_address(target.address, info.min_addr);
    put_address(target.address, info.max_addr);
    info.min_proto.all = info.max_proto.all = htons(target.port);
  }

  void operator()(const Masquerade&) const {
    if (family == Family::ipv4) {
      auto& info = add<nf_nat_ipv4_multi_range_compat>("MASQUERADE", revision::kMasquerade);
      info.rangesize = 1;
    } else {
      add<nf_nat_range>("MASQUERADE", revision::kMasquerade);
    }
  }

  void operator()(const Reject& target) const {
    const bool reset = target.with == Reject::With::tcp_reset;
    if (family == Family::ipv4) {
      add<ipt_reject_info>("REJECT", revision::kReject).with =
          reset ? IPT_TCP_RESET : IPT_ICMP_PORT_UNREACHABLE;
    } else {
      add<ip6t_reject_info>("REJECT", revision::kReject).with =
          reset ? IP6T_TCP_RESET : IP6T_ICMP6_PORT_UNREACH;
    }
  }
};

template <typename Entry>
EncodedRule encode_as(Family family, const Rule& rule) {
  Blocks blocks(sizeof(Entry));
  for (const Match& match : rule.matches) {
    std::visit(MatchEncoder{rule, blocks}, match);
  }
  const std::uint16_t target_offset = blocks.size();
  std::visit(TargetEncoder{family, blocks}, rule.target);

  auto& entry = blocks.entry<Entry>();
  put_header(rule, entry);
  entry.target_offset = target_offset;
  entry.next_offset = blocks.size();
  EncodedRule encoded{.bytes = blocks.finish(), .counters = {}, .comment = {}};
  for (const Match& match : rule.matches) {
    if (const auto* comment = std::get_if<Comment>(&match)) encoded.comment = comment->text;
  }
  return encoded;
}

}  // namespace

EncodedRule encode(Family family, const Rule& rule) {
  return family == Family::ipv4 ? encode_as<ipt_entry>(family, rule) : encode_as<ip6t_entry>(family, rule);
}

EncodedTable encode(Family family, const Table& table) {
  EncodedTable encoded;
  for (const auto& [name, chain] : table.chains) {
    std::vector<EncodedRule>& rules = encoded.chains[name];
    std::transform(chain.begin(), chain.end(), std::back_inserter(rules),
                   [&](const Rule& rule) { return encode(family, rule); });
  }
  for (const auto& [built_in, chain] : table.jumps) {
    encoded.jumps.emplace(to_string(built_in), chain);
  }
  return encoded;
}

}  // namespace nfsteer::rules
