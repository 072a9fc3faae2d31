// Single values: raw text to a typed value, or the error that says what it is instead. `mend` completes the
// error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "config/places.hpp"
#include "core/address.hpp"
#include "core/result.hpp"

namespace nfsteer::config {

core::Result<std::string_view> read_text(const Place& place, std::string_view mend);

inline constexpr std::uint64_t kPortMax = 65535;

// Decimal digits only: YAML's octal, hexadecimal, signed and float forms are refused rather than guessed at.
core::Result<std::uint64_t> read_number(const Place& place, std::uint64_t min, std::uint64_t max,
                                        std::string_view mend);

// An address that names one host.
core::Result<core::IpAddress> read_address(const Place& place);

// The index of the chosen name.
core::Result<std::size_t> read_name_of(const Place& place, const std::vector<std::string_view>& names);

// The value whose to_string() is the text.
template <typename Enum>
core::Result<Enum> read_choice(const Place& place, std::initializer_list<Enum> choices) {
  std::vector<std::string_view> names;
  for (const Enum each : choices)
    names.push_back(to_string(each));
  return read_name_of(place, names).map([&](std::size_t index) { return choices.begin()[index]; });
}

core::Result<bool> read_truth(const Place& place);

// A character of [A-Za-z0-9_.-].
bool is_name_part(char each);

// Succeed if the value is of that kind.
core::Result<void> expect_map(const Place& place, std::string_view mend);
core::Result<void> expect_list(const Place& place, std::size_t length_max, std::string_view mend);

}  // namespace nfsteer::config
