#include "experiment/capture_file.hpp"

#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "config/places.hpp"
#include "core/bytes.hpp"
#include "core/packet.hpp"

namespace nfsteer::experiment {
namespace {

using Bytes = std::span<const std::uint8_t>;

struct Close {
  void operator()(pcap_t* file) const { pcap_close(file); }
};

struct Hash {
  std::size_t operator()(const core::FlowKey& key) const { return key.hash(0); }
};

constexpr std::uint16_t kVlan = 0x8100, kServiceVlan = 0x88a8;

// Length of an Ethernet header, its VLAN tags included.
std::size_t ethernet_header(Bytes packet) {
  std::size_t at = 12;
  while (at + 2 <= packet.size()) {
    const std::uint16_t type = core::load_be16(packet.data() + at);
    if (type != kVlan && type != kServiceVlan) break;
    at += 4;
  }
  return at + 2;
}

// Bytes before the IP header; nothing: not a link whose packets we know
// (https://www.tcpdump.org/linktypes.html).
std::optional<std::size_t> link_header(int link, Bytes packet) {
  switch (link) {
    case DLT_EN10MB:
      return ethernet_header(packet);
    case DLT_LINUX_SLL:
      return 16;
    case DLT_LINUX_SLL2:
      return 20;
    case DLT_NULL:
    case DLT_LOOP:
      return 4;
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
      return 0;
    default:
      return std::nullopt;
  }
}

core::FlowKey reversed(const core::FlowKey& key) {
  core::FlowKey back = key;
  std::swap(back.source, back.destination);
  std::swap(back.source_port, back.destination_port);
  return back;
}

// Collects flows from packets.
class Flows {
 public:
  explicit Flows(std::optional<core::IpAddress> vip) : vip_(std::move(vip)) {}

  void add(Bytes packet, std::size_t full_length, std::int64_t time) {
    core::ParsedPacket parsed;
    if (core::parse_packet(packet, full_length, parsed) != core::ParseOutcome::ok) return;
    if (parsed.fragment == core::Fragment::later) return;
    if (vip_ && parsed.flow.destination_address() != *vip_) return;
    if (seen_.contains(reversed(parsed.flow)) || !seen_.insert(parsed.flow).second) return;
    found_.emplace_back(time, parsed.flow);
  }

  // Times of a file need not rise.
  std::vector<lab::Flow> take(std::int64_t first_time) {
    std::vector<lab::Flow> flows;
    for (const auto& [time, key] : found_)
      flows.push_back(
          {static_cast<lab::Nanoseconds>(std::max<std::int64_t>(0, time - first_time)), key, 0, 0});
    std::ranges::stable_sort(flows, {}, &lab::Flow::start);
    return flows;
  }

 private:
  std::optional<core::IpAddress> vip_;
  std::unordered_set<core::FlowKey, Hash> seen_;
  std::vector<std::pair<std::int64_t, core::FlowKey>> found_;
};

}  // namespace

core::Result<Capture> read_capture(const std::string& path, const std::optional<core::IpAddress>& vip) {
  const auto fail = [&](std::string_view reason) {
    return core::usage_error(path, config::one_line(reason), "give a file that tcpdump has written");
  };
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  const std::unique_ptr<pcap_t, Close> file(
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error.data()));
  if (!file) return fail(error.data());
  const int link = pcap_datalink(file.get());
  if (!link_header(link, {}))
    return fail(fmt::format("has packets of link type {}, which are not known here", link));
  Flows flows(vip);
  std::optional<std::int64_t> first_time;
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  int outcome = 0;
  while ((outcome = pcap_next_ex(file.get(), &header, &data)) == 1) {
    // With that precision tv_usec holds nanoseconds. Seconds of 64 bits would not fit: those of a file need
    // not.
    const std::int64_t time =
        static_cast<std::int64_t>(static_cast<std::uint32_t>(header->ts.tv_sec)) * 1'000'000'000 +
        header->ts.tv_usec;
    if (!first_time) first_time = time;
    const Bytes packet(data, header->caplen);
    const std::size_t skip = *link_header(link, packet);
    if (skip > packet.size() || skip > header->len) continue;
    flows.add(packet.subspan(skip), header->len - skip, time);
  }
  Capture capture{flows.take(first_time.value_or(0)), outcome == PCAP_ERROR};
  if (capture.is_cut && capture.flows.empty()) return fail(pcap_geterr(file.get()));
  return capture;
}

}  // namespace nfsteer::experiment
