// Counts while a run goes on, and makes its report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/fleet.hpp"
#include "lab/report.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::lab {

class Tally {
 public:
  Tally(const Scenario& scenario, core::PolicySpec policy, Nanoseconds expected_end);

  bool counts(Nanoseconds start) const { return start >= warmup_; }

  // Of flows that count.
  void decided(ServerNumber number, const Flow& flow);
  void refused() { ++report_.refused; }
  void waited(Nanoseconds time) { report_.waiting.add(time); }
  void answered(ServerNumber number, Nanoseconds response);
  void rejected(ServerNumber number) { ++of(number).rejected; }
  void unanswered(ServerNumber number) { ++of(number).unanswered; }

  // Of every flow.
  void opened(ServerNumber number) {
    Open& open = open_of(number);
    if (++open.now > of(number).peak_open) of(number).peak_open = open.now;
  }
  void closed(ServerNumber number, Nanoseconds now) {
    --open_of(number).now;
    report_.end = now;
  }
  void worked(ServerNumber number, Nanoseconds time) { open_of(number).busy += static_cast<double>(time); }

  // The decisions since the last call were made with these members.
  void close_epoch(const Members& members);
  void changed(ChangeResult change) { report_.changes.push_back(std::move(change)); }
  void rebuilt() { ++report_.builds; }

  Report take(const Fleet& fleet, Nanoseconds last_start);

 private:
  struct Open {
    std::uint32_t now = 0;
    double busy = 0;               // nanoseconds of service
    std::uint64_t this_epoch = 0;  // decisions
  };
  BackendResult& of(ServerNumber number) {
    grow_to(number);
    return report_.backends[number];
  }
  Open& open_of(ServerNumber number) {
    grow_to(number);
    return open_[number];
  }
  void grow_to(ServerNumber number) {
    if (number < open_.size()) return;
    open_.resize(number + 1);
    report_.backends.resize(number + 1);
  }
  void count_slice(ServerNumber number, Nanoseconds start);

  Nanoseconds warmup_;
  Report report_;
  std::vector<Open> open_;
  std::uint64_t epoch_decisions_ = 0;
};

}  // namespace nfsteer::lab
