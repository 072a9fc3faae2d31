// What the tests of policies from files share: fixtures (tests/plugins), a folder to copy them to, backends.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "plugin/loader.hpp"

namespace nfsteer::plugin {

inline std::string fixture(std::string_view name) {
  return std::string(NFSTEER_FIXTURES) + "/" + std::string(name) + ".so";
}

// 10.0.0.1, 10.0.0.2, ...
inline std::vector<core::Backend> backends_of(const std::vector<std::uint32_t>& weights) {
  std::vector<core::Backend> backends;
  for (const std::uint32_t weight : weights) {
    const std::uint8_t bytes[]{10, 0, 0, static_cast<std::uint8_t>(backends.size() + 1)};
    backends.push_back({core::IpAddress::from_bytes(core::Family::ipv4, bytes), 0, weight});
  }
  return backends;
}

inline core::FlowKey flow_from(std::uint8_t first_byte, std::uint16_t port = 1) {
  core::FlowKey flow;
  flow.source = {first_byte, 1, 2, 3};
  flow.source_port = port;
  flow.protocol = 6;
  return flow;
}

// A folder of the test's own, gone with it.
class PluginTest : public testing::Test {
 protected:
  PluginTest() {
    std::string name = (std::filesystem::temp_directory_path() / "nfsteer-plugin-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~PluginTest() override { std::filesystem::remove_all(folder_); }

  std::string path(std::string_view name) const { return (folder_ / name).string(); }
  // A copy that takes the place of what was there, as `make` and `install` do.
  std::string install(std::string_view which, std::string_view as) const {
    std::filesystem::copy_file(fixture(which), path("new"));
    std::filesystem::rename(path("new"), path(as));
    return path(as);
  }
  // A copy written into the file that is there, as `cp` does.
  std::string overwrite(std::string_view which, std::string_view as) const {
    std::filesystem::copy_file(fixture(which), path(as), std::filesystem::copy_options::overwrite_existing);
    return path(as);
  }

  static LoaderOptions with_trial() { return {std::string(NFSTEER_FIXTURES) + "/try-policy", 100'000}; }

  // The error of building `name`; "" if there is none.
  std::string refusal(const std::string& name, std::vector<core::PolicySpec::Option> options = {}) {
    auto built = build(name, std::move(options));
    return built ? "" : built.error().line();
  }
  core::Result<std::shared_ptr<const policy::Policy>> build(
      const std::string& name, std::vector<core::PolicySpec::Option> options = {}) {
    auto code = loader_.open(name);
    if (!code) return tl::unexpected(code.error());
    return (*code)->build(options, {backends_, {}, 2});
  }
  std::optional<std::uint32_t> pick(const policy::Policy& policy, const core::FlowKey& flow = flow_from(10)) {
    core::PickContext context{random_, 0, 0};
    return policy.pick(flow, context);
  }

  std::filesystem::path folder_;
  std::vector<core::Backend> backends_ = backends_of({0, 1, 2, 3, 0});
  core::Random random_{1};
  Loader loader_{with_trial()};
};

}  // namespace nfsteer::plugin
