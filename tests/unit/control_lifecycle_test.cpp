// Slow start over virtual time.
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "config_support.hpp"
#include "control/lifecycle.hpp"

namespace nfsteer::control {
namespace {

using core::Backend;
using core::BackendState;
using core::Health;
using core::Service;
using namespace std::chrono_literals;

class LifecycleTest : public testing::Test {
 protected:
  LifecycleTest() {
    services_ =
        config::parse("services: [{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, 10.0.0.30]}]")
            .value()
            .services;
    services_[0].slow_start = 100s;
  }

  Backend& second() { return services_[0].backends[1]; }
  void adopt() { lifecycle_.adopt(services_, health(), now_); }
  Lifecycle::HealthOf health() {
    return [this](const Service&, const Backend& backend) {
      return backend.address == services_[0].backends.back().address ? second_ : Health::up;
    };
  }
  // Of the second backend: the part of the first one's weight that it takes, in percent.
  long part() {
    const auto now = lifecycle_.evaluate(services_, health(), now_).at(0);
    return std::lround(100.0 * now.backends[1].weight / now.backends[0].weight);
  }
  BackendState state() { return lifecycle_.evaluate(services_, health(), now_).at(0).states[1]; }

  std::vector<Service> services_;
  Lifecycle lifecycle_;
  Health second_ = Health::up;
  Lifecycle::Clock::time_point now_{1000s};
};

TEST_F(LifecycleTest, AtTheStartNobodyFills) {
  EXPECT_EQ(part(), 100);
  EXPECT_EQ(state(), BackendState::active) << "not that all of them fill";
  adopt();
  EXPECT_EQ(part(), 100);
  EXPECT_FALSE(lifecycle_.next_step(now_));
}

TEST_F(LifecycleTest, ABackendThatComesBackFillsInSteps) {
  adopt();
  second_ = Health::down;
  EXPECT_EQ(part(), 0);
  adopt();
  now_ += 7s;
  second_ = Health::up;
  EXPECT_EQ(part(), 9) << "the first step, before anybody has adopted it";
  adopt();
  EXPECT_EQ(state(), BackendState::filling);
  for (int step = 1; step <= Lifecycle::kFillSteps; ++step) {
    EXPECT_EQ(lifecycle_.next_step(now_), now_ + 10s);
    now_ += 10s;
    adopt();
    EXPECT_EQ(part(), std::lround(100.0 * (step + 1) / 11));
  }
  EXPECT_EQ(state(), BackendState::active);
  EXPECT_FALSE(lifecycle_.next_step(now_)) << "full";
}

TEST_F(LifecycleTest, AnEditInTheMiddleDoesNotStartItAnew) {
  adopt();
  second_ = Health::down;
  adopt();
  second_ = Health::up;
  adopt();
  now_ += 55s;
  second().weight = 2;
  adopt();
  EXPECT_EQ(part(), std::lround(200.0 * 6 / 11));
  EXPECT_EQ(lifecycle_.next_step(now_), now_ + 5s);
}

TEST_F(LifecycleTest, SoDoesOneThatIsAddedOrUndrained) {
  adopt();
  second().state = core::AdminState::drain;
  adopt();
  second().state = core::AdminState::active;
  EXPECT_EQ(part(), 9);
  adopt();
  now_ += 200s;
  adopt();
  EXPECT_EQ(part(), 100);
  const Backend removed = second();
  services_[0].backends.pop_back();
  adopt();
  services_[0].backends.push_back(removed);
  EXPECT_EQ(part(), 9);
}

TEST_F(LifecycleTest, WithoutSlowStartTheShareIsWholeAtOnce) {
  services_[0].slow_start = 0s;
  adopt();
  second_ = Health::down;
  adopt();
  second_ = Health::up;
  EXPECT_EQ(part(), 100);
  adopt();
  EXPECT_FALSE(lifecycle_.next_step(now_));
}

}  // namespace
}  // namespace nfsteer::control
