#include "policy/peak_ewma.hpp"

namespace nfsteer::policy {
namespace {

double cost(double latency_us, const Candidate& candidate) {
  return latency_us * static_cast<double>(candidate.live->load() + 1) / candidate.weight;
}

}  // namespace

std::optional<std::uint32_t> PeakEwma::pick(const core::FlowKey& /*flow*/,
                                            core::PickContext& context) const noexcept {
  if (candidates_.empty()) return std::nullopt;
  const auto [first, second] = candidates_.draw(context.random);
  if (first.live == nullptr) return first.index;
  double first_us = first.live->latency_us(context.now_ns);
  double second_us = second.live->latency_us(context.now_ns);
  if (first_us == 0) first_us = second_us == 0 ? 1 : second_us;
  if (second_us == 0) second_us = first_us;
  return cost(second_us, second) < cost(first_us, first) ? second.index : first.index;
}

}  // namespace nfsteer::policy
