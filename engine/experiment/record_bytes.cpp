#include <algorithm>
#include <array>
#include <concepts>
#include <string_view>

#include <fmt/format.h>

#include "config/config.hpp"
#include "config/readers.hpp"
#include "experiment/record_file.hpp"

namespace nfsteer::experiment {
namespace {

using core::Family;
using core::IpAddress;
using core::Result;

constexpr std::string_view kMagic = "NFSREC";
using AddressBytes = std::array<std::uint8_t, 16>;

AddressBytes bytes_of(const IpAddress& address) {
  AddressBytes bytes{};
  std::ranges::copy(address.bytes(), bytes.begin());
  return bytes;
}

class Writer {
 public:
  explicit Writer(std::uint8_t* to) : to_(to) {}
  template <std::unsigned_integral Word>
  void put(Word word) {
    for (std::size_t i = 0; i < sizeof word; ++i)
      *to_++ = static_cast<std::uint8_t>(word >> (8 * i));
  }
  void put(const AddressBytes& bytes) { to_ = std::ranges::copy(bytes, to_).out; }

 private:
  std::uint8_t* to_;
};

class Appender {
 public:
  explicit Appender(std::vector<std::uint8_t>& to) : to_(to) {}
  template <typename Value>
  void put(const Value& value) {
    to_.resize(to_.size() + sizeof value);
    Writer(to_.data() + to_.size() - sizeof value).put(value);
  }
  void put_text(std::string_view text) {
    for (const char each : text)
      to_.push_back(static_cast<std::uint8_t>(each));
  }

 private:
  std::vector<std::uint8_t>& to_;
};

// Reads on until the bytes are over; what is read behind their end is zero.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : left_(bytes) {}
  bool ended() const { return ended_; }
  std::size_t left() const { return left_.size(); }

  template <std::unsigned_integral Word>
  Word get() {
    Word word = 0;
    const auto from = take(sizeof word);
    for (std::size_t i = 0; i < from.size(); ++i)
      word = static_cast<Word>(word | static_cast<Word>(Word{from[i]} << (8 * i)));
    return word;
  }
  AddressBytes address() {
    AddressBytes bytes{};
    std::ranges::copy(take(bytes.size()), bytes.begin());
    return bytes;
  }
  std::string text(std::size_t length) {
    const auto from = take(length);
    return {from.begin(), from.end()};
  }

 private:
  std::span<const std::uint8_t> take(std::size_t length) {
    if (length > left_.size()) {
      ended_ = true;
      left_ = {};
      return {};
    }
    const auto taken = left_.first(length);
    left_ = left_.subspan(length);
    return taken;
  }

  std::span<const std::uint8_t> left_;
  bool ended_ = false;
};

bool is_family(std::uint8_t family) {
  return family == 4 || family == 6;
}

// IPv4 leaves the rest of the bytes zero.
bool fits(const AddressBytes& bytes, Family family) {
  return family == Family::ipv6 ||
         std::all_of(bytes.begin() + 4, bytes.end(), [](auto each) { return each == 0; });
}

IpAddress address_of(const AddressBytes& bytes, Family family) {
  return IpAddress::from_bytes(family, {bytes.data(), family == Family::ipv4 ? 4U : 16U});
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= config::kServiceNameMax &&
         std::all_of(name.begin(), name.end(), config::is_name_part);
}

// What is wrong with the next service; nothing: all is right with it.
std::string_view read_service(Reader& reader, core::Service& service) {
  service.name = reader.text(reader.get<std::uint8_t>());
  const auto family = reader.get<std::uint8_t>();
  const auto protocol = reader.get<std::uint8_t>();
  service.port = reader.get<std::uint16_t>();
  const AddressBytes vip = reader.address();
  const auto backends = reader.get<std::uint32_t>();
  if (reader.ended()) return {};
  if (!is_name(service.name)) return "its name is not one of a service";
  if (!is_family(family) || !fits(vip, Family{family})) return "its VIP is no address";
  service.vip = address_of(vip, Family{family});
  service.protocol = core::Protocol{protocol};
  if (!core::parse_protocol(to_string(service.protocol))) return "its protocol is unknown";
  if (backends > config::kBackendsMax) return "it has too many backends";
  for (std::uint32_t i = 0; i < backends && !reader.ended(); ++i) {
    core::Backend& backend = service.backends.emplace_back();
    const AddressBytes address = reader.address();
    backend.port = reader.get<std::uint16_t>();
    backend.weight = reader.get<std::uint32_t>();
    if (!fits(address, Family{family}) || !address_of(address, Family{family}).is_host())
      return "a backend's address is not one of a host";
    if (backend.weight > core::kWeightMax) return "a backend's weight is too large";
    backend.address = address_of(address, Family{family});
  }
  return {};
}

// Likewise.
std::string_view read_record(Reader& reader, std::size_t services, FlowRecord& record) {
  record.start_ns = reader.get<std::uint64_t>();
  record.key.source = reader.address();
  record.key.destination = reader.address();
  record.key.source_port = reader.get<std::uint16_t>();
  record.key.destination_port = reader.get<std::uint16_t>();
  record.key.protocol = reader.get<std::uint8_t>();
  const auto family = reader.get<std::uint8_t>();
  record.service = reader.get<std::uint16_t>();
  const AddressBytes backend = reader.address();
  record.backend.port = reader.get<std::uint16_t>();
  const auto answered = reader.get<std::uint8_t>();
  const auto zero = reader.get<std::uint8_t>();
  record.handshake_us = reader.get<std::uint32_t>();
  record.duration_us = reader.get<std::uint64_t>();
  record.bytes_in = reader.get<std::uint64_t>();
  record.bytes_out = reader.get<std::uint64_t>();
  if (!is_family(family)) return "its address family is neither 4 nor 6";
  record.key.family = Family{family};
  if (!fits(record.key.source, record.key.family) || !fits(record.key.destination, record.key.family) ||
      !fits(backend, record.key.family))
    return "an IPv4 address has more than four bytes";
  record.backend.address = address_of(backend, record.key.family);
  if (record.service >= services) return "it belongs to no service of the header";
  if (answered > 1 || zero != 0) return "a flag has an unknown value";
  record.answered = answered == 1;
  if (record.start_ns > kRecordTimeMax_ns || record.duration_us > kRecordTimeMax_ns / 1000)
    return "its time is out of range";
  return {};
}

constexpr const char* kMend = "give a file that `nfsteer record` has written";

}  // namespace

std::vector<std::uint8_t> encode(const RecordHeader& header) {
  std::vector<std::uint8_t> bytes;
  Appender to(bytes);
  to.put_text(kMagic);
  to.put(kRecordVersion);
  to.put(header.start_unix_ns);
  to.put(static_cast<std::uint32_t>(header.services.size()));
  for (const core::Service& service : header.services) {
    to.put(static_cast<std::uint8_t>(service.name.size()));
    to.put_text(service.name);
    to.put(static_cast<std::uint8_t>(service.vip.family()));
    to.put(static_cast<std::uint8_t>(service.protocol));
    to.put(service.port);
    to.put(bytes_of(service.vip));
    to.put(static_cast<std::uint32_t>(service.backends.size()));
    for (const core::Backend& backend : service.backends) {
      to.put(bytes_of(backend.address));
      to.put(backend.port);
      to.put(backend.weight);
    }
  }
  return bytes;
}

void encode(const FlowRecord& record, std::span<std::uint8_t, kRecordBytes> bytes) {
  Writer to(bytes.data());
  to.put(record.start_ns);
  to.put(record.key.source);
  to.put(record.key.destination);
  to.put(record.key.source_port);
  to.put(record.key.destination_port);
  to.put(record.key.protocol);
  to.put(static_cast<std::uint8_t>(record.key.family));
  to.put(record.service);
  to.put(bytes_of(record.backend.address));
  to.put(record.backend.port);
  to.put(std::uint8_t{record.answered});
  to.put(std::uint8_t{0});
  to.put(record.handshake_us);
  to.put(record.duration_us);
  to.put(record.bytes_in);
  to.put(record.bytes_out);
}

Result<Recording> decode(std::span<const std::uint8_t> bytes, const std::string& file) {
  const auto fail = [&](std::string reason) { return core::usage_error(file, std::move(reason), kMend); };
  Reader reader(bytes);
  if (reader.text(kMagic.size()) != kMagic) return fail("is no recording of flows");
  if (const auto version = reader.get<std::uint16_t>(); version != kRecordVersion && !reader.ended())
    return core::usage_error(
        file, fmt::format("has version {} of the format, and this is {}", version, kRecordVersion),
        "read it with the nfsteer that wrote it");
  Recording recording;
  recording.header.start_unix_ns = reader.get<std::uint64_t>();
  const auto services = reader.get<std::uint32_t>();
  if (services > config::kServicesMax) return fail(fmt::format("says it has {} services", services));
  for (std::uint32_t i = 0; i < services && !reader.ended(); ++i)
    if (const auto wrong = read_service(reader, recording.header.services.emplace_back()); !wrong.empty())
      return fail(fmt::format("service {}: {}", i, wrong));
  if (reader.ended()) return fail("ends inside its header");
  recording.records.reserve(reader.left() / kRecordBytes);
  while (reader.left() >= kRecordBytes)
    if (const auto wrong = read_record(reader, services, recording.records.emplace_back()); !wrong.empty())
      return fail(fmt::format("record {}: {}", recording.records.size() - 1, wrong));
  recording.is_cut = reader.left() > 0;
  return recording;
}

}  // namespace nfsteer::experiment
