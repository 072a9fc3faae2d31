// One call of the control API (api/routes.hpp) over the engine's unix socket.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>

#include "core/result.hpp"

namespace nfsteer::cli {

// `body` may be empty. An error answer becomes an Error with the text the engine gave; a 4xx is a usage
// error.
core::Result<boost::json::value> call_api(const std::string& socket_path, const std::string& method,
                                          const std::string& target, const std::string& body = {});

// The same in the loop of a program that has other things to do meanwhile.
boost::asio::awaitable<core::Result<boost::json::value>> async_call_api(std::string socket_path,
                                                                        std::string method,
                                                                        std::string target,
                                                                        std::string body = {});

// "/v1/services/web/backends/%5Bfd00::20%5D:80": the words between slashes, percent-encoded where need be.
std::string api_path(std::initializer_list<std::string_view> words);

// "?protocol=tcp&source=10.0.0.10:40000", values percent-encoded where need be.
std::string api_query(std::initializer_list<std::pair<std::string_view, std::string_view>> parameters);

}  // namespace nfsteer::cli
