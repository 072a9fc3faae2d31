// The other side of plugin/trial.hpp: the process in which a policy is tried.
//
// Descriptors: 0, the TrialInput; kImageDescriptor, a copy of the library; kReportDescriptor, where the steps
// are told as they begin, a byte each, and at the end what was found.
#pragma once

#include <string_view>

namespace nfsteer::plugin {

inline constexpr int kImageDescriptor = 3;
inline constexpr int kReportDescriptor = 4;

// What is told. Ends are followed by text up to the end of the report.
enum class Step : char {
  loading = 'l',
  creating = 'c',
  picking = 'p',
  destroying = 'd',
  unloading = 'u',
  refused = 'R',  // an end; the text is an error: reason, newline, mend
  passed = 'P',   // an end
};

// `filter`: a core::Seccomp by name. `library`: its path; empty: it is at kImageDescriptor. `path`: as the
// user calls it. Never returns.
[[noreturn]] void run_trial(std::string_view filter, std::string_view path, std::string_view library);

}  // namespace nfsteer::plugin
