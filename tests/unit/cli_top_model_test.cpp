// What `nfsteer top` makes of an engine's answers: samples, and the rates between them.
#include <string>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/top/top_json.hpp"
#include "cli/top/top_model.hpp"
#include "cli_top_support.hpp"
#include "control/status.hpp"

namespace nfsteer::cli::top {
namespace {

using testing::Optional;

// Every number occurs once, so that a value in the wrong place shows.
control::Status engine_status() {
  control::Status status;
  status.pid = 1001;
  status.uptime_s = 12.5;
  status.revision = 1002;
  status.rule_commits = 1003;
  status.rule_errors = 1004;
  status.conntrack = {true, 1005, 1006, 0, 0, 0};
  control::WorkerStatus& worker = status.workers.emplace_back();
  worker.events[static_cast<std::size_t>(core::Event::packets)] = 2001;
  worker.events[static_cast<std::size_t>(core::Event::batches)] = 2002;
  status.queues.push_back({0, core::QueueGroup::first, 0, 10, 100, 1000});
  status.queues.push_back({1, core::QueueGroup::inspect, 0, 1, 2, 3});
  control::ServiceStatus& web = status.services.emplace_back();
  web.service.name = "web";
  web.service.vip = core::IpAddress::parse("fd00::40").value();
  web.service.protocol = core::Protocol::tcp;
  web.service.port = 80;
  web.ladder = 3001;
  web.no_backend = 3002;
  web.on_backup = true;
  control::BackendStatus& backend = web.backends.emplace_back();
  backend.backend.address = core::IpAddress::parse("fd00::20").value();
  backend.backend.port = 8080;
  backend.backend.weight = 4001;
  backend.picks = 4002;
  backend.state = core::BackendState::filling;
  backend.effective_weight = 4003;
  backend.connections.active = 4004;
  backend.connections.opened = 4005;
  backend.connections.unanswered = 4006;
  backend.health = {core::Health::up, true, 0, 0, "status 200"};
  return status;
}

TEST(TopSample, HoldsWhatTheEngineSays) {
  const auto sample = read_sample(control::to_json(engine_status()));
  ASSERT_TRUE(sample.has_value());
  EXPECT_EQ(sample->pid, 1001U);
  EXPECT_EQ(sample->uptime_s, 12.5);
  EXPECT_EQ(sample->revision, 1002U);
  EXPECT_EQ(sample->rule_commits, 1003U);
  EXPECT_EQ(sample->rule_errors, 1004U);
  EXPECT_EQ(sample->conntrack_entries, 1005U);
  EXPECT_EQ(sample->conntrack_max, 1006U);
  ASSERT_EQ(sample->workers.size(), 1U);
  EXPECT_EQ(sample->workers[0].packets, 2001U);
  EXPECT_EQ(sample->workers[0].batches, 2002U);
  EXPECT_EQ(sample->workers[0].waiting, 11U);
  EXPECT_EQ(sample->workers[0].dropped_full, 102U);
  EXPECT_EQ(sample->workers[0].dropped_user, 1003U);
  ASSERT_EQ(sample->services.size(), 1U);
  const ServiceSample& web = sample->services[0];
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(web.vip, "[fd00::40]:80");
  EXPECT_EQ(web.protocol, "tcp");
  EXPECT_EQ(web.mode, "connection");
  EXPECT_EQ(web.policy, "weighted-random");
  EXPECT_EQ(web.no_backend, 3002U);
  EXPECT_TRUE(web.on_backup);
  EXPECT_FALSE(web.panic);
  ASSERT_EQ(web.backends.size(), 1U);
  const BackendSample& backend = web.backends[0];
  EXPECT_EQ(backend.endpoint, "[fd00::20]:8080");
  EXPECT_EQ(backend.state, "filling");
  EXPECT_EQ(backend.health, "up");
  EXPECT_EQ(backend.last_check, "status 200");
  EXPECT_EQ(backend.weight, 4001U);
  EXPECT_EQ(backend.effective_weight, 4003U);
  EXPECT_EQ(backend.expected_share, 1);
  EXPECT_EQ(backend.active, 4004U);
  EXPECT_EQ(backend.unanswered, 4006U);
}

TEST(TopSample, NewConnectionsAreThoseOfConntrackWhereItIsFollowedElsePicksAndTheLadder) {
  control::Status status = engine_status();
  const auto followed = read_sample(control::to_json(status));
  status.conntrack.followed = false;
  const auto alone = read_sample(control::to_json(status));
  ASSERT_TRUE(followed && alone);
  EXPECT_EQ(followed->services[0].backends[0].opened, 4005U);
  EXPECT_EQ(followed->services[0].unassigned, 0U);
  EXPECT_EQ(alone->services[0].backends[0].opened, 4002U);
  EXPECT_EQ(alone->services[0].unassigned, 3001U);
}

TEST(TopSample, TextCannotMoveTheCursor) {
  control::Status status = engine_status();
  status.services[0].backends[0].health.last_result = "\x1b[2J\xc3\xa4\n";
  const auto sample = read_sample(control::to_json(status));
  ASSERT_TRUE(sample.has_value());
  EXPECT_EQ(sample->services[0].backends[0].last_check, "?[2J???");
}

TEST(TopSample, AnAnswerThatLacksAFieldIsAnError) {
  boost::json::value whole = control::to_json(engine_status());
  whole.as_object()["services"].as_array()[0].as_object().erase("panic");
  for (const boost::json::value& wrong :
       {whole, boost::json::value(boost::json::object{{"version", "9"}}), boost::json::value(7)}) {
    const auto sample = read_sample(wrong);
    ASSERT_FALSE(sample.has_value());
    EXPECT_THAT(sample.error().line(), testing::HasSubstr("use the engine's own version"));
  }
}

TEST(TopSample, AQueueOfAWorkerThatIsNotThereIsAnError) {
  control::Status status = engine_status();
  status.queues[0].worker = 1;
  EXPECT_FALSE(read_sample(control::to_json(status)).has_value());
}

class TopModel : public testing::Test {
 protected:
  // web has 10.0.0.20 and .30, which have opened so many connections.
  static Sample sample(double uptime_s, std::uint64_t first, std::uint64_t second) {
    return make_sample(uptime_s, {make_service("web", {make_backend("10.0.0.20", 1, 0.25, first),
                                                       make_backend("10.0.0.30", 3, 0.75, second)})});
  }
  const BackendRates& backend(std::size_t index, std::size_t service = 0) const {
    return model.rates().services.at(service).backends.at(index);
  }

  Model model;
};

TEST_F(TopModel, OneSampleHasNoRates) {
  model.add(sample(5, 100, 300));
  EXPECT_EQ(model.sample().pid, 4711U);
  EXPECT_EQ(model.rates().interval_s, std::nullopt);
  EXPECT_EQ(model.rates().opened, std::nullopt);
  EXPECT_EQ(model.rates().packets, std::nullopt);
  EXPECT_EQ(model.rates().workers.at(1).packets, std::nullopt);
  EXPECT_EQ(backend(1).opened, std::nullopt);
  EXPECT_EQ(backend(1).share, std::nullopt);
}

TEST_F(TopModel, RatesAreDifferencesOverTheTimeOfTheEngine) {
  model.add(sample(5, 100, 300));
  model.add(sample(7, 110, 330));
  EXPECT_THAT(model.rates().interval_s, Optional(2.0));
  EXPECT_THAT(backend(0).opened, Optional(5.0));
  EXPECT_THAT(backend(1).opened, Optional(15.0));
  EXPECT_THAT(model.rates().services.at(0).opened, Optional(20.0));
  EXPECT_THAT(model.rates().opened, Optional(20.0));
}

TEST_F(TopModel, ARateIsThatOfTheLastInterval) {
  model.add(sample(5, 100, 300));
  model.add(sample(6, 200, 300));
  model.add(sample(7, 202, 300));
  EXPECT_THAT(backend(0).opened, Optional(2.0));
  EXPECT_THAT(backend(1).opened, Optional(0.0));
}

TEST_F(TopModel, WorkersHaveRatesOfPacketsBatchesAndDrops) {
  Sample before = sample(5, 0, 0);
  Sample after = sample(7, 0, 0);
  after.workers[0] = {1300, 120, 4, 6, 8};
  model.add(before);
  model.add(after);
  const WorkerRates& busy = model.rates().workers.at(0);
  EXPECT_THAT(busy.packets, Optional(150.0));
  EXPECT_THAT(busy.batch_mean, Optional(15.0));
  EXPECT_THAT(busy.dropped_full, Optional(3.0));
  EXPECT_THAT(busy.dropped_user, Optional(4.0));
  const WorkerRates& idle = model.rates().workers.at(1);
  EXPECT_THAT(idle.packets, Optional(0.0));
  EXPECT_EQ(idle.batch_mean, std::nullopt);
  EXPECT_THAT(model.rates().packets, Optional(150.0));
}

TEST_F(TopModel, TheLaddersConnectionsCountForTheServiceWhereConntrackIsNotFollowed) {
  Sample before = sample(5, 0, 0);
  Sample after = sample(6, 1, 0);
  before.followed = after.followed = false;
  after.services[0].unassigned = 9;
  after.services[0].no_backend = 4;
  model.add(before);
  model.add(after);
  EXPECT_THAT(model.rates().services.at(0).opened, Optional(10.0));
  EXPECT_THAT(model.rates().services.at(0).no_backend, Optional(4.0));
  EXPECT_THAT(backend(0).opened, Optional(1.0));
}

TEST_F(TopModel, AShareIsThatOfTheLastTenIntervals) {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  double time = 1;
  model.add(sample(time, first, second));
  model.add(sample(time += 1, first += 1000, second));
  EXPECT_THAT(backend(0).share, Optional(1.0));
  EXPECT_THAT(backend(1).share, Optional(0.0));
  for (int i = 0; i < 9; ++i)
    model.add(sample(time += 1, first += 10, second += 30));
  EXPECT_THAT(backend(0).share, Optional(1090.0 / 1360)) << "the first interval counts still";
  model.add(sample(time += 1, first += 10, second += 30));
  EXPECT_THAT(backend(0).share, Optional(0.25));
  EXPECT_THAT(backend(1).share, Optional(0.75));
}

TEST_F(TopModel, NoNewConnectionsHaveNoShares) {
  model.add(sample(5, 100, 300));
  model.add(sample(6, 100, 300));
  EXPECT_THAT(backend(0).opened, Optional(0.0));
  EXPECT_EQ(backend(0).share, std::nullopt);
}

TEST_F(TopModel, AnotherProcessBeginsAnew) {
  model.add(sample(5, 100, 300));
  Sample other = sample(6, 110, 330);
  other.pid = 4712;
  model.add(other);
  EXPECT_EQ(model.rates().opened, std::nullopt);
  EXPECT_EQ(backend(0).opened, std::nullopt);
  other.uptime_s = 7;
  other.services[0].backends[0].opened = 115;
  model.add(other);
  EXPECT_THAT(backend(0).opened, Optional(5.0));
  EXPECT_THAT(backend(0).share, Optional(1.0)) << "of the new engine's connections";
}

TEST_F(TopModel, AClockThatGoesBackIsAnotherEngineOfTheSamePid) {
  model.add(sample(500, 100, 300));
  model.add(sample(1, 110, 330));
  EXPECT_EQ(model.rates().opened, std::nullopt);
}

TEST_F(TopModel, ConnectionsAreNotComparedWithPicks) {
  model.add(sample(5, 100, 300));
  Sample next = sample(6, 900, 900);
  next.followed = false;
  model.add(next);
  EXPECT_EQ(backend(0).opened, std::nullopt);
}

TEST_F(TopModel, TwoAnswersOfOneMomentHaveNoRate) {
  model.add(sample(5, 100, 300));
  model.add(sample(5, 101, 300));
  EXPECT_EQ(model.rates().opened, std::nullopt);
}

TEST_F(TopModel, ACounterThatWentDownCountsFromZero) {
  model.add(sample(5, 100, 300));
  model.add(sample(6, 4, 310));
  EXPECT_THAT(backend(0).opened, Optional(4.0));
  EXPECT_THAT(backend(1).opened, Optional(10.0));
}

TEST_F(TopModel, AfterALossTheValuesStayAndTheRatesBeginAnew) {
  model.add(sample(5, 100, 300));
  model.add(sample(6, 110, 330));
  model.lose();
  EXPECT_EQ(model.sample().services.at(0).backends.at(0).opened, 110U);
  EXPECT_EQ(model.rates().opened, std::nullopt);
  EXPECT_EQ(backend(0).share, std::nullopt);
  model.add(sample(9, 170, 330));
  EXPECT_EQ(backend(0).opened, std::nullopt);
  model.add(sample(10, 171, 330));
  EXPECT_THAT(backend(0).opened, Optional(1.0));
}

TEST_F(TopModel, ServicesAndBackendsAreKnownByNameWhereverTheyStand) {
  const auto web = [](std::uint64_t a, std::uint64_t b) {
    return make_service("web", {make_backend("10.0.0.20", 1, 0.5, a), make_backend("10.0.0.30", 1, 0.5, b)});
  };
  const auto mail = [](std::uint64_t a) {
    return make_service("mail", {make_backend("10.0.0.20", 1, 1, a)});
  };
  model.add(make_sample(5, {web(100, 200), mail(300)}));
  Sample turned = make_sample(6, {mail(303), web(101, 202), make_service("new", {})});
  std::swap(turned.services[1].backends[0], turned.services[1].backends[1]);
  model.add(turned);
  EXPECT_THAT(backend(0, 0).opened, Optional(3.0));
  EXPECT_THAT(backend(0, 1).opened, Optional(2.0)) << "10.0.0.30 of web";
  EXPECT_THAT(backend(1, 1).opened, Optional(1.0)) << "10.0.0.20 of web";
  EXPECT_EQ(model.rates().services.at(2).opened, std::nullopt);
}

TEST_F(TopModel, ANewBackendHasARateFromItsSecondSampleOn) {
  const auto with = [](double uptime_s, std::uint64_t opened, bool is_there) {
    Sample next = sample(uptime_s, 100, 300);
    if (is_there) next.services[0].backends.push_back(make_backend("10.0.0.50", 1, 0.2, opened));
    return next;
  };
  model.add(with(5, 0, false));
  model.add(with(6, 900, true));
  EXPECT_EQ(backend(2).opened, std::nullopt);
  EXPECT_THAT(model.rates().opened, Optional(0.0));
  model.add(with(7, 903, true));
  EXPECT_THAT(backend(2).opened, Optional(3.0));
  EXPECT_THAT(backend(2).share, Optional(1.0));
}

TEST(TopJson, HasRatesAndNullWhereNothingIsKnown) {
  Model model;
  Sample before = make_sample(5, {make_service("web", {make_backend("10.0.0.20", 1, 1, 100)})});
  Sample after = before;
  before.followed = after.followed = false;
  after.uptime_s = 7;
  after.services[0].backends[0].opened = 110;
  model.add(before);
  EXPECT_TRUE(to_json(model.sample(), model.rates()).at_pointer("/services/0/new_per_second").is_null());
  model.add(after);
  const boost::json::value json = to_json(model.sample(), model.rates());
  EXPECT_EQ(json.at_pointer("/interval_seconds").to_number<double>(), 2);
  EXPECT_EQ(json.at_pointer("/new_per_second").to_number<double>(), 5);
  EXPECT_EQ(json.at_pointer("/packets_per_second").to_number<double>(), 0);
  EXPECT_TRUE(json.at_pointer("/workers/0/batch_mean").is_null());
  const boost::json::object& backend = json.at_pointer("/services/0/backends/0").as_object();
  EXPECT_EQ(backend.at("backend").as_string(), "10.0.0.20");
  EXPECT_EQ(backend.at("new_per_second").to_number<double>(), 5);
  EXPECT_EQ(backend.at("share").to_number<double>(), 1);
  EXPECT_EQ(backend.at("total").to_number<int>(), 110);
  EXPECT_TRUE(backend.at("active").is_null());
  EXPECT_TRUE(backend.at("health").is_null());
}

}  // namespace
}  // namespace nfsteer::cli::top
