#include "health/backend_health.hpp"

#include <algorithm>

namespace nfsteer::health {
namespace {

using core::CheckType;
using core::Health;
using core::HealthCheck;
using core::Random;
using Clock = BackendHealth::Clock;

constexpr HealthCheck::Duration kFirstSpread{1000};

// 0 <= . < 1
double fraction(Random& random) {
  return static_cast<double>(random.next() >> 11) * 0x1p-53;
}

Clock::duration scaled(HealthCheck::Duration duration, double factor) {
  return std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double, std::milli>(static_cast<double>(duration.count()) * factor));
}

Clock::duration jittered(const HealthCheck& check, HealthCheck::Duration duration, Random& random) {
  return scaled(duration, 1 + (2 * fraction(random) - 1) * check.jitter / 100);
}

Clock::duration first_wait(const HealthCheck& check, Random& random) {
  return scaled(std::min(check.interval, kFirstSpread), fraction(random));
}

HealthCheck::Duration doubled(const HealthCheck& check, HealthCheck::Duration delay) {
  return std::min(delay * 2, std::max(check.backoff_max, check.interval));
}

}  // namespace

BackendHealth::BackendHealth(const HealthCheck& check, bool trusted, TimePoint now, Random& random)
    : health_(Health::unknown), delay_(check.interval), due_(now), came_up_(now) {
  if (check.type == CheckType::passive) {
    health_ = Health::up;
    due_ = kNever;
  } else if (trusted) {
    health_ = Health::up;
    due_ = now + first_wait(check, random);
  }
}

void BackendHealth::go_down(const HealthCheck& check) {
  health_ = Health::down;
  in_a_row_ = 0;
  delay_ = check.interval;
}

void BackendHealth::go_up(TimePoint now) {
  health_ = Health::up;
  in_a_row_ = 0;
  came_up_ = now;
  forgiven_ = unanswered_;
}

void BackendHealth::check_ended(const HealthCheck& check, Outcome outcome, TimePoint started,
                                Random& random) {
  if (outcome == Outcome::undecided) {
    due_ = started + jittered(check, delay_, random);
    return;
  }
  const bool passed = outcome == Outcome::passed;
  if (!decided_) {
    decided_ = true;
    delay_ = check.interval;
    if (!passed)
      go_down(check);
    else if (health_ != Health::up)
      go_up(started);
    due_ = started + scaled(check.interval, 1 - fraction(random) / 2);
    return;
  }
  if (health_ == Health::up) {
    in_a_row_ = passed ? 0 : in_a_row_ + 1;
    if (!passed && in_a_row_ >= check.fall) go_down(check);
  } else if (passed) {
    delay_ = check.interval;
    if (++in_a_row_ >= check.rise) go_up(started);
  } else {
    in_a_row_ = 0;
    delay_ = doubled(check, delay_);
  }
  due_ = started + jittered(check, delay_, random);
}

void BackendHealth::unanswered(const HealthCheck& check, std::uint64_t in_a_row, TimePoint now,
                               Random& random) {
  if (in_a_row < unanswered_) forgiven_ = 0;  // something was answered meanwhile
  unanswered_ = in_a_row;
  if (check.passive == 0 || health_ != Health::up || in_a_row - forgiven_ < check.passive) return;
  if (check.type != CheckType::passive) {
    decided_ = true;
    go_down(check);
    due_ = std::min(due_, now + jittered(check, delay_, random));
    return;
  }
  const bool again = decided_ && now - came_up_ < std::max(check.backoff_max, check.interval);
  const HealthCheck::Duration wait = again ? doubled(check, delay_) : check.interval;
  decided_ = true;
  go_down(check);
  delay_ = wait;
  due_ = now + jittered(check, delay_, random);
}

void BackendHealth::come_back(TimePoint now) {
  go_up(now);
  due_ = kNever;
}

void BackendHealth::reconfigured(const HealthCheck& check, TimePoint now, Random& random) {
  in_a_row_ = 0;
  delay_ = check.interval;
  due_ = now + first_wait(check, random);
  if (check.type != CheckType::passive) return;
  if (health_ == Health::unknown) go_up(now);
  if (health_ == Health::up) due_ = kNever;
}

}  // namespace nfsteer::health
