#include "plugin/try_policy.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "confine/syscall_filter.hpp"
#include "plugin/library.hpp"
#include "plugin/native_policy.hpp"
#include "plugin/trial_input.hpp"
#include "policy/guarded.hpp"

namespace nfsteer::plugin {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kSampleFlows = 4096;
constexpr auto kSamplingMax = std::chrono::milliseconds(500);
// What it may take beyond what this program has at its start.
constexpr std::uint64_t kMemoryMax = std::uint64_t{4} << 30;
// Whoever waits ends it sooner; should that one have gone, the kernel does it.
constexpr unsigned kCpuMax_s = 20;

void tell(Step step, std::string_view text = {}) {
  std::string bytes(1, static_cast<char>(step));
  bytes += text;
  [[maybe_unused]] const ssize_t told = write(kReportDescriptor, bytes.data(), bytes.size());
}

[[noreturn]] void refuse(const core::Error& error) {
  tell(Step::refused, fmt::format("{}\n{}", error.reason, error.mend));
  _exit(1);
}

std::uint64_t memory_now() {
  unsigned long pages = 0;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "r"),
                                                             std::fclose);
  if (!file || std::fscanf(file.get(), "%lu", &pages) != 1) return 0;
  return std::uint64_t{pages} * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void limit_this_process() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A crash is to be seen as what it is: a sanitizer has handlers of its own.
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
    signal(number, SIG_DFL);
  const auto limit = [](auto resource, std::uint64_t most) {
    const rlimit both{most, most};
    setrlimit(resource, &both);
  };
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, kCpuMax_s);
  if (const std::uint64_t now = memory_now(); now > 0) limit(RLIMIT_AS, now + kMemoryMax);
}

std::string read_input() {
  std::string bytes;
  std::array<char, 65536> room;
  while (true) {
    const ssize_t got = read(STDIN_FILENO, room.data(), room.size());
    if (got <= 0) return bytes;
    bytes.append(room.data(), static_cast<std::size_t>(got));
  }
}

// Clients and VIPs of the networks that are kept for benchmarks (RFC 2544, RFC 5180).
core::FlowKey sample_flow(core::Family family, unsigned number) {
  core::FlowKey flow;
  flow.family = family;
  flow.protocol = 6;
  flow.source_port = static_cast<std::uint16_t>(1024 + number * 7919 % 60000);
  flow.destination_port = 80;
  if (family == core::Family::ipv4) {
    flow.source = {198, 18, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
    flow.destination = {198, 19, 0, 1};
  } else {
    flow.source = {0x20, 0x01, 0x00, 0x02};
    flow.source[14] = static_cast<std::uint8_t>(number >> 8);
    flow.source[15] = static_cast<std::uint8_t>(number);
    flow.destination = {0x20, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01};
  }
  return flow;
}

core::Result<void> judge(const std::string& path, std::optional<std::uint32_t> answer,
                         std::span<const core::Backend> backends) {
  constexpr const char* kMend =
      "right are an index below backend_count whose weight is not 0, and NFSTEER_NO_BACKEND";
  if (!answer) return {};
  if (*answer == policy::kFailedPick)
    return core::usage_error(path, "pick() failed: it threw an exception or answered NFSTEER_FAILED", kMend);
  if (*answer >= backends.size())
    return core::usage_error(
        path, fmt::format("pick() answered {}, there are {} backends", *answer, backends.size()), kMend);
  if (backends[*answer].weight == 0)
    return core::usage_error(path, fmt::format("pick() answered {}, a backend of weight 0", *answer), kMend);
  return {};
}

std::uint64_t ns_of(Clock::duration time) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count());
}

// Asks for some flows. Errors: a wrong answer, or half of the decisions are over the budget.
core::Result<void> sample_picks(const std::string& path, const policy::Policy& policy,
                                const TrialInput& input) {
  const auto family = input.backends.empty() ? core::Family::ipv4 : input.backends.front().address.family();
  core::Random random(1);
  std::vector<std::uint64_t> times;
  const auto begin = Clock::now();
  for (unsigned number = 0; number < kSampleFlows && Clock::now() - begin < kSamplingMax; ++number) {
    const core::FlowKey flow = sample_flow(family, number);
    const auto now = Clock::now();
    core::PickContext context{random, ns_of(now.time_since_epoch()), number % input.workers};
    const auto answer = policy.pick(flow, context);
    times.push_back(ns_of(Clock::now() - now));
    if (auto judged = judge(path, answer, input.backends); !judged) return judged;
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::ranges::nth_element(times, middle);
  if (input.budget_ns != 0 && *middle > input.budget_ns)
    return core::usage_error(path,
                             fmt::format("a decision takes {} us, {} us are allowed (median of {} decisions)",
                                         *middle / 1000, input.budget_ns / 1000, times.size()),
                             "have pick() read a table that create() has built");
  return {};
}

core::Result<void> try_all(const std::string& path, const std::string& at, const TrialInput& input) {
  std::vector<core::LiveBackend> state(input.is_live ? input.backends.size() : 0);
  std::vector<core::LiveBackend*> live;
  for (core::LiveBackend& each : state)
    live.push_back(&each);
  tell(Step::loading);
  auto opened = at.empty()
                    ? Library::open_copy(path, std::make_shared<const confine::Descriptor>(kImageDescriptor))
                    : Library::open_in_place(at);
  if (!opened) return tl::unexpected(opened.error());
  auto library = std::make_shared<const Library>(*std::move(opened));
  tell(Step::creating);
  auto policy = NativePolicy::create(path, library, {input.backends, live, input.workers}, input.options);
  if (!policy) return tl::unexpected(policy.error());
  tell(Step::picking);
  if (auto sampled = sample_picks(path, **policy, input); !sampled) return sampled;
  tell(Step::destroying);
  policy->reset();
  tell(Step::unloading);
  library.reset();
  return {};
}

}  // namespace

void run_trial(std::string_view filter, std::string_view path, std::string_view library) {
  limit_this_process();
  const auto input = TrialInput::decode(read_input());
  if (!input) refuse({core::Fault::usage, {}, "this command is for nfsteer itself", "see `nfsteer --help`"});
  for (const auto mode : {core::Seccomp::enforce, core::Seccomp::log})
    if (filter == core::to_string(mode))
      if (auto installed = confine::install_syscall_filter(mode); !installed) refuse(installed.error());
  const auto tried = try_all(std::string(path), std::string(library), *input);
  if (!tried) refuse(tried.error());
  tell(Step::passed);
  _exit(0);
}

}  // namespace nfsteer::plugin
