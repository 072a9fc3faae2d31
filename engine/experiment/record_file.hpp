// Recorded flows: what a live engine decided, for `nfsteer simulate --record` to play again. `nfsteer record`
// writes such a file from conntrack's events.
//
// The format, version 1. All integers are little-endian; addresses are 16 bytes in network byte order, of
// which IPv4 uses the first four, the rest zero.
//
//   header   "NFSREC"  u16 version  u64 start of the recording (ns since 1970)  u32 services
//   service  u8 length of the name, the name  u8 family (4 or 6)  u8 protocol (IANA; 0: any)  u16 port (0:
//   all)
//            16 vip  u32 backends
//   backend  16 address  u16 port (0: the client's)  u32 weight     after each service, as many as it says
//   record   u64 start (ns since the recording's)  16 source  16 destination  u16 source port
//            u16 destination port  u8 protocol  u8 family  u16 service (0-based)  16 backend  u16 backend's
//            port u8 answered (0 or 1)  u8 zero  u32 handshake (us; 0: unknown)  u64 duration (us) u64 bytes
//            from the client  u64 bytes to the client          96 bytes, up to the end of the file
//
// Records stand in the order in which flows ended, since only then all is known of them. A file that was cut
// off ends inside a record, which is left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/flow.hpp"
#include "core/result.hpp"
#include "core/service.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::experiment {

inline constexpr std::uint16_t kRecordVersion = 1;
inline constexpr std::size_t kRecordBytes = 96;
// Of durations and starts: 31 years. What claims more is no recording.
inline constexpr std::uint64_t kRecordTimeMax_ns = 1'000'000'000'000'000'000;

struct FlowRecord {
  std::uint64_t start_ns = 0;
  core::FlowKey key;
  std::uint16_t service = 0;
  lab::Endpoint backend;  // where it went, of the flow's family
  bool answered = true;
  std::uint32_t handshake_us = 0;
  std::uint64_t duration_us = 0;
  std::uint64_t bytes_in = 0;   // from the client
  std::uint64_t bytes_out = 0;  // to the client

  friend bool operator==(const FlowRecord&, const FlowRecord&) = default;
};

// Of each service the name, VIP, protocol, port and its backends' addresses, ports and weights.
struct RecordHeader {
  std::uint64_t start_unix_ns = 0;
  std::vector<core::Service> services;
};

struct Recording {
  RecordHeader header;
  std::vector<FlowRecord> records;
  bool is_cut = false;
};

std::vector<std::uint8_t> encode(const RecordHeader& header);
void encode(const FlowRecord& record, std::span<std::uint8_t, kRecordBytes> to);
// `file` is what errors call the bytes. Takes no more memory than a small multiple of them.
core::Result<Recording> decode(std::span<const std::uint8_t> bytes, const std::string& file);

core::Result<Recording> read_recording(const std::string& path);

// Makes the file, or empties it. Records are buffered: what is not flushed is lost if the process is killed.
class RecordWriter {
 public:
  static core::Result<RecordWriter> create(const std::string& path, const RecordHeader& header);

  core::Result<void> append(const FlowRecord& record);
  // Hands everything to the kernel. The destructor does it too, and cannot say whether it worked.
  core::Result<void> flush();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit RecordWriter(std::string path) : path_(std::move(path)) {}
  core::Failure failure() const;

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace nfsteer::experiment
