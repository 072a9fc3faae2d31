#include "policy/power_of_two_choices.hpp"

namespace nfsteer::policy {

std::optional<std::uint32_t> PowerOfTwoChoices::pick(const core::FlowKey& /*flow*/,
                                                     core::PickContext& context) const noexcept {
  if (candidates_.empty()) return std::nullopt;
  const auto [first, second] = candidates_.draw(context.random);
  if (first.live == nullptr) return first.index;
  return is_less_loaded(second.live->load(), second, first.live->load(), first) ? second.index : first.index;
}

}  // namespace nfsteer::policy
