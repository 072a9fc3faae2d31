// What a policy in Python sees: flows, backends, and what it answers with. Values; values.cpp makes Python
// types of them.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/address.hpp"
#include "core/flow.hpp"
#include "core/live_backend.hpp"
#include "core/picker.hpp"
#include "core/random.hpp"
#include "flow_table.hpp"

namespace nfsteer::python {

// Becomes nfsteer.Error; one line for a person.
class PolicyError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The life of one policy. Its backends may be kept by Python code for longer than it.
struct Session {
  bool is_open = true;  // guarded by the interpreter's lock; false: live state may be gone
  std::uint32_t workers = 1;
  std::atomic<std::uint64_t> now_ns{0};  // the latest clock that the policy was called with
};

struct Backend {
  core::IpAddress address;
  std::uint16_t port = 0;  // host byte order; 0: the one that the client asked for
  std::uint32_t weight = 1;
  std::string data{};
  std::uint32_t index = 0;  // in the service's list, or as given
  // Null: connections are not counted. Valid while the session is open.
  const core::LiveBackend* live = nullptr;
  std::shared_ptr<Session> session{};  // null: made by hand

  // Null where there is nothing to read, or not any more.
  const core::LiveBackend* live_now() const {
    return session != nullptr && session->is_open ? live : nullptr;
  }
};

struct Table {
  std::shared_ptr<const FlowTable> table;
};

// Shares by chance, one for each backend.
struct Weights {
  std::vector<double> weights;
};

// A policy of the catalogue over backends.
struct Builtin {
  std::string spec;
  std::shared_ptr<const core::Picker> picker;  // answers with the indices of backends that have a session,
                                               // else with places in the list given
  std::shared_ptr<Session> session;            // of its backends; null: they were made by hand
  core::Random random;                         // for picks outside of a worker's
};

// The backends as a policy is built from them. Throws PolicyError.
Builtin make_builtin(const std::string& spec, const std::vector<Backend>& backends, std::uint64_t seed);

// While it lives, the built-ins that this thread asks use this context.
class ContextScope {
 public:
  explicit ContextScope(core::PickContext& context);
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  core::PickContext* before_;
};

// What the Python types say in their constructors, for callers in C++ too. Throws PolicyError.
Weights make_weights(std::vector<double> weights);

void add_values(pybind11::module_& module);    // values.cpp
void add_builtins(pybind11::module_& module);  // builtins.cpp; add_values() calls it

}  // namespace nfsteer::python
