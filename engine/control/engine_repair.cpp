// How the engine keeps its rules, which others may empty or replace, and lets go of flows that know other
// rules.
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/engine.hpp"
#include "control/stale_flows.hpp"
#include "process/log.hpp"

namespace nfsteer::control {
namespace {

// Nobody waits for a repair: another poll comes soon.
constexpr auto kLockWait = std::chrono::milliseconds(100);

// What was under way when the rules changed makes such entries even after it (see unbound_flows): a packet
// that had passed the old rules and is held by another program's queue, or the answer to a packet that no
// rule had translated. They are looked for at the next poll, and once more when few can be missing.
constexpr int kLaterLooks = 2;
constexpr auto kLookPause = std::chrono::seconds(1);

std::string told_of(std::chrono::steady_clock::duration pause) {
  if (pause == pause.zero()) return "";
  return fmt::format("; this happens again and again: the next repair waits {} s",
                     std::chrono::duration_cast<std::chrono::seconds>(pause).count());
}

}  // namespace

void Engine::watch_rules_at_next_poll() {
  rule_timer_.expires_after(RuleWatch::kPoll);
  rule_timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    if (!stuck_) {
      look_after_rules();
      look_for_late_flows();
    }
    watch_rules_at_next_poll();
  });
}

void Engine::look_after_rules() {
  const auto began = RuleWatch::Clock::now();
  const auto failed = [](const core::Error& error) {
    process::log_limited(spdlog::level::warn, "whether others have changed the rules is not known: {}",
                         error.line());
  };
  const auto seen = rules_.outlines();
  if (!seen) return failed(seen.error());
  if (!rule_watch_.due(*seen, began)) return;
  const auto planned = plan_rules(effective_);
  if (!planned) return failed(planned.error());
  const auto damage = rules::inspect(*planned);
  rule_watch_.compared(began, RuleWatch::Clock::now());
  if (!damage) return failed(damage.error());
  tell_displaced(damage->displaced);
  if (damage->tables == 0)
    rule_watch_.adopt(*seen, began);
  else
    repair(*planned, *damage);
}

void Engine::repair(const rules::RuleSet& planned, const rules::Damage& damage) {
  const auto applied = rules_.apply(planned, kLockWait);
  const auto now = RuleWatch::Clock::now();
  if (!applied) {
    rule_watch_.failed(now);
    ++rule_errors_;
    process::log_limited(spdlog::level::err,
                         "others have changed our rules ({}), which cannot be put right yet: {}", damage.text,
                         applied.error().line());
    return;
  }
  const auto pause = rule_watch_.repaired(now);
  rule_watch_.adopt(rules_.outlines_left(), now);
  rule_repairs_ += damage.tables;
  process::log_limited(spdlog::level::warn, "others had changed our rules, they are put right: {}{}",
                       damage.text, told_of(pause));
  forget_stale_flows(holding(services_, availability_));
}

// Behind the rules, so that the next packet of such a flow finds them.
void Engine::forget_stale_flows(const std::vector<core::Service>& held_before) {
  forget_once(held_before);
  if (looks_left_ == 0) held_at_first_look_ = held_before;
  looks_left_ = kLaterLooks;
  next_look_ = RuleWatch::Clock::now() + RuleWatch::kPoll / 2;
}

void Engine::look_for_late_flows() {
  const auto now = RuleWatch::Clock::now();
  if (looks_left_ == 0 || now < next_look_) return;
  --looks_left_;
  next_look_ = now + kLookPause;
  forget_once(held_at_first_look_);
}

void Engine::forget_once(const std::vector<core::Service>& held_before) {
  const auto forgotten = forget([stale = stale_flows(held_before, holding(services_, availability_)),
                                 unbound = unbound_flows(services_)](const netlink::Connection& each) {
    return stale(each) || unbound(each);
  });
  if (!forgotten) {
    spdlog::warn("flows to backends that are gone, or to none, may go on: {}", forgotten.error().line());
  } else if (*forgotten > 0) {
    spdlog::info("forgot {} flow{} to backends that are gone, or to none", *forgotten,
                 *forgotten == 1 ? "" : "s");
  }
}

void Engine::tell_displaced(const std::vector<std::string>& chains) {
  std::string where = fmt::format("{}", fmt::join(chains, ", "));
  if (where == displaced_) return;
  displaced_ = std::move(where);
  if (displaced_.empty()) return;
  spdlog::warn(
      "rules of others stand before our jump, and what they decide passes it by: {}; "
      "our next change puts the jump first again",
      displaced_);
}

}  // namespace nfsteer::control
