#include "cli/top/live_view.hpp"

#include <algorithm>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "cli/api_client.hpp"
#include "cli/top/keys.hpp"
#include "cli/top/terminal.hpp"
#include "cli/top/text.hpp"
#include "cli/top/top_model.hpp"
#include "cli/top/top_view.hpp"

namespace nfsteer::cli::top {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(3);  // an answer that takes longer is worth a word

class LiveView {
 public:
  LiveView(asio::io_context& io, Terminal& terminal, const LiveSettings& settings, Sample first)
      : io_(io), terminal_(terminal), settings_(settings) {
    model_.add(std::move(first));
  }

  core::Result<void> run() {
    spawn(ask_engine());
    spawn(follow_keys());
    spawn(follow_signals());
    spawn(follow_clock());
    draw();
    io_.run();
    return outcome_;
  }

 private:
  void spawn(asio::awaitable<void> task) {
    asio::co_spawn(io_, std::move(task), [](const std::exception_ptr& failed) {
      if (failed) std::rethrow_exception(failed);
    });
  }

  asio::awaitable<void> ask_engine() {
    asio::steady_timer timer(io_);
    const auto interval = std::chrono::duration_cast<Clock::duration>(settings_.interval);
    Clock::time_point next = Clock::now();
    for (std::uint64_t done = 0; settings_.count == 0 || done < settings_.count;) {
      next = std::max(next + interval, Clock::now());
      timer.expires_at(next);
      co_await timer.async_wait(asio::use_awaitable);
      if (state_.is_paused) continue;
      asked_ = Clock::now();
      const auto answer = co_await async_call_api(settings_.control, "GET", "/v1/status");
      asked_.reset();
      learn(answer);
      draw();
      ++done;
    }
    io_.stop();
  }

  void learn(const core::Result<boost::json::value>& answer) {
    auto sample = answer ? read_sample(*answer) : tl::unexpected(answer.error());
    if (sample) {
      model_.add(std::move(*sample));
      away_.reset();
      return;
    }
    model_.lose();
    if (!away_) away_ = Away{Clock::now(), {}};
    const core::Error& error = sample.error();
    away_->reason = error.thing.empty() ? error.reason : fmt::format("{} ({})", error.reason, error.thing);
  }

  asio::awaitable<void> follow_keys() {
    std::string bytes;
    for (;;) {
      const auto read = co_await terminal_.read();
      if (!read) {
        outcome_ = tl::unexpected(read.error());
        break;
      }
      bytes += *read;
      for (const Key& key : take_keys(bytes)) {
        const Wish wish = apply(key, limits_, state_);
        if (wish == Wish::quit) {
          io_.stop();
          co_return;
        }
        if (wish == Wish::suspend) terminal_.suspend();
        if (wish == Wish::redraw) terminal_.forget();
      }
      draw();
    }
    io_.stop();
  }

  asio::awaitable<void> follow_signals() {
    asio::signal_set signals(io_, SIGINT, SIGTERM, SIGHUP);
    for (const int number : {SIGQUIT, SIGWINCH, SIGCONT})
      signals.add(number);
    for (;;) {
      const int number = co_await signals.async_wait(asio::use_awaitable);
      if (number != SIGWINCH && number != SIGCONT) break;
      if (number == SIGCONT) terminal_.take();  // the shell has used it meanwhile
      terminal_.forget();
      draw();
    }
    io_.stop();
  }

  // What counts seconds goes on while no answer comes.
  asio::awaitable<void> follow_clock() {
    asio::steady_timer timer(io_);
    for (;;) {
      timer.expires_after(std::chrono::seconds(1));
      co_await timer.async_wait(asio::use_awaitable);
      if (away_ || asked_) draw();
    }
  }

  std::string notice() const {
    const auto since = [](Clock::time_point then) {
      return duration_text(std::chrono::duration<double>(Clock::now() - then).count());
    };
    if (away_) return fmt::format("ENGINE AWAY for {}: {}", since(away_->since), away_->reason);
    if (asked_ && Clock::now() - *asked_ > kPatience)
      return fmt::format("ENGINE SILENT for {}", since(*asked_));
    return {};
  }

  void draw() {
    const TerminalSize size = terminal_.size();
    Screen screen = render(model_.sample(), model_.rates(), state_, notice(),
                           {size.columns, size.lines, settings_.unicode, settings_.styled});
    limits_ = screen.limits;
    state_.scroll = std::min(state_.scroll, limits_.scroll_max);
    terminal_.show(std::move(screen.lines));
  }

  struct Away {
    Clock::time_point since;
    std::string reason;
  };

  asio::io_context& io_;
  Terminal& terminal_;
  const LiveSettings& settings_;
  Model model_;
  ViewState state_;
  ScrollLimits limits_;
  std::optional<Away> away_;
  std::optional<Clock::time_point> asked_;  // the engine, which has not answered yet
  core::Result<void> outcome_;
};

}  // namespace

core::Result<void> live_view(const LiveSettings& settings, Sample first) {
  asio::io_context io{1};
  auto terminal = Terminal::open(io);
  if (!terminal) return tl::unexpected(terminal.error());
  return LiveView(io, **terminal, settings, std::move(first)).run();
}

}  // namespace nfsteer::cli::top
