#include "health/checks/verdict.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include <boost/system/system_error.hpp>
#include <fmt/format.h>

namespace nfsteer::health {
namespace {

bool is_of_this_host(const boost::system::error_code& error) {
  using boost::system::errc::errc_t;
  constexpr std::array<errc_t, 6> kLacking{
      errc_t::too_many_files_open,   errc_t::too_many_files_open_in_system,
      errc_t::not_enough_memory,     errc_t::no_buffer_space,
      errc_t::address_not_available, errc_t::resource_unavailable_try_again};
  return std::any_of(kLacking.begin(), kLacking.end(), [&](errc_t lacking) { return error == lacking; });
}

}  // namespace

boost::asio::ip::address asio_address(const core::IpAddress& address) {
  namespace ip = boost::asio::ip;
  const auto bytes = address.bytes();
  if (address.is_v4()) {
    ip::address_v4::bytes_type v4;
    std::copy(bytes.begin(), bytes.end(), v4.begin());
    return ip::address_v4(v4);
  }
  ip::address_v6::bytes_type v6;
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  return ip::address_v6(v6);
}

std::string describe(const boost::system::error_code& error) {
  std::string text = error.message();
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

CheckResult passed(std::string detail) {
  return {Outcome::passed, std::move(detail)};
}

CheckResult failed(std::string detail) {
  return {Outcome::failed, std::move(detail)};
}

CheckResult failed_by(const boost::system::error_code& error) {
  return {is_of_this_host(error) ? Outcome::undecided : Outcome::failed, describe(error)};
}

CheckResult no_answer(std::chrono::milliseconds timeout) {
  return failed(fmt::format("no answer within {} ms", timeout.count()));
}

}  // namespace nfsteer::health
