// Trying a policy out in a process of its own before the engine takes it: what crashes, ends its process,
// hangs or answers nonsense there cannot do so here.
//
// The process is this program again, with the hidden command kTryPolicyCommand (plugin/try_policy.hpp): a
// fork without exec would be a copy of a program with threads, which may hold any lock.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "core/result.hpp"
#include "plugin/trial_input.hpp"

namespace nfsteer::plugin {

inline constexpr const char* kTryPolicyCommand = "__try-policy";

// How long a policy may take from loading to unloading.
inline constexpr std::chrono::milliseconds kTrialMax{2000};
// One that has to start Python first.
inline constexpr std::chrono::milliseconds kPythonTrialMax{15000};

// This program as what Trial::program can be; empty where it does not know the command: in a Python process.
std::string trial_program();

struct Trial {
  std::string program;              // that knows the command
  std::string path;                 // of the policy, for errors
  std::optional<int> image;         // a copy of it in memory; none: it is loaded from `library`
  std::string library;              // a path
  std::chrono::milliseconds limit;  // of the whole
};

// Errors: what the policy did. Waits for its end; the calling thread stands still meanwhile.
core::Result<void> try_policy(const Trial& trial, const TrialInput& input);

}  // namespace nfsteer::plugin
