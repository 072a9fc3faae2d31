// Samples of an engine for the tests of `nfsteer top`.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/top/sample.hpp"
#include "cli/top/top_model.hpp"

namespace nfsteer::cli::top {

inline BackendSample make_backend(std::string endpoint, std::uint64_t weight, double expected_share,
                                  std::uint64_t opened) {
  BackendSample backend;
  backend.endpoint = std::move(endpoint);
  backend.state = "active";
  backend.weight = backend.effective_weight = weight;
  backend.expected_share = expected_share;
  backend.opened = opened;
  return backend;
}

inline ServiceSample make_service(std::string name, std::vector<BackendSample> backends) {
  ServiceSample service;
  service.name = std::move(name);
  service.vip = "10.0.0.40:80";
  service.protocol = "tcp";
  service.mode = "connection";
  service.policy = "weighted-random";
  service.backends = std::move(backends);
  return service;
}

inline Sample make_sample(double uptime_s, std::vector<ServiceSample> services) {
  Sample sample;
  sample.version = "1.2.3";
  sample.pid = 4711;
  sample.uptime_s = uptime_s;
  sample.revision = 7;
  sample.rule_commits = 9;
  sample.followed = true;
  sample.conntrack_entries = 655;
  sample.conntrack_max = 65536;
  sample.workers = {{1000, 100, 0, 0, 0}, {2000, 200, 0, 0, 0}};
  sample.services = std::move(services);
  return sample;
}

}  // namespace nfsteer::cli::top
