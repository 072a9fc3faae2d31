#include "config/text_file.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "config/config.hpp"

namespace nfsteer::config {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

core::Result<std::string> read_text_file(const std::string& path) {
  const auto unreadable = [&] {
    return core::usage_error(path, fmt::format("cannot be read: {}", std::strerror(errno)),
                             "give a readable file");
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "re"));
  if (!file) return unreadable();
  std::string text;
  std::array<char, 65536> chunk{};
  while (text.size() <= kFileBytesMax) {
    const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get());
    if (count == 0) break;
    text.append(chunk.data(), count);
  }
  if (std::ferror(file.get()) != 0) return unreadable();
  return text;
}

}  // namespace nfsteer::config
