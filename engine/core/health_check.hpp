// How the health of a service's backends is checked, as configured.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nfsteer::core {

enum class CheckType : std::uint8_t {
  tcp,      // a connection can be opened
  http,     // GET over a new connection is answered with a good status
  udp,      // a datagram is answered
  icmp,     // an echo request is answered
  exec,     // a program ends with exit code 0
  passive,  // nothing is sent: only what clients' connections meet counts
};

struct HealthCheck {
  using Duration = std::chrono::milliseconds;

  CheckType type = CheckType::tcp;
  std::uint16_t port = 0;            // host byte order; 0: the port that connections arrive at
  std::string path = "/";            // http: the request's target
  std::string host;                  // http: the Host header; empty: the backend's address and port
  std::uint16_t status_first = 200;  // http: good statuses, both ends included
  std::uint16_t status_last = 399;   //
  std::string send;                  // udp: the datagram's bytes
  std::string expect;                // udp: what the answer begins with; empty: any answer
  std::vector<std::string> command;  // exec: an absolute path and arguments
  Duration interval{5000};           // from one check's start to the next one's
  Duration timeout{2000};            // of one check
  std::uint16_t rise = 2;            // good checks in a row that bring a backend back
  std::uint16_t fall = 3;            // bad checks in a row that take it out
  std::uint8_t jitter = 10;          // percent of the interval, more or less, at random
  Duration backoff_max{60'000};      // while down, the interval doubles up to this
  std::uint16_t passive = 0;         // connections in a row without an answer that take it out; 0: not used
  std::uint8_t panic_threshold = 0;  // percent; with a smaller share healthy, all are used; 0: never

  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

// What the checks of a backend have found so far.
enum class Health : std::uint8_t {
  unknown,  // no check has ended yet: the backend is new and takes nothing until its first good one
  up,       // also where nothing is checked
  down,
};

std::string_view to_string(CheckType type);
std::string_view to_string(Health health);
std::optional<CheckType> parse_check_type(std::string_view text);

}  // namespace nfsteer::core
