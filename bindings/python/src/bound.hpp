// Policies in Python for callers in this process: as a picker for the engine and the simulator, and for
// scripts that try one out.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>

#include "core/picker.hpp"
#include "core/policy_spec.hpp"
#include "core/result.hpp"
#include "policy/policy.hpp"

namespace nfsteer::python {

// A policy of PATH.py:CLASS, or of an object or class of this process. Takes the interpreter's lock itself.
core::Result<std::shared_ptr<const policy::Policy>> make_picker(const core::PolicySpec& spec,
                                                                const policy::BuildInput& input);
core::Result<std::shared_ptr<const policy::Policy>> make_picker(const pybind11::object& given,
                                                                const std::string& name,
                                                                const policy::BuildInput& input);

void add_bound(pybind11::module_& module);

}  // namespace nfsteer::python
