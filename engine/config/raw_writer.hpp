// A configuration back to raw values: the one place that says which fields are written, and in which order.
// What the control API gives and edits, the YAML text, and the words of a comparison are all made of these.
//
// Every field is there, but for those that have no value to write (no port, no seed). Fields that mean the
// same left out, and are better left out of a short answer, are marked (RawValue::is_default).
#pragma once

#include <string>

#include "config/engine_settings.hpp"
#include "config/raw.hpp"
#include "core/service.hpp"

namespace nfsteer::config {

RawValue raw_of(const core::Service& service);
RawValue raw_of(const Engine& engine);

RawValue without_defaults(RawValue value);

// The value on one line, as YAML's flow style has it: "{type: http, interval: 1s}". `text` says how single
// values are written.
std::string on_one_line(const RawValue& value, std::string (*text)(const RawValue& single));

}  // namespace nfsteer::config
