#include "experiment/record_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace nfsteer::experiment {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{16} << 30;

}  // namespace

core::Result<Recording> read_recording(const std::string& path) {
  const auto unreadable = [&](int error) {
    return core::usage_error(path, fmt::format("cannot be read: {}", std::strerror(error)),
                             "give a readable file");
  };
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "re"));
  if (!file) return unreadable(errno);
  std::vector<std::uint8_t> bytes;
  std::array<std::uint8_t, 65536> chunk{};
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    if (bytes.size() + count > kFileBytesMax)
      return core::usage_error(path, fmt::format("has more than {} bytes", kFileBytesMax),
                               "record for less time");
    bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(count));
  }
  if (std::ferror(file.get()) != 0) return unreadable(errno);
  return decode(bytes, path);
}

core::Failure RecordWriter::failure() const {
  return core::system_error(path_, fmt::format("cannot be written: {}", std::strerror(errno)),
                            "give a file on a disk with room");
}

core::Result<RecordWriter> RecordWriter::create(const std::string& path, const RecordHeader& header) {
  RecordWriter writer(path);
  writer.file_.reset(std::fopen(path.c_str(), "we"));
  if (!writer.file_) return writer.failure();
  const auto bytes = encode(header);
  if (std::fwrite(bytes.data(), 1, bytes.size(), writer.file_.get()) != bytes.size()) return writer.failure();
  if (auto flushed = writer.flush(); !flushed) return tl::unexpected(flushed.error());
  return writer;
}

core::Result<void> RecordWriter::append(const FlowRecord& record) {
  std::array<std::uint8_t, kRecordBytes> bytes{};
  encode(record, bytes);
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) return failure();
  return {};
}

core::Result<void> RecordWriter::flush() {
  if (std::fflush(file_.get()) != 0) return failure();
  return {};
}

}  // namespace nfsteer::experiment
