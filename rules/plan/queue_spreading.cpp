#include "plan/queue_spreading.hpp"

#include <cassert>

#include <linux/filter.h>

namespace nfsteer::rules {

namespace {

constexpr std::uint32_t kMixFirst = 0x9e3779b1;   // odd, about 2^32 / golden ratio
constexpr std::uint32_t kMixSecond = 0x85ebca6b;  // odd, bits well spread

// Appends instructions; jumps to "no match" are written with a placeholder and resolved by finish().
class BpfWriter {
 public:
  void add(unsigned code, std::uint32_t k = 0) {
    bpf_.program.push_back({static_cast<std::uint16_t>(code), 0, 0, k});
  }
  // Goes on where `A <op> k` is what we want, leaves without a match otherwise.
  void require(unsigned op, std::uint32_t k, bool wanted) {
    add(BPF_JMP | op | BPF_K, k);
    (wanted ? bpf_.program.back().jump_false : bpf_.program.back().jump_true) = kToEnd;
  }
  // Goes on where A is one of three values.
  void require_one_of(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    add(BPF_JMP | BPF_JEQ | BPF_K, a);
    bpf_.program.back().jump_true = 2;
    add(BPF_JMP | BPF_JEQ | BPF_K, b);
    bpf_.program.back().jump_true = 1;
    require(BPF_JEQ, c, true);
  }
  Bpf finish() {
    add(BPF_RET | BPF_K, 1);
    const std::size_t end = bpf_.program.size();
    add(BPF_RET | BPF_K, 0);
    for (std::size_t i = 0; i < end; ++i) {
      const auto distance = static_cast<std::uint8_t>(end - i - 1);
      BpfInstruction& instruction = bpf_.program[i];
      if (instruction.jump_true == kToEnd) instruction.jump_true = distance;
      if (instruction.jump_false == kToEnd) instruction.jump_false = distance;
    }
    return std::move(bpf_);
  }

 private:
  static constexpr std::uint8_t kToEnd = 255;
  Bpf bpf_;
};

// Leaves the two ports, one word, in X. Offsets: RFC 791 and RFC 8200; tcp, udp and sctp begin with their
// ports alike.
void load_ports(Family family, BpfWriter& out) {
  const bool v4 = family == Family::ipv4;
  out.add(BPF_LD | BPF_B | BPF_ABS, v4 ? 9 : 6);  // protocol, next header
  out.require_one_of(static_cast<std::uint32_t>(core::Protocol::tcp),
                     static_cast<std::uint32_t>(core::Protocol::udp),
                     static_cast<std::uint32_t>(core::Protocol::sctp));
  if (v4) {
    out.add(BPF_LD | BPF_H | BPF_ABS, 6);
    out.require(BPF_JSET, 0x1fff, false);   // fragment offset
    out.add(BPF_LDX | BPF_B | BPF_MSH, 0);  // X = header length
    out.add(BPF_LD | BPF_W | BPF_IND, 0);
  } else {
    out.add(BPF_LD | BPF_W | BPF_ABS, 40);
  }
  out.add(BPF_MISC | BPF_TAX);
}

}  // namespace

Bpf worker_match(Family family, unsigned workers, unsigned first, unsigned last) {
  assert(first < last && last <= workers && workers <= core::kWorkersMax);
  BpfWriter out;
  load_ports(family, out);
  out.add(BPF_LD | BPF_W | BPF_ABS, family == Family::ipv4 ? 12 : 20);  // source address, its low word
  out.add(BPF_ALU | BPF_ADD | BPF_X);
  out.add(BPF_ALU | BPF_MUL | BPF_K, kMixFirst);
  out.add(BPF_MISC | BPF_TAX);
  out.add(BPF_ALU | BPF_RSH | BPF_K, 15);
  out.add(BPF_ALU | BPF_XOR | BPF_X);
  out.add(BPF_ALU | BPF_MUL | BPF_K, kMixSecond);
  out.add(BPF_ALU | BPF_RSH | BPF_K, 16);
  out.add(BPF_ALU | BPF_MUL | BPF_K,
          workers);  // 16 bits times at most 64: scales to [0, workers) without a division
  out.add(BPF_ALU | BPF_RSH | BPF_K, 16);
  if (first > 0) out.require(BPF_JGE, first, true);
  if (last < workers) out.require(BPF_JGE, last, false);
  return out.finish();
}

std::string queue_chain_name(core::QueueGroup group) {
  return std::string(kChainPrefix).append("-Q-").append(core::to_string(group));
}

namespace {

class QueueChains {
 public:
  QueueChains(Family family, const core::QueueLayout& layout, core::QueueGroup group,
              std::map<std::string, Chain>& chains)
      : family_(family), layout_(layout), group_(group), chains_(chains) {}

  void add_root() {
    Chain chain;
    const unsigned workers = layout_.workers;
    if (workers <= kQueueListMax) {
      for (unsigned worker = 0; worker < workers; ++worker) {
        chain.push_back(tested(worker, worker + 1, queue(worker)));
      }
    } else {
      const unsigned middle = workers / 2;
      chain.push_back(tested(0, middle, Goto{add(0, middle)}));
      chain.push_back(tested(middle, workers, Goto{add(middle, workers)}));
    }
    // What has no ports matches no program.
    chain.push_back({.destination = {},
                     .protocol = {},
                     .matches = {},
                     .target = Nfqueue{layout_.first_of(group_), layout_.workers}});
    chains_.emplace(queue_chain_name(group_), std::move(chain));
  }

 private:
  // A chain that only packets of the workers [first, last) enter; the last choice needs no test.
  std::string add(unsigned first, unsigned last) {
    Chain chain;
    if (last - first <= kQueueListMax) {
      for (unsigned worker = first; worker + 1 < last; ++worker) {
        chain.push_back(tested(worker, worker + 1, queue(worker)));
      }
      chain.push_back({.destination = {}, .protocol = {}, .matches = {}, .target = queue(last - 1)});
    } else {
      const unsigned middle = first + (last - first) / 2;
      chain.push_back(tested(first, middle, Goto{add(first, middle)}));
      chain.push_back({.destination = {}, .protocol = {}, .matches = {}, .target = Goto{add(middle, last)}});
    }
    std::string name =
        queue_chain_name(group_) + '-' + std::to_string(first) + '-' + std::to_string(last - 1);
    chains_.emplace(name, std::move(chain));
    return name;
  }

  Nfqueue queue(unsigned worker) const { return {layout_.queue(group_, worker), 1}; }

  Rule tested(unsigned first, unsigned last, Target target) const {
    return {.destination = {},
            .protocol = {},
            .matches = {worker_match(family_, layout_.workers, first, last)},
            .target = std::move(target)};
  }

  Family family_;
  const core::QueueLayout& layout_;
  core::QueueGroup group_;
  std::map<std::string, Chain>& chains_;
};

}  // namespace

void add_queue_chains(Family family, const core::QueueLayout& layout, core::QueueGroup group, bool by_port,
                      std::map<std::string, Chain>& chains) {
  if (by_port && layout.workers > 1) {
    QueueChains(family, layout, group, chains).add_root();
    return;
  }
  Rule balance;
  balance.target = Nfqueue{layout.first_of(group), layout.workers};
  chains.emplace(queue_chain_name(group), Chain{balance});
}

}  // namespace nfsteer::rules
