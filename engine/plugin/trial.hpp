// Trying a policy out in a process of its own before the engine takes it: what crashes, ends its process,
// hangs or answers nonsense there cannot do so here.
//
// The process is this program again, with the hidden command kTryPolicyCommand (plugin/try_policy.hpp): a
// fork without exec would be a copy of a program with threads, which may hold any lock. It has the engine's
// user and filter of system calls, but no capabilities.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "confine/spawner.hpp"
#include "core/result.hpp"
#include "core/seccomp.hpp"
#include "plugin/trial_input.hpp"

namespace nfsteer::plugin {

inline constexpr const char* kTryPolicyCommand = "__try-policy";

// How long a policy may take from loading to unloading.
inline constexpr std::chrono::milliseconds kTrialMax{2000};
// One that has to start Python first.
inline constexpr std::chrono::milliseconds kPythonTrialMax{15000};

// What the program's arguments begin with: how it is called, the command, and the filter that it is to have.
std::vector<std::string> trial_arguments(core::Seccomp filter);

// This program as what Trial::program can be; empty where it does not know the command: in a Python process.
// Those that do know it define nfsteer_knows_trials, whatever they are called.
std::string trial_program();
extern "C" __attribute__((weak)) const char nfsteer_knows_trials;

struct Trial {
  confine::Spawner* spawner;  // starts the program, which is then the spawner's; null: it is started here
  std::string program;        // that knows the command
  std::string path;           // of the policy, for errors
  std::optional<int> image;   // a copy of it in memory; none: it is loaded from `library`
  std::string library;        // a path
  std::chrono::milliseconds limit;  // of the whole
};

// Errors: what the policy did. Waits for its end; the calling thread stands still meanwhile.
core::Result<void> try_policy(const Trial& trial, const TrialInput& input);

}  // namespace nfsteer::plugin
