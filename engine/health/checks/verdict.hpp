// What the checks share: from a target to an endpoint, from an error to a result.
#pragma once

#include <chrono>
#include <string>

#include <boost/asio/ip/address.hpp>
#include <boost/system/error_code.hpp>

#include "health/checks/check.hpp"

namespace nfsteer::health {

boost::asio::ip::address asio_address(const core::IpAddress& address);

// "connection refused"
std::string describe(const boost::system::error_code& error);

CheckResult passed(std::string detail);
CheckResult failed(std::string detail);

// Undecided where the error is this host's (descriptors, memory, ephemeral ports), else failed.
CheckResult failed_by(const boost::system::error_code& error);

// "no answer within 2000 ms"
CheckResult no_answer(std::chrono::milliseconds timeout);

}  // namespace nfsteer::health
