// The checks: one probe each, from this host straight to the backend's own address, never by way of the VIP.
//
// Each is a coroutine for a thread of its own kind: it runs where the io_context runs, ends within
// HealthCheck::timeout, can be cancelled (cancellation slots of Asio; the result is of no use then), and
// holds one descriptor while it runs. Both arguments must live until it has ended. Time in which the
// io_context's thread was busy with something else does not count against the backend (checks/deadline.hpp).
//
// Fails: what the backend or the way to it does. Undecided: what this host lacks, descriptors or memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "confine/spawner.hpp"
#include "core/address.hpp"
#include "core/health_check.hpp"
#include "health/check_result.hpp"

namespace nfsteer::health {

struct Target {
  std::string service;
  core::IpAddress address;
  std::uint16_t port = 0;  // host byte order; 0 where there is none (icmp, exec)

  friend bool operator==(const Target&, const Target&) = default;
};

// A connection can be opened. It never reaches the server program: the SYN-ACK is answered with a reset, as
// HAProxy does it. The kernel answers SYNs only while the program accepts connections quickly enough, so
// nothing is lost; won is that the program sees and logs nothing, that no TIME_WAIT is left on either side,
// and that conntrack forgets the entry after 10 s (CLOSE) instead of 120 s (TIME_WAIT).
boost::asio::awaitable<CheckResult> check_tcp(const Target& target, const core::HealthCheck& check);

// GET answered with a status in the range. Only the header is read, at most kHttpHeaderMax bytes of it; no
// redirect is followed. The connection is reset after that, for conntrack's sake as above: by then a server
// has written all of an answer of sensible size.
inline constexpr std::uint32_t kHttpHeaderMax = 16 * 1024;
boost::asio::awaitable<CheckResult> check_http(const Target& target, const core::HealthCheck& check);

// A datagram is answered, from the address and port it went to. The first answer decides.
boost::asio::awaitable<CheckResult> check_udp(const Target& target, const core::HealthCheck& check);

// An echo request is answered (RFC 792, RFC 4443). Needs CAP_NET_RAW.
boost::asio::awaitable<CheckResult> check_icmp(const Target& target, const core::HealthCheck& check);

// A program ends with exit code 0 (confine/child_process.hpp says how it is run, as nobody). It finds its
// task in the environment: NFSTEER_SERVICE, NFSTEER_ADDRESS and NFSTEER_PORT. The `spawner` starts it; null:
// this process does.
boost::asio::awaitable<CheckResult> check_exec(const Target& target, const core::HealthCheck& check,
                                               confine::Spawner* spawner);

// The check of `check.type`, which is not CheckType::passive; owns what it needs.
boost::asio::awaitable<CheckResult> run_check(Target target, std::shared_ptr<const core::HealthCheck> check,
                                              confine::Spawner* spawner);

}  // namespace nfsteer::health
