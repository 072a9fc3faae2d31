#include "config/config.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "config/flags.hpp"
#include "config/validate.hpp"
#include "config/yaml_reader.hpp"

namespace nfsteer::config {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// At most one byte more than a configuration may have: read_yaml() then refuses it.
core::Result<std::string> read_file(const std::string& path) {
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

}  // namespace

core::Result<Config> load_file(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return tl::unexpected(text.error());
  return parse_yaml(*text, path);
}

core::Result<Config> parse_yaml(const std::string& text, const std::string& file_name) {
  const auto document = read_yaml(text, file_name);
  if (!document) return tl::unexpected(document.error());
  return validate(*document, file_name);
}

core::Result<Config> from_flags(const ServiceFlags& flags) {
  if (!flags.vip)
    return core::usage_error("--vip", "not given, nor a file with -c",
                             "give --vip ADDRESS and --backend, or -c FILE");
  if (flags.backends.empty())
    return core::usage_error("--backend", "not given",
                             "give one or more --backend ADDRESS[:PORT][,weight=N]");
  return validate(raw_from(flags), {});
}

core::Result<void> apply_overrides(Config& config, const EngineFlags& flags) {
  auto engine = validate_engine(raw_from(flags), {}, config.engine);
  if (!engine) return tl::unexpected(engine.error());
  config.engine = std::move(*engine);
  return {};
}

}  // namespace nfsteer::config
