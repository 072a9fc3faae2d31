#include <cassert>
#include <utility>

#include "health/checks/check.hpp"

namespace nfsteer::health {

boost::asio::awaitable<CheckResult> run_check(Target target, std::shared_ptr<const core::HealthCheck> check,
                                              confine::Spawner* spawner) {
  switch (check->type) {
    case core::CheckType::tcp:
      co_return co_await check_tcp(target, *check);
    case core::CheckType::http:
      co_return co_await check_http(target, *check);
    case core::CheckType::udp:
      co_return co_await check_udp(target, *check);
    case core::CheckType::icmp:
      co_return co_await check_icmp(target, *check);
    case core::CheckType::exec:
      co_return co_await check_exec(target, *check, spawner);
    case core::CheckType::passive:
      break;
  }
  assert(false);
  co_return CheckResult{Outcome::undecided, "nothing is sent"};
}

}  // namespace nfsteer::health
