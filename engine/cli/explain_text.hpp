// An explanation for people: which service, which backend, and the way of the packet in numbered steps, each
// with the rules that do it.
#pragma once

#include <string>

#include <boost/json/value.hpp>

#include "core/result.hpp"

namespace nfsteer::cli {

// `answer` is what GET /v1/explain answered. Long lists are cut, and bytecode in rules stands as `...`. An
// error if it lacks what the text needs: another version's engine.
core::Result<std::string> explain_text(const boost::json::value& answer);

}  // namespace nfsteer::cli
