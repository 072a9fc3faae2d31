// Any bytes as a recording of flows. What is accepted must come out the same once written and read again;
// what is refused must be refused in one line.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "experiment/record_file.hpp"

namespace {

using namespace nfsteer::experiment;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = decode({data, size}, "fuzz");
  if (!read) {
    require(read.error().exit_code() == 2);
    require(read.error().line().find('\n') == std::string::npos);
    return 0;
  }
  std::vector<std::uint8_t> bytes = encode(read->header);
  for (const FlowRecord& record : read->records) {
    std::array<std::uint8_t, kRecordBytes> to{};
    encode(record, to);
    bytes.insert(bytes.end(), to.begin(), to.end());
  }
  const auto again = decode(bytes, "again");
  require(again && again->records == read->records && again->header.services == read->header.services);
  require(!again->is_cut);
  return 0;
}
