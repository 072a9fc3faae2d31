// What `nfsteer simulate` is asked for: a scenario file, flags over it, flows from a capture or a recording,
// and a churn script. Every error is the user's (core::Fault::usage), and names the file and line, or the
// flag.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/raw.hpp"
#include "core/policy_spec.hpp"
#include "core/result.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::experiment {

// As typed. What is given wins over the scenario file's field of the same name, and is read as that is.
struct Flags {
  std::string scenario_file;  // empty: none
  std::vector<std::string> policies;
  std::vector<std::string> backends;   // ADDRESS[:PORT][,weight=N][,FIELD=VALUE...]
  std::optional<std::string> servers;  // so many, instead
  std::optional<std::string> vip, port, protocol;
  std::optional<std::string> arrivals, rate, duration, flows, service_time, clients, skew;
  std::optional<std::string> concurrency, rtt;
  std::optional<std::string> seed, warmup, probes;
  bool decisions_only = false;
  std::string pcap_file;    // empty: none
  std::string record_file;  // empty: none
  std::string service;      // of the recording; empty: the only one
  std::string churn_file;   // empty: none
};

struct Experiment {
  lab::Scenario scenario;
  std::vector<core::PolicySpec> policies;  // at least one
  std::vector<std::string> notes;          // for the user, a line each: a file that was cut off
};

core::Result<Experiment> load(const Flags& flags);

// A scenario file without flags; `file` is what errors call it.
core::Result<Experiment> parse_scenario(const std::string& text, const std::string& file);

// Puts the flags into a document in place of what it says.
void apply_flags(const Flags& flags, config::RawValue& document);

}  // namespace nfsteer::experiment
