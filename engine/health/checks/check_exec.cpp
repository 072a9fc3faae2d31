#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "confine/child_process.hpp"
#include "health/checks/check.hpp"
#include "health/checks/deadline.hpp"
#include "health/checks/verdict.hpp"

namespace nfsteer::health {

namespace asio = boost::asio;
using confine::ChildProcess;

namespace {

std::vector<std::string> environment_of(const Target& target) {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          "NFSTEER_SERVICE=" + target.service, "NFSTEER_ADDRESS=" + target.address.to_string(),
          fmt::format("NFSTEER_PORT={}", target.port)};
}

// A killed process may need a while to be gone, one in the kernel's hands for ever so long; nobody waits.
asio::awaitable<void> reap_later(ChildProcess child) {
  constexpr std::chrono::milliseconds kPauseMax{1000};
  std::chrono::milliseconds pause{1};
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (!child.reap()) {
    timer.expires_after(pause);
    co_await timer.async_wait(asio::use_awaitable);
    pause = std::min(pause * 2, kPauseMax);
  }
}

CheckResult judge(std::optional<int> status) {
  if (!status) return {Outcome::undecided, "its exit code is not known"};
  if (WIFSIGNALED(*status)) return failed(fmt::format("killed by signal {}", WTERMSIG(*status)));
  const int code = WEXITSTATUS(*status);
  return {code == 0 ? Outcome::passed : Outcome::failed, fmt::format("exit code {}", code)};
}

}  // namespace

asio::awaitable<CheckResult> check_exec(const Target& target, const core::HealthCheck& check,
                                        confine::Spawner* spawner) {
  const auto executor = co_await asio::this_coro::executor;
  auto started = ChildProcess::start(
      {.path = check.command.front(), .arguments = check.command, .environment = environment_of(target)},
      spawner);
  if (!started) {
    CheckResult result = failed_by(started.error());
    result.detail = fmt::format("cannot run {}: {}", check.command.front(), result.detail);
    co_return result;
  }
  ChildProcess child = std::move(*started);
  asio::posix::stream_descriptor exited(executor, child.release_pidfd());
  boost::system::error_code error;
  const Deadline deadline(exited, check.timeout);
  co_await exited.async_wait(asio::posix::descriptor_base::wait_read,
                             asio::redirect_error(asio::use_awaitable, error));

  // Until it is reaped, the program keeps the number of its group from going to another.
  child.end();
  const bool is_gone = child.reap();
  const auto status = child.status();
  if (!is_gone) asio::co_spawn(executor, reap_later(std::move(child)), asio::detached);
  if (deadline.passed()) co_return failed(fmt::format("still running after {} ms", check.timeout.count()));
  if (error) co_return failed_by(error);
  co_return judge(status);
}

}  // namespace nfsteer::health
