#include "plugin/loader.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "plugin/file_contents.hpp"
#include "plugin/native_policy.hpp"
#include "plugin/trial.hpp"

namespace nfsteer::plugin {
namespace {

constexpr std::string_view kPythonSuffix = ".py:";
// The options by which a host learns what to host.
constexpr const char* kFileOption = "file";
constexpr const char* kClassOption = "class";

// Where it lies from the program on: installed, and in a build tree. No path of the machine that built it is
// in the program, which may have any prefix.
constexpr std::string_view kInstalledHost = "../lib/nfsteer/nfsteer-python.so";
constexpr std::string_view kBuiltHost = "../bindings/python/nfsteer-python.so";

core::Result<std::string> python_host(const std::string& name) {
  std::error_code unknown;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
  const auto beside_program = [&folder](std::string_view place) {
    return (folder / place).lexically_normal().string();
  };
  const char* given = std::getenv("NFSTEER_PYTHON_HOST");
  const std::array<std::string, 3> places{given == nullptr ? "" : given, beside_program(kInstalledHost),
                                          beside_program(kBuiltHost)};
  for (const std::string& place : places)
    if (!place.empty() && access(place.c_str(), R_OK) == 0) return place;
  return core::usage_error(
      name,
      fmt::format("policies in Python need nfsteer-python.so; it is neither {} nor {}", places[1], places[2]),
      "install the package python3-nfsteer, or name the file in NFSTEER_PYTHON_HOST");
}

}  // namespace

core::Result<void> PolicyCode::read() {
  const auto python = name_.rfind(kPythonSuffix);
  const bool is_python = python != std::string::npos;
  file_ = is_python ? name_.substr(0, python + kPythonSuffix.size() - 1) : name_;
  if (!file_.starts_with('/'))
    return core::usage_error(name_, "not an absolute path", "name the file from the root directory on");
  auto contents = read_policy_file(file_);
  if (!contents) return tl::unexpected(contents.error());
  contents_ = *std::move(contents);
  if (is_python) {
    class_ = name_.substr(python + kPythonSuffix.size());
    if (class_.empty()) return core::usage_error(name_, "it names no class", "write FILE.py:CLASS");
    auto host = python_host(name_);
    if (!host) return tl::unexpected(host.error());
    host_ = *std::move(host);
    return {};
  }
  auto image = memory_file(file_, contents_);
  if (!image) return tl::unexpected(image.error());
  image_ = std::make_shared<const Descriptor>(*std::move(image));
  return {};
}

bool PolicyCode::has_changed() const {
  const auto now = read_policy_file(file_);
  return now && *now != contents_;
}

core::Result<PolicyCode::Options> PolicyCode::with_own(
    std::span<const core::PolicySpec::Option> options) const {
  Options all;
  if (!class_.empty()) {
    all = {{kFileOption, file_}, {kClassOption, class_}};
    for (const core::PolicySpec::Option& each : options)
      if (each.name == kFileOption || each.name == kClassOption)
        return core::usage_error(name_, fmt::format("an option cannot be called {}", each.name),
                                 "file and class are what FILE.py:CLASS says; choose another name");
  }
  all.insert(all.end(), options.begin(), options.end());
  return all;
}

core::Result<void> PolicyCode::try_out(const Options& options, const policy::BuildInput& input) {
  // Python is slow to start, and turns into an error what would crash anything else: once is enough.
  if (how_.trial_program.empty() || (!class_.empty() && library_ != nullptr)) return {};
  const TrialInput told{.backends = {input.backends.begin(), input.backends.end()},
                        .options = options,
                        .workers = input.workers,
                        .budget_ns = how_.budget_ns,
                        .is_live = !input.live.empty()};
  return try_policy({.program = how_.trial_program,
                     .path = name_,
                     .image = image_ ? std::optional(image_->number()) : std::nullopt,
                     .library = host_,
                     .limit = class_.empty() ? kTrialMax : kPythonTrialMax},
                    told);
}

core::Result<void> PolicyCode::load() {
  if (library_ != nullptr) return {};
  auto library = image_ ? Library::open_copy(name_, image_) : Library::open_in_place(host_);
  if (!library) return tl::unexpected(library.error());
  library_ = std::make_shared<const Library>(*std::move(library));
  return {};
}

core::Result<std::shared_ptr<const policy::Policy>> PolicyCode::build(
    std::span<const core::PolicySpec::Option> options, const policy::BuildInput& input) {
  const auto all = with_own(options);
  if (!all) return tl::unexpected(all.error());
  if (auto tried = try_out(*all, input); !tried) return tl::unexpected(tried.error());
  if (auto loaded = load(); !loaded) return tl::unexpected(loaded.error());
  auto policy = NativePolicy::create(name_, library_, input, *all);
  if (!policy) return tl::unexpected(policy.error());
  return *std::move(policy);
}

core::Result<std::shared_ptr<PolicyCode>> Loader::open(const std::string& name) {
  std::erase_if(known_, [](const auto& each) { return each.second.expired(); });
  if (const auto known = known_.find(name); known != known_.end())
    if (auto code = known->second.lock(); !code->has_changed()) return code;
  const std::shared_ptr<PolicyCode> code(new PolicyCode(name, options_));
  if (auto read = code->read(); !read) return tl::unexpected(read.error());
  known_.insert_or_assign(name, code);
  return code;
}

core::Result<std::shared_ptr<const policy::Policy>> load_policy(const core::PolicySpec& spec,
                                                                const policy::BuildInput& input) {
  auto code = Loader({}).open(spec.name);
  if (!code) return tl::unexpected(code.error());
  return (*code)->build(spec.options, input);
}

}  // namespace nfsteer::plugin
