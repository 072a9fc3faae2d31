// Fields of the control API's answers, which the engine has written: a missing one throws, as Boost.JSON
// does.
#pragma once

#include <cstdint>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace nfsteer::cli {

inline std::string_view text(const boost::json::object& object, std::string_view key) {
  return object.at(key).as_string();
}

inline std::uint64_t number(const boost::json::object& object, std::string_view key) {
  return object.at(key).to_number<std::uint64_t>();
}

inline double fraction(const boost::json::object& object, std::string_view key) {
  return object.at(key).to_number<double>();
}

}  // namespace nfsteer::cli
