#include "walk/bpf.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <optional>

#include <linux/filter.h>

#include "core/service.hpp"

namespace nfsteer::rules {
namespace {

using Bytes = std::span<const std::uint8_t>;

bool has_ports(std::uint8_t protocol) {
  return protocol == static_cast<std::uint8_t>(core::Protocol::tcp) ||
         protocol == static_cast<std::uint8_t>(core::Protocol::udp) ||
         protocol == static_cast<std::uint8_t>(core::Protocol::sctp);
}

class Machine {
 public:
  explicit Machine(Bytes packet) : packet_(packet) {}

  std::uint32_t run(std::span<const BpfInstruction> program) {
    for (std::size_t at = 0; at < program.size(); ++at) {
      const BpfInstruction& each = program[at];
      switch (BPF_CLASS(each.code)) {
        case BPF_RET:
          return each.k;
        case BPF_JMP:
          at += jump_taken(each) ? each.jump_true : each.jump_false;
          break;
        default:
          if (!step(each)) return 0;
      }
    }
    assert(false && "a program ends with a return");
    return 0;
  }

 private:
  bool jump_taken(const BpfInstruction& each) const {
    switch (BPF_OP(each.code)) {
      case BPF_JEQ:
        return a_ == each.k;
      case BPF_JGE:
        return a_ >= each.k;
      case BPF_JSET:
        return (a_ & each.k) != 0;
    }
    assert(false && "no such jump is ever planned");
    return false;
  }

  // False: the program ends here.
  bool step(const BpfInstruction& each) {
    switch (BPF_CLASS(each.code)) {
      case BPF_LD: {
        const std::size_t from = BPF_MODE(each.code) == BPF_IND ? std::size_t{x_} + each.k : each.k;
        const std::size_t size = BPF_SIZE(each.code) == BPF_W ? 4 : BPF_SIZE(each.code) == BPF_H ? 2 : 1;
        const auto value = load(from, size);
        a_ = value.value_or(0);
        return value.has_value();
      }
      case BPF_LDX: {
        assert(BPF_MODE(each.code) == BPF_MSH);
        const auto value = load(each.k, 1);
        x_ = (value.value_or(0) & 0xf) * 4;
        return value.has_value();
      }
      case BPF_MISC:
        assert(BPF_MISCOP(each.code) == BPF_TAX);
        x_ = a_;
        return true;
      default:
        return calculate(BPF_OP(each.code), BPF_SRC(each.code) == BPF_X ? x_ : each.k);
    }
  }

  bool calculate(unsigned operation, std::uint32_t operand) {
    switch (operation) {
      case BPF_ADD:
        a_ += operand;
        return true;
      case BPF_MUL:
        a_ *= operand;
        return true;
      case BPF_RSH:
        a_ >>= operand;
        return true;
      case BPF_XOR:
        a_ ^= operand;
        return true;
    }
    assert(false && "no such operation is ever planned");
    return false;
  }

  std::optional<std::uint32_t> load(std::size_t from, std::size_t size) const {
    if (from + size > packet_.size()) return std::nullopt;
    std::uint32_t value = 0;
    for (const std::uint8_t each : packet_.subspan(from, size))
      value = value << 8 | each;
    return value;
  }

  Bytes packet_;
  std::uint32_t a_ = 0;
  std::uint32_t x_ = 0;
};

}  // namespace

std::vector<std::uint8_t> head_of(const core::FlowKey& flow) {
  const bool v4 = flow.family == core::Family::ipv4;
  std::vector<std::uint8_t> head(v4 ? 20 : 40);  // RFC 791, RFC 8200
  head[0] = v4 ? 0x45 : 0x60;
  head[v4 ? 9 : 6] = flow.protocol;
  const std::ptrdiff_t length = v4 ? 4 : 16;
  const auto source = head.begin() + (v4 ? 12 : 8);
  std::copy_n(flow.source.begin(), length, source);
  std::copy_n(flow.destination.begin(), length, source + length);
  if (has_ports(flow.protocol)) {
    for (const std::uint16_t port : {flow.source_port, flow.destination_port}) {
      head.push_back(static_cast<std::uint8_t>(port >> 8));
      head.push_back(static_cast<std::uint8_t>(port));
    }
  }
  return head;
}

bool matches(const Bpf& bpf, Bytes packet) {
  return Machine(packet).run(bpf.program) != 0;
}

}  // namespace nfsteer::rules
