// What happens to one packet, from the bytes that the kernel queued to the verdict.
//
// Each operation works on a fresh copy of its packet with another source port: a new flow. The copy is part
// of what is measured; it is small beside the rest.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

#include "core/bytes.hpp"
#include "core/random.hpp"
#include "core/rewrite.hpp"
#include "core/steering.hpp"
#include "fixtures.hpp"
#include "netlink/nfqueue_message.hpp"
#include "netlink/verdict_batch.hpp"
#include "policy/catalogue.hpp"
#include "registry.hpp"

namespace nfsteer::micro {
namespace {

constexpr std::uint64_t kSeed = 0x9d5c2f6a01b3e847;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kBatchBytesMax = std::size_t{1} << 18;
constexpr std::uint32_t kCountsOfPath[] = {2, 1000};
constexpr std::size_t kIcmpIdentifier = 4;

// The steps alone: no service to find, no cache to ask, nothing counted.
void add_steps(const Registry& registry) {
  for (const std::uint32_t count : kCountsOfPath) {
    registry.add("syn_parse_hash_pick_rewrite/" + std::to_string(count), [count] {
      const auto to = backends(core::Family::ipv4, count);
      const Bytes syn = sample("TCP SYN");
      return [syn, packet = syn, to, picker = policy::build({}, {to}), random = core::Random(1),
              port = std::uint16_t{0}, source_port = parsed(syn).l4_offset]() mutable {
        std::memcpy(packet.data(), syn.data(), syn.size());
        core::store_be16(packet.data() + source_port, ++port);
        core::ParsedPacket headers;
        benchmark::DoNotOptimize(core::parse_packet(packet, packet.size(), headers));
        benchmark::DoNotOptimize(headers.flow.hash(kSeed));
        core::PickContext context{random};
        const auto index = picker->pick(headers.flow, context);
        benchmark::DoNotOptimize(core::rewrite_destination(packet, headers, to[*index].address,
                                                           to[*index].port, core::ChecksumState::complete));
        benchmark::ClobberMemory();
      };
    });
  }
}

// A worker without its sockets: message, steering, verdict.
class Worker {
 public:
  Worker(core::Mode mode, std::uint32_t count, const Bytes& packet)
      : snapshot_(snapshot(mode, count)), message_(queue_message(packet)), datagram_(message_) {
    counters_.backends.grow(slots(count));
    counters_.services.grow(2);
    const core::ParsedPacket headers = parsed(packet);
    flow_at_ = kQueueMessageHeadBytes + headers.l4_offset;
    if (!core::has_ports(headers.transport)) flow_at_ += kIcmpIdentifier;
  }

  // The first packet of a flow that the cache does not know.
  core::Verdict new_flow() {
    ++packets_;
    std::memcpy(datagram_.data(), message_.data(), message_.size());
    core::store_be16(datagram_.data() + flow_at_, static_cast<std::uint16_t>(packets_));
    return answer(core::QueueGroup::first);
  }

  // A packet of the flow that the last new_flow() began; the first bytes are all that a rewrite changes.
  core::Verdict later_packet(core::QueueGroup group) {
    std::memcpy(datagram_.data(), message_.data(), std::min<std::size_t>(message_.size(), 128));
    core::store_be16(datagram_.data() + flow_at_, static_cast<std::uint16_t>(packets_));
    return answer(group);
  }

  void later_packets_are_unsummed() { checksum_partial_ = true; }

 private:
  // When every port has been used, the cache has forgotten them all.
  std::uint32_t now_s() const { return (packets_ >> 16) * (core::Steering::kPinned_s + 1); }

  core::Verdict answer(core::QueueGroup group) {
    auto verdict = core::Verdict::drop;
    netlink::MessageReader messages(datagram_);
    for (netlink::Message message; messages.next(message);) {
      const netlink::QueuedPacket& packet = message.packet;
      verdict =
          steering_.steer(snapshot_, group, {packet.payload, packet.full_length, checksum_partial_}, now_s());
      if (verdict == core::Verdict::accept_rewritten)
        batch_.accept(packet.queue, packet.id, packet.payload);
      else
        batch_.accept(packet.queue, packet.id);
    }
    if (batch_.size() >= kBatch || batch_.full()) {
      benchmark::DoNotOptimize(batch_.parts(0, batch_.size()));
      batch_.clear();
    }
    return verdict;
  }

  core::Snapshot snapshot_;
  Bytes message_;
  Bytes datagram_;
  std::size_t flow_at_ = 0;  // what tells flows apart: the source port, or the identifier of an echo
  std::uint32_t packets_ = 0;
  bool checksum_partial_ = false;
  core::WorkerCounters counters_;
  core::Steering steering_{core::Random(1), kSeed, counters_};
  netlink::VerdictBatch batch_{kBatchBytesMax};
};

// A benchmark of packets that are not steered would show fine figures.
void expect(core::Verdict verdict, core::Verdict expected) {
  if (verdict != expected) throw std::logic_error("a packet that is not steered as it should be");
}

void add_new_flows(const Registry& registry) {
  for (const Fixture& each : kFirstPackets) {
    for (const std::uint32_t count : kCountsOfPath) {
      registry.add("new_flow/" + each.name + "/" + std::to_string(count),
                   [packet = sample(each.sample), count] {
                     auto worker = std::make_unique<Worker>(core::Mode::connection, count, packet);
                     expect(worker->new_flow(), core::Verdict::accept_rewritten);
                     return [worker = std::move(worker)] { worker->new_flow(); };
                   });
    }
  }
}

void add_later_packets(const Registry& registry) {
  const auto add = [&](const std::string& name, core::Mode mode, core::QueueGroup group, std::size_t length,
                       bool unsummed) {
    registry.add("later_packet/" + name + "/" + std::to_string(length), [mode, group, length, unsummed] {
      auto worker = std::make_unique<Worker>(mode, 2, tcp_data(length));
      expect(worker->new_flow(), core::Verdict::accept_rewritten);
      if (unsummed) worker->later_packets_are_unsummed();
      expect(worker->later_packet(group),
             mode == core::Mode::rewrite ? core::Verdict::accept_rewritten : core::Verdict::accept);
      return [worker = std::move(worker), group] { worker->later_packet(group); };
    });
  };
  add("inspect", core::Mode::inspect, core::QueueGroup::inspect, 128, false);
  add("rewrite_incremental", core::Mode::rewrite, core::QueueGroup::rewrite, 1500, false);
  add("rewrite_full", core::Mode::rewrite, core::QueueGroup::rewrite, 1500, true);
  add("rewrite_full", core::Mode::rewrite, core::QueueGroup::rewrite, netlink::kCopyRangeMax, true);
}

}  // namespace

void add_paths(const Registry& registry) {
  add_steps(registry);
  add_new_flows(registry);
  add_later_packets(registry);
}

}  // namespace nfsteer::micro
