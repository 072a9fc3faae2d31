#include "config/config.hpp"

#include "config/flags.hpp"
#include "config/text_file.hpp"
#include "config/validate.hpp"
#include "config/yaml_reader.hpp"

namespace nfsteer::config {

core::Result<Config> load_file(const std::string& path) {
  const auto text = read_text_file(path);
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
