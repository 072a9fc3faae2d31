// Percent-encoding of what stands in a request's target (RFC 3986, section 2.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nfsteer::api {

// "%5Bfd00::20%5D" -> "[fd00::20]"; nothing where a % is followed by something else than two digits.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace nfsteer::api
