// What the engine says of itself, as JSON and as the text of `nfsteer status`.
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/status_text.hpp"
#include "control/status.hpp"

namespace nfsteer::control {
namespace {

using testing::HasSubstr;

// Every number occurs once, so that a value in the wrong place shows.
Status sample() {
  Status status;
  status.pid = 1001;
  status.uptime_s = 1002;
  ServiceStatus& web = status.services.emplace_back();
  web.service.name = "web";
  web.service.vip = core::IpAddress::parse("10.0.0.40").value();
  web.service.protocol = core::Protocol::tcp;
  web.service.port = 80;
  web.service.mode = core::Mode::inspect;
  web.service.masquerade = true;
  web.service.on_no_backend = core::OnNoBackend::drop;
  const auto add_backend = [&](const char* address, std::uint16_t port,
                               std::uint32_t weight) -> BackendStatus& {
    BackendStatus& backend = web.backends.emplace_back();
    backend.backend.address = core::IpAddress::parse(address).value();
    backend.backend.port = port;
    backend.backend.weight = weight;
    backend.effective_weight = weight;
    return backend;
  };
  BackendStatus& first = add_backend("10.0.0.20", 8080, 1);
  first.picks = 1003, first.packets = 1004, first.bytes = 1005;
  BackendStatus& second = add_backend("10.0.0.30", 0, 4);
  second.picks = 3009, second.packets = 1007, second.bytes = 1008;
  web.ladder = 1009;
  web.no_backend = 1010;
  WorkerStatus& worker = status.workers.emplace_back();
  for (std::size_t event = 0; event < core::kEvents; ++event)
    worker.events[event] = 2000 + event;
  status.queues.push_back({7001, core::QueueGroup::inspect, 7002, 7003, 7004, 7005});
  status.interfaces.push_back({"eth7", 8001});
  status.rule_commits = 9001;
  status.rule_errors = 9002;
  status.rule_repairs = 9003;
  return status;
}

TEST(Status, JsonHasEveryValue) {
  const boost::json::value json = to_json(sample());
  const auto number = [&](const char* pointer) { return json.at_pointer(pointer).to_number<double>(); };
  const auto text = [&](const char* pointer) { return std::string(json.at_pointer(pointer).as_string()); };
  EXPECT_EQ(number("/pid"), 1001);
  EXPECT_EQ(number("/uptime_seconds"), 1002);
  EXPECT_EQ(text("/services/0/name"), "web");
  EXPECT_EQ(text("/services/0/vip"), "10.0.0.40");
  EXPECT_EQ(text("/services/0/protocol"), "tcp");
  EXPECT_EQ(number("/services/0/port"), 80);
  EXPECT_EQ(text("/services/0/mode"), "inspect");
  EXPECT_EQ(text("/services/0/policy"), "weighted-random");
  EXPECT_TRUE(json.at_pointer("/services/0/masquerade").as_bool());
  EXPECT_EQ(text("/services/0/on_no_backend"), "drop");
  EXPECT_EQ(number("/services/0/picks"), 1003 + 3009);
  EXPECT_EQ(number("/services/0/ladder"), 1009);
  EXPECT_EQ(number("/services/0/no_backend"), 1010);
  EXPECT_EQ(text("/services/0/backends/0/address"), "10.0.0.20");
  EXPECT_EQ(number("/services/0/backends/0/port"), 8080);
  EXPECT_EQ(number("/services/0/backends/1/port"), 80);
  EXPECT_EQ(number("/services/0/backends/1/weight"), 4);
  EXPECT_EQ(number("/services/0/backends/0/picks"), 1003);
  EXPECT_DOUBLE_EQ(number("/services/0/backends/0/share"), 0.25);
  EXPECT_DOUBLE_EQ(number("/services/0/backends/0/expected_share"), 0.2);
  EXPECT_EQ(number("/services/0/backends/0/packets"), 1004);
  EXPECT_EQ(number("/services/0/backends/0/bytes"), 1005);
  for (std::size_t event = 0; event < core::kEvents; ++event)
    EXPECT_EQ(number(("/workers/0/" + std::string(core::kEventNames[event])).c_str()), 2000 + event);
  EXPECT_EQ(number("/queues/0/queue"), 7001);
  EXPECT_EQ(text("/queues/0/group"), "inspect");
  EXPECT_EQ(number("/queues/0/worker"), 7002);
  EXPECT_EQ(number("/queues/0/waiting"), 7003);
  EXPECT_EQ(number("/queues/0/dropped_full"), 7004);
  EXPECT_EQ(number("/queues/0/dropped_user"), 7005);
  EXPECT_EQ(text("/interfaces/0/name"), "eth7");
  EXPECT_EQ(number("/interfaces/0/packets"), 8001);
  EXPECT_EQ(number("/rules/commits"), 9001);
  EXPECT_EQ(number("/rules/errors"), 9002);
  EXPECT_EQ(number("/rules/repairs"), 9003);
}

TEST(StatusText, ShowsEveryValue) {
  const auto text = cli::status_text(to_json(sample()));
  ASSERT_TRUE(text.has_value());
  for (const char* shown : {"pid 1001",
                            "up 1002 s",
                            "commits 9001",
                            "errors 9002",  //
                            "repairs 9003",
                            "service web",
                            "10.0.0.40:80 tcp",
                            "mode inspect",
                            "weighted-random",
                            "masquerade",
                            "4012 by the engine",
                            "1009 by the ladder",
                            "1010 without a backend",  //
                            "10.0.0.20:8080",
                            "1003",
                            "25.0%",
                            "20.0%",
                            "1004",
                            "1005",  //
                            "10.0.0.30:80",
                            "3009",
                            "75.0%",
                            "80.0%",
                            "1007",
                            "1008",  //
                            "2000",
                            "2001",
                            "2002",
                            "2003",
                            "2004",
                            "2005",
                            "2007",  // worker
                            "7001",
                            "inspect",
                            "7002",
                            "7003",
                            "7004",
                            "7005",  // queue
                            "eth7 8001"})
    EXPECT_THAT(*text, HasSubstr(shown));
}

TEST(StatusText, AnAnswerThatLacksAFieldIsAnError) {
  const auto text = cli::status_text(boost::json::object{{"version", "9"}});
  ASSERT_FALSE(text.has_value());
  EXPECT_THAT(text.error().line(), HasSubstr("use the engine's own version"));
}

}  // namespace
}  // namespace nfsteer::control
