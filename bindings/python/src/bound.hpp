// Policies in Python for callers in this process: as a picker for the engine and the simulator, and for
// scripts that try one out.
#pragma once

#include <pybind11/pybind11.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/picker.hpp"
#include "core/policy_spec.hpp"
#include "core/result.hpp"
#include "policy/policy.hpp"

namespace nfsteer::python {

// Objects and classes of this process that specs call by a name, beside classes of files.
class OwnPolicies {
 public:
  OwnPolicies() = default;
  ~OwnPolicies();
  OwnPolicies(const OwnPolicies&) = delete;
  OwnPolicies& operator=(const OwnPolicies&) = delete;

  // With the interpreter's lock. `name` looks like PATH.py:CLASS.
  void add(const std::string& name, pybind11::object object) { objects_[name] = std::move(object); }
  void add(const pybind11::dict& named);

  // Without the lock, or with it. Null: a policy that is not in Python.
  core::Result<std::shared_ptr<const policy::Policy>> build(const core::PolicySpec& spec,
                                                            const policy::BuildInput& input) const;

 private:
  std::map<std::string, pybind11::object, std::less<>> objects_;  // with the lock
};

void add_bound(pybind11::module_& module);

}  // namespace nfsteer::python
