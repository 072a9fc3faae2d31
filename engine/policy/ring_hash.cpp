#include "policy/ring_hash.hpp"

#include <algorithm>
#include <bit>

#include "policy/usable.hpp"

namespace nfsteer::policy {
namespace {

constexpr std::uint32_t kPlaceShift = 24;
constexpr std::uint64_t kEntryMask = (std::uint64_t{1} << kPlaceShift) - 1;
constexpr std::uint64_t kRecount_ns = 10'000'000;
constexpr std::size_t kLooksMax = 1024;  // at points for one pick

// Halved until the ring is small enough. Powers of two, so that the points of the smaller ring are among
// those of the larger, and few changes of weight change them for others.
double points_per_weight(std::uint32_t vnodes, std::uint64_t weights) {
  double points = vnodes;
  while (points * static_cast<double>(weights) > static_cast<double>(RingHash::kPointsMax))
    points /= 2;
  return points;
}

}  // namespace

RingHash::RingHash(const BuildInput& input, Settings settings)
    : key_(settings.key),
      load_factor_(input.live.empty() ? 0 : settings.load_factor),
      candidates_(candidates(usable_by_identity(input.backends), input.live)),
      totals_(input.workers) {
  for (const Candidate& each : candidates_)
    weights_ += each.weight;
  if (weights_ == 0) return;
  const double per_weight = points_per_weight(settings.vnodes, weights_);
  for (std::uint64_t entry = 0; entry < candidates_.size(); ++entry) {
    const std::uint64_t identity = identity_hash(input.backends[candidates_[entry].index], key_.seed);
    const auto count =
        std::max(std::uint64_t{1}, static_cast<std::uint64_t>(per_weight * candidates_[entry].weight + 0.5));
    for (std::uint64_t point = 1; point <= count; ++point)
      points_.push_back((mix(identity + point * 0x9e3779b97f4a7c15U) & ~kEntryMask) | entry);
  }
  std::sort(points_.begin(), points_.end());
  const auto pieces_log2 = static_cast<std::uint32_t>(std::bit_width(points_.size()));
  guide_shift_ = 64 - pieces_log2;
  std::size_t point = 0;
  for (std::uint64_t piece = 0; piece >> pieces_log2 == 0; ++piece) {
    while (point < points_.size() && points_[point] < piece << guide_shift_)
      ++point;
    guide_.push_back(static_cast<std::uint32_t>(point));
  }
}

std::size_t RingHash::first_point(std::uint64_t hash) const noexcept {
  const std::uint64_t place = hash & ~kEntryMask;
  std::size_t point = guide_[place >> guide_shift_];
  while (point < points_.size() && points_[point] < place)
    ++point;
  return point == points_.size() ? 0 : point;
}

// Own picks are added until the next count; other workers' and connections that end meanwhile are not seen.
std::uint64_t RingHash::total_load(core::PickContext& context) const noexcept {
  Total& total = totals_.of(context);
  if (total.picks_left == 0 || context.now_ns - total.counted_ns > kRecount_ns) {
    total.load = 0;
    for (const Candidate& each : candidates_)
      total.load += each.live->load();
    total.counted_ns = context.now_ns;
    total.picks_left = static_cast<std::uint32_t>(candidates_.size() / 64 + 1);
  }
  --total.picks_left;
  return total.load++;
}

// The bound is that of the paper: the new connection counted in, and rounded up. If it stops looking, which
// takes a circle on which nearly all have their bound, the least loaded it has seen takes the flow.
std::uint32_t RingHash::bounded(std::size_t point, core::PickContext& context) const noexcept {
  // load < ceil(load factor * total * weight / weights), without the divisions
  const Wide bound = static_cast<Wide>(load_factor_) * (total_load(context) + 1);
  const Wide scale = static_cast<Wide>(100) * weights_;
  const Candidate* least = nullptr;
  std::uint64_t least_load = 0;
  for (std::size_t looks = std::min(points_.size(), kLooksMax); looks > 0; --looks) {
    const Candidate& each = candidates_[points_[point] & kEntryMask];
    const std::uint64_t load = each.live->load();
    if (scale * load < bound * each.weight) return each.index;
    if (least == nullptr || is_less_loaded(load, each, least_load, *least)) {
      least = &each;
      least_load = load;
    }
    point = point + 1 == points_.size() ? 0 : point + 1;
  }
  return least->index;
}

std::optional<std::uint32_t> RingHash::pick(const core::FlowKey& flow,
                                            core::PickContext& context) const noexcept {
  if (points_.empty()) return std::nullopt;
  const std::size_t point = first_point(key_.of(flow));
  if (load_factor_ > 0) return bounded(point, context);
  return candidates_[points_[point] & kEntryMask].index;
}

}  // namespace nfsteer::policy
