// Reading what the kernel queued, building what it is answered. One operation is one packet.
#include <memory>

#include "fixtures.hpp"
#include "netlink/nfqueue_message.hpp"
#include "netlink/verdict_batch.hpp"
#include "registry.hpp"

namespace nfsteer::micro {
namespace {

constexpr std::size_t kBatch = 64;  // as a worker sends them
constexpr std::size_t kBatchBytesMax = std::size_t{1} << 18;

void add_verdict(const Registry& registry, const std::string& name, Bytes payload) {
  registry.add("verdict/" + name, [payload] {
    return [payload, id = 0U, batch = std::make_unique<netlink::VerdictBatch>(kBatchBytesMax)]() mutable {
      if (payload.empty())
        batch->accept(0, ++id);
      else
        batch->accept(0, ++id, payload);
      if (batch->size() == kBatch || batch->full()) {
        benchmark::DoNotOptimize(batch->parts(0, batch->size()));
        batch->clear();
      }
    };
  });
}

}  // namespace

void add_netlink(const Registry& registry) {
  for (const Fixture& each : {kFirstPackets[0], kFirstPackets[1]}) {
    registry.add("queue_message/" + each.name, [packet = sample(each.sample)] {
      return [datagram = queue_message(packet)]() mutable {
        netlink::MessageReader messages(datagram);
        for (netlink::Message message; messages.next(message);)
          benchmark::DoNotOptimize(message);
      };
    });
  }
  add_verdict(registry, "accept", {});
  add_verdict(registry, "rewritten/60", sample("TCP SYN"));  // copied
  add_verdict(registry, "rewritten/1500", tcp_data(1500));   // referenced
  add_verdict(registry, "rewritten/65531", tcp_data(netlink::kCopyRangeMax));
}

}  // namespace nfsteer::micro
