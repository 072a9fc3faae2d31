#include "lab/scenario.hpp"

#include <fmt/format.h>

namespace nfsteer::lab {

std::string_view to_string(Action action) {
  switch (action) {
    case Action::add:
      return "add";
    case Action::remove:
      return "remove";
    case Action::activate:
      return "activate";
    case Action::drain:
      return "drain";
    case Action::maintenance:
      return "maintenance";
    case Action::weight:
      return "weight";
    case Action::fail:
      return "fail";
    case Action::recover:
      return "recover";
    case Action::slow:
      return "slow";
  }
  return {};
}

std::string_view to_string(Arrivals arrivals) {
  switch (arrivals) {
    case Arrivals::poisson:
      return "poisson";
    case Arrivals::constant:
      return "constant";
    case Arrivals::bursty:
      return "bursty";
  }
  return {};
}

std::string to_string(const Change& change) {
  std::string text = fmt::format("{} {}", to_string(change.action),
                                 core::endpoint_text(change.backend.address, change.backend.port));
  if (change.action == Action::weight) text += fmt::format(" {}", change.weight);
  if (change.factor) text += fmt::format(" {}x", *change.factor);
  if (change.rtt) text += fmt::format(" rtt {} ms", change.rtt->mean / kMillisecond);
  return text;
}

}  // namespace nfsteer::lab
