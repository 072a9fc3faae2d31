// Ends a check whose time is over, by closing what it waits on: whatever operation is under way or begun
// later fails, and passed() tells why.
//
// A thread that was busy elsewhere finds the time over before it has looked at answers that came in time. The
// deadline therefore moves on by as long as it was noticed late, all in all by once the timeout.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>

#include <boost/asio/steady_timer.hpp>

namespace nfsteer::health {

template <typename Closable>
class Deadline {
 public:
  // `object` must outlive this.
  Deadline(Closable& object, std::chrono::milliseconds timeout)
      : state_(std::make_shared<State>(object, timeout)) {
    wait(state_);
  }
  ~Deadline() {
    state_->object = nullptr;
    state_->timer.cancel();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  bool passed() const { return state_->passed; }

 private:
  using Clock = std::chrono::steady_clock;
  // Less is the normal delay of a timer.
  static constexpr std::chrono::milliseconds kLate{10};

  struct State {
    State(Closable& closable, std::chrono::milliseconds timeout)
        : timer(closable.get_executor(), timeout), object(&closable), grace(timeout) {}
    boost::asio::steady_timer timer;
    Closable* object;       // nullptr: its check has ended
    Clock::duration grace;  // by how much the deadline may still move
    bool passed = false;
  };

  static void wait(const std::shared_ptr<State>& state) {
    state->timer.async_wait([state](const boost::system::error_code& error) {
      if (error || state->object == nullptr) return;
      const Clock::duration late = std::min(Clock::now() - state->timer.expiry(), state->grace);
      if (late > kLate) {
        state->grace -= late;
        state->timer.expires_after(late);
        return wait(state);
      }
      state->passed = true;
      boost::system::error_code ignored;
      state->object->close(ignored);
    });
  }

  std::shared_ptr<State> state_;
};

}  // namespace nfsteer::health
