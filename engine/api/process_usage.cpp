#include "api/process_usage.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

namespace nfsteer::api {
namespace {

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
    if (text.empty()) return words;
    words.push_back(text.substr(0, text.find_first_of(" \n")));
    text.remove_prefix(words.back().size());
  }
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The word behind the word `key`.
std::optional<double> number_after(std::string_view text, std::string_view key) {
  const auto words = words_of(text);
  for (std::size_t i = 0; i + 1 < words.size(); ++i)
    if (words[i] == key) return number(words[i + 1]);
  return std::nullopt;
}

std::optional<double> count_open_fds() {
  std::error_code error;
  std::filesystem::directory_iterator each("/proc/self/fd", error);
  double count = -1;  // the iterator's own
  for (; !error && each != std::filesystem::directory_iterator(); each.increment(error))
    ++count;
  return error ? std::nullopt : std::optional(count);
}

std::string content_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

ProcessUsage parse_process_usage(std::string_view stat, std::string_view system_stat,
                                 const ProcUnits& units) {
  // Fields of proc(5), counted from 1; the second is the program's name in parentheses, which may hold
  // anything.
  constexpr std::size_t kUser = 14, kSystem = 15, kStarted = 22, kVirtual = 23, kResident = 24;
  const auto name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return {};
  const auto words = words_of(stat.substr(name_end + 1));
  const auto field = [&](std::size_t position) {
    const std::size_t index = position - 3;
    return index < words.size() ? number(words[index]) : std::nullopt;
  };

  ProcessUsage usage;
  if (const auto user = field(kUser), system = field(kSystem); user && system)
    usage.cpu_s = (*user + *system) / units.ticks_per_s;
  if (const auto pages = field(kResident)) usage.resident_bytes = *pages * units.page_bytes;
  usage.virtual_bytes = field(kVirtual);
  if (const auto booted_s = number_after(system_stat, "btime"), started = field(kStarted);
      booted_s && started)
    usage.started_s = *booted_s + *started / units.ticks_per_s;
  return usage;
}

ProcessUsage read_process_usage() {
  const ProcUnits units{static_cast<double>(::sysconf(_SC_CLK_TCK)),
                        static_cast<double>(::sysconf(_SC_PAGESIZE))};
  ProcessUsage usage = parse_process_usage(content_of("/proc/self/stat"), content_of("/proc/stat"), units);
  usage.open_fds = count_open_fds();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.open_fds_max = static_cast<double>(limit.rlim_cur);
  return usage;
}

}  // namespace nfsteer::api
