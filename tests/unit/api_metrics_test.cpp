// The metrics: every value of a status stands there once, under its name and labels.
#include <ctime>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/metrics.hpp"

namespace nfsteer::api {
namespace {

using control::Status;
using testing::HasSubstr;

control::BackendStatus backend_of(const char* address, std::uint16_t port, std::uint64_t first) {
  control::BackendStatus backend;
  backend.backend.address = core::IpAddress::parse(address).value();
  backend.backend.port = port;
  backend.backend.weight = static_cast<std::uint32_t>(first);
  backend.effective_weight = first + 1;
  backend.picks = first + 2;
  backend.packets = first + 3;
  backend.bytes = first + 4;
  backend.connections = {first + 5, first + 6, first + 7, first + 8, first + 9, first + 10, first + 11};
  backend.health.checks_passed = first + 12;
  backend.health.checks_failed = first + 13;
  return backend;
}

// Every number but 0 and 1 occurs once, so that a value in the wrong place shows.
Status sample() {
  Status status;
  status.uptime_s = 1001.5;
  status.rule_commits = 1002;
  status.rule_repairs = 1013;
  status.rule_errors = 1003;
  status.revision = 1004;
  status.reloads = {1005, 1006, 1700000007.25};
  status.conntrack = {true, 1008, 1009, 1010, 1011, 1012};

  control::ServiceStatus& web = status.services.emplace_back();
  web.service.name = "web";
  web.service.vip = core::IpAddress::parse("10.0.0.40").value();
  web.service.protocol = core::Protocol::tcp;
  web.service.port = 80;
  web.service.mode = core::Mode::inspect;
  web.ladder = 2001;
  web.no_backend = 2002;
  web.panic = true;
  web.service.shadow = core::PolicySpec{"maglev", {}};
  web.shadow = {2003, 2004, 2005};
  web.policy_report = policy::GuardReport{.picks = 1,
                                          .out_of_range = 2006,
                                          .weight_zero = 2007,
                                          .failed = 2008,
                                          .overruns = 2009,
                                          .set_aside = true,
                                          .reason = "it is slow"};
  web.backends.push_back(backend_of("10.0.0.20", 8080, 2100));
  web.backends.push_back(backend_of("10.0.0.30", 0, 2200));
  web.backends[0].live.handshake_us = 250;
  web.backends[0].shadow = {2121, 2122, 2123};
  web.backends[0].state = core::BackendState::draining;
  web.backends[0].health.checked = true;
  web.backends[0].health.health = core::Health::down;
  control::ServiceStatus& six = status.services.emplace_back();
  six.service.name = "six";
  six.service.vip = core::IpAddress::parse("fd00::40").value();
  six.ladder = 2301;
  six.no_backend = 2302;
  six.on_backup = true;
  six.backends.push_back(backend_of("fd00::20", 0, 2400));

  control::WorkerStatus& worker = status.workers.emplace_back();
  for (std::size_t event = 0; event < core::kEvents; ++event)
    worker.events[event] = 3000 + event;
  for (std::size_t i = 0; i < core::kBatchSizeBuckets; ++i)
    worker.batch_sizes[i] = std::uint64_t{1} << (2 * i);
  for (std::size_t i = 0; i < core::kDecisionBuckets; ++i)
    worker.decisions[i] = std::uint64_t{1} << (2 * i + 1);
  worker.decision_ns = 3'500'000'000;
  status.queues.push_back({7001, core::QueueGroup::inspect, 7002, 7003, 7004, 7005});
  status.interfaces = {{"eth7", 8001}, {"eth8", 8010}, {"eth7", 8100}};
  return status;
}

const ProcessUsage kProcess{9001.25, 9002, 9003, 1700009004.5, 9005, 9006};

// Series to value. Fails where one series stands there twice.
std::map<std::string, std::string> series_of(const std::string& text) {
  std::map<std::string, std::string> series;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const auto space = line.rfind(' ');
    EXPECT_TRUE(series.emplace(line.substr(0, space), line.substr(space + 1)).second) << line;
  }
  return series;
}

// Takes what is expected out of `series`.
class Expectation {
 public:
  explicit Expectation(std::map<std::string, std::string>& series) : series_(series) {}
  void operator()(const std::string& name, const std::string& value) {
    const auto found = series_.find(name);
    ASSERT_NE(found, series_.end()) << name;
    EXPECT_EQ(found->second, value) << name;
    series_.erase(found);
  }

 private:
  std::map<std::string, std::string>& series_;
};

void expect_backend(Expectation& expect, const std::string& labels, std::uint64_t first) {
  const auto value = [&](std::uint64_t offset) { return std::to_string(first + offset); };
  const std::string all = "{" + labels + "}";
  expect("nfsteer_backend_weight" + all, value(0));
  expect("nfsteer_backend_effective_weight" + all, value(1));
  expect("nfsteer_backend_picks_total" + all, value(2));
  expect("nfsteer_backend_seen_packets_total" + all, value(3));
  expect("nfsteer_backend_seen_bytes_total" + all, value(4));
  expect("nfsteer_backend_connections_active" + all, value(5));
  expect("nfsteer_backend_connections_opened_total" + all, value(6));
  expect("nfsteer_backend_connections_unanswered_total" + all, value(7));
  expect("nfsteer_backend_conntrack_packets_total{" + labels + ",direction=\"in\"}", value(8));
  expect("nfsteer_backend_conntrack_bytes_total{" + labels + ",direction=\"in\"}", value(9));
  expect("nfsteer_backend_conntrack_packets_total{" + labels + ",direction=\"out\"}", value(10));
  expect("nfsteer_backend_conntrack_bytes_total{" + labels + ",direction=\"out\"}", value(11));
}

void expect_state(Expectation& expect, const std::string& labels, std::string_view state, bool up) {
  for (const char* each : {"active", "filling", "draining", "standby", "starting", "down", "maintenance"})
    expect("nfsteer_backend_state{" + labels + ",state=\"" + each + "\"}", each == state ? "1" : "0");
  expect("nfsteer_backend_up{" + labels + "}", up ? "1" : "0");
}

void expect_services(Expectation& expect) {
  expect(R"(nfsteer_service_info{service="web",vip="10.0.0.40:80",protocol="tcp",mode="inspect",)"
         R"(policy="weighted-random"})",
         "1");
  expect(R"(nfsteer_service_info{service="six",vip="fd00::40",protocol="any",mode="connection",)"
         R"(policy="weighted-random"})",
         "1");
  expect(R"(nfsteer_service_ladder_connections_total{service="web"})", "2001");
  expect(R"(nfsteer_service_ladder_connections_total{service="six"})", "2301");
  expect(R"(nfsteer_service_no_backend_connections_total{service="web"})", "2002");
  expect(R"(nfsteer_service_no_backend_connections_total{service="six"})", "2302");
  expect(R"(nfsteer_service_panic{service="web"})", "1");
  expect(R"(nfsteer_service_panic{service="six"})", "0");
  expect(R"(nfsteer_service_on_backup{service="web"})", "0");
  expect(R"(nfsteer_service_on_backup{service="six"})", "1");
  const std::string first = R"(service="web",backend="10.0.0.20:8080")";
  const std::string second = R"(service="web",backend="10.0.0.30:80")";
  const std::string third = R"(service="six",backend="fd00::20")";
  expect_backend(expect, first, 2100);
  expect_backend(expect, second, 2200);
  expect_backend(expect, third, 2400);
  expect_state(expect, first, "draining", false);
  expect_state(expect, second, "active", true);
  expect_state(expect, third, "active", true);
  expect("nfsteer_backend_handshake_seconds{" + first + "}", "0.00025");
  expect("nfsteer_backend_handshake_seconds{" + second + "}", "0");
  expect("nfsteer_backend_handshake_seconds{" + third + "}", "0");
  expect("nfsteer_backend_shadow_picks_total{" + first + "}", "2121");
  expect("nfsteer_backend_shadow_gained_total{" + first + "}", "2122");
  expect("nfsteer_backend_shadow_lost_total{" + first + "}", "2123");
  for (const char* each : {"picks", "gained", "lost"})
    expect("nfsteer_backend_shadow_" + std::string(each) + "_total{" + second + "}", "0");
  expect(R"(nfsteer_service_shadow_decisions_total{service="web"})", "2003");
  expect(R"(nfsteer_service_shadow_differing_total{service="web"})", "2004");
  expect(R"(nfsteer_service_policy_faults_total{service="web",fault="out_of_range"})", "2006");
  expect(R"(nfsteer_service_policy_faults_total{service="web",fault="weight_zero"})", "2007");
  expect(R"(nfsteer_service_policy_faults_total{service="web",fault="failed"})", "2008");
  expect(R"(nfsteer_service_policy_overruns_total{service="web"})", "2009");
  expect(R"(nfsteer_service_policy_set_aside{service="web"})", "1");
  expect("nfsteer_backend_checks_total{" + first + R"(,result="passed"})", "2112");
  expect("nfsteer_backend_checks_total{" + first + R"(,result="failed"})", "2113");
}

void expect_worker(Expectation& expect) {
  const auto name = [](const char* family, const char* more = "") {
    return "nfsteer_worker_" + std::string(family) + R"({worker="0")" + more + "}";
  };
  expect(name("received_packets_total"), "3000");
  expect(name("batches_total"), "3001");
  expect(name("packets_total", R"(,verdict="rewritten")"), "3002");
  expect(name("packets_total", R"(,verdict="accepted")"), "3003");
  expect(name("packets_total", R"(,verdict="dropped")"), "3004");
  expect(name("unsteered_packets_total", R"(,reason="malformed")"), "3005");
  expect(name("unsteered_packets_total", R"(,reason="unsupported")"), "3006");
  expect(name("unsteered_packets_total", R"(,reason="unmatched")"), "3007");
  expect(name("cache_lookups_total", R"(,result="hit")"), "3008");
  expect(name("affinity_hits_total"), "3009");
  expect(name("cache_lookups_total", R"(,result="miss")"), "3010");
  expect(name("no_backend_total"), "3011");
  expect(name("receive_overflows_total"), "3012");
  expect(name("receive_errors_total"), "3013");
  expect(name("verdict_errors_total"), "3014");

  // Sums of 4^0 ... 4^i, and twice that. Of a bound the library writes 16 digits.
  const char* const sizes[] = {"1", "2", "4", "8", "16", "32", "64", "128", "+Inf"};
  const char* const seconds[] = {"1.28e-07",
                                 "2.56e-07",
                                 "5.12e-07",
                                 "1.024e-06",
                                 "2.048e-06",
                                 "4.096e-06",
                                 "8.192000000000001e-06",
                                 "1.6384e-05",
                                 "3.2768e-05",
                                 "6.5536e-05",
                                 "0.000131072",
                                 "+Inf"};
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < core::kBatchSizeBuckets; ++i) {
    sum += std::uint64_t{1} << (2 * i);
    expect(R"(nfsteer_worker_batch_packets_bucket{worker="0",le=")" + std::string(sizes[i]) + "\"}",
           std::to_string(sum));
  }
  expect(name("batch_packets_count"), std::to_string(sum));
  sum = 0;
  for (std::size_t i = 0; i < core::kDecisionBuckets; ++i) {
    sum += std::uint64_t{1} << (2 * i + 1);
    expect(R"(nfsteer_worker_decision_seconds_bucket{worker="0",le=")" + std::string(seconds[i]) + "\"}",
           std::to_string(sum));
  }
  expect(name("decision_seconds_count"), std::to_string(sum));
  expect(name("decision_seconds_sum"), "3.5");
  expect(name("batch_packets_sum"), std::to_string(sum));
}

TEST(Metrics, HaveEveryValueOnceAndNothingElse) {
  auto series = series_of(metrics_text(sample(), kProcess));
  Expectation expect(series);
  std::string build;
  for (const auto& [name, value] : series)
    if (name.starts_with("nfsteer_build_info{version=\"")) build = name;
  expect(build, "1");
  expect("nfsteer_uptime_seconds", "1001.5");
  expect("nfsteer_rule_commits_total", "1002");
  expect("nfsteer_rule_repairs_total", "1013");
  expect("nfsteer_rule_errors_total", "1003");
  expect("nfsteer_configuration_revision", "1004");
  expect(R"(nfsteer_reloads_total{result="success"})", "1005");
  expect(R"(nfsteer_reloads_total{result="failure"})", "1006");
  expect("nfsteer_last_reload_success_timestamp_seconds", "1700000007.25");
  expect("nfsteer_conntrack_followed", "1");
  expect("nfsteer_conntrack_entries", "1008");
  expect("nfsteer_conntrack_entries_max", "1009");
  expect("nfsteer_conntrack_events_total", "1010");
  expect("nfsteer_conntrack_overflows_total", "1011");
  expect("nfsteer_conntrack_readings_total", "1012");
  expect_services(expect);
  expect_worker(expect);
  const std::string queue = R"({queue="7001",group="inspect",worker="7002")";
  expect("nfsteer_queue_waiting_packets" + queue + "}", "7003");
  expect("nfsteer_queue_dropped_packets_total" + queue + R"(,reason="queue_full"})", "7004");
  expect("nfsteer_queue_dropped_packets_total" + queue + R"(,reason="buffer_full"})", "7005");
  expect(R"(nfsteer_interface_packets_total{interface="eth7"})", "16101");
  expect(R"(nfsteer_interface_packets_total{interface="eth8"})", "8010");
  expect("process_cpu_seconds_total", "9001.25");
  expect("process_resident_memory_bytes", "9002");
  expect("process_virtual_memory_bytes", "9003");
  expect("process_start_time_seconds", "1700009004.5");
  expect("process_open_fds", "9005");
  expect("process_max_fds", "9006");
  EXPECT_THAT(series, testing::IsEmpty());
}

TEST(Metrics, AFamilyStandsThereWhileThereIsNothingToCount) {
  const auto families = [](const std::string& text) {
    std::multiset<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
      if (line.starts_with("# ") && line.find(" process_") == std::string::npos) lines.insert(line);
    return lines;
  };
  const auto some = families(metrics_text(sample(), kProcess));
  EXPECT_EQ(some, families(metrics_text(Status{}, {})));
  EXPECT_EQ(some.count("# TYPE nfsteer_backend_picks_total counter"), 1U);
}

TEST(Metrics, WhatIsNotKnownIsLeftOut) {
  const auto series = series_of(metrics_text(Status{}, {}));
  for (const auto& [name, value] : series) {
    EXPECT_FALSE(name.starts_with("nfsteer_conntrack_entries")) << name;
    EXPECT_FALSE(name.starts_with("nfsteer_last_reload")) << name;
    EXPECT_FALSE(name.starts_with("process_")) << name;
  }
}

TEST(Metrics, LabelsAreEscaped) {
  Status status;
  status.interfaces = {{"a\"b\\c\nd", 5}};
  EXPECT_THAT(metrics_text(status, {}),
              HasSubstr("nfsteer_interface_packets_total{interface=\"a\\\"b\\\\c\\nd\"} 5\n"));
}

TEST(Metrics, OfTenThousandBackendsStayInteractive) {
  Status status;
  control::ServiceStatus& web = status.services.emplace_back();
  web.service.name = "a-name-of-usual-length";
  web.service.port = 80;
  for (unsigned i = 0; i < 10'000; ++i) {
    const std::string address = "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
    web.backends.push_back(backend_of(address.c_str(), 8080, 123'456'789 + i));
    web.backends.back().health.checked = true;
  }
  const std::clock_t before = std::clock();
  const std::string text = metrics_text(status, {});
  const double seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  RecordProperty("bytes", std::to_string(text.size()));
  RecordProperty("seconds", std::to_string(seconds));
  EXPECT_LT(text.size(), std::size_t{32} << 20);
  EXPECT_LT(seconds, 4);  // of CPU time, with sanitizers; a twentieth without
}

TEST(ProcessUsage, IsReadFromTheKernelsForm) {
  const std::string stat =
      "77 (a) b (c) S 1 77 77 0 -1 4194560 901 0 0 0 150 50 7 8 20 0 3 0 4000 10485760 256 "
      "18446744073709551615 "
      "1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0\n";
  const auto usage = parse_process_usage(stat, "cpu 1 2 3\nbtime 1700000000\nprocesses 4\n", {100, 4096});
  EXPECT_EQ(usage.cpu_s, 2);
  EXPECT_EQ(usage.virtual_bytes, 10485760);
  EXPECT_EQ(usage.resident_bytes, 256 * 4096);
  EXPECT_EQ(usage.started_s, 1700000040);
}

TEST(ProcessUsage, WhatCannotBeReadIsMissing) {
  for (const char* stat :
       {"", "77", "77 (a", "77 (a) S 1 2", "77 (a) S x x x x x x x x x x x x x x x x x x x x x x"}) {
    const auto usage = parse_process_usage(stat, "", {});
    EXPECT_FALSE(usage.cpu_s || usage.virtual_bytes || usage.resident_bytes || usage.started_s) << stat;
  }
}

TEST(ProcessUsage, OfThisProcessIsPlausible) {
  const auto usage = read_process_usage();
  EXPECT_GE(usage.cpu_s, 0);
  EXPECT_GT(usage.resident_bytes, 100'000);
  EXPECT_GE(usage.virtual_bytes, usage.resident_bytes);
  EXPECT_NEAR(usage.started_s.value_or(0), static_cast<double>(std::time(nullptr)), 3600);
  EXPECT_GE(usage.open_fds, 3);
  EXPECT_GE(usage.open_fds_max, usage.open_fds);
}

}  // namespace
}  // namespace nfsteer::api
