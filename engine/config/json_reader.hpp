// JSON, as the control API takes and gives it: the fields of a file, in objects.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "config/raw.hpp"
#include "core/result.hpp"
#include "core/service.hpp"

namespace nfsteer::config {

// Raw values that errors call by their way through the body: "backends[1].weight", "body" on top. Of a name
// that an object gives twice the last one counts. Errors: no JSON, a number with a fraction.
core::Result<RawValue> read_json(std::string_view text);

// A service; read_json() and the validator make an equal one of it. Numbers and truth values are such.
boost::json::value to_json(const core::Service& service);

}  // namespace nfsteer::config
