// A policy written in Python, as the engine and the simulator ask it. The user's object is asked on the
// control thread for what the workers then read without the interpreter (its build()), and only where it says
// so by the workers themselves (per_flow, its pick()).
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/picker.hpp"
#include "nfsteer/policy.h"
#include "published_picker.hpp"
#include "values.hpp"

namespace nfsteer::python {

// What nfsteer._files says of a policy object.
struct PolicyTraits {
  bool is_per_flow = false;
  double refresh_s = 0;  // 0: build() is called once
};

class PythonPolicy {
 public:
  // `given`: an object with the methods of nfsteer.Policy. `name`: for messages on stderr; empty:
  // there are none. Calls its build().
  // With the interpreter's lock. Throws PolicyError.
  PythonPolicy(pybind11::object given, std::string name, std::vector<Backend> backends,
               std::uint32_t workers);
  ~PythonPolicy();  // with the interpreter's lock
  PythonPolicy(const PythonPolicy&) = delete;
  PythonPolicy& operator=(const PythonPolicy&) = delete;

  // Workers, without the interpreter's lock. An index, NFSTEER_NO_BACKEND or NFSTEER_FAILED.
  std::uint32_t pick(const core::FlowKey& flow, core::PickContext& context) const noexcept;

  // The control thread, with or without the interpreter's lock.
  void tick(std::uint64_t now_ns) noexcept;

  // Calls build() again, and has the workers read what it returns. With the lock. Throws PolicyError.
  void build();

  bool uses_live() const { return traits_.is_per_flow || traits_.refresh_s > 0 || uses_live_; }

  // Why the first pick() since the last call that failed did; empty: none has. With the lock.
  std::string take_failure() { return std::exchange(failure_, {}); }

 private:
  std::uint32_t ask(const core::FlowKey& flow, core::PickContext& context) const noexcept;
  void fail(const std::string& reason) const;
  std::uint32_t index_in(const pybind11::object& answer) const;
  std::shared_ptr<const core::Picker> picker_of(const pybind11::object& built);
  std::shared_ptr<const core::Picker> picker_of(const Table& table) const;
  std::shared_ptr<const core::Picker> picker_of(const Weights& weights) const;
  void refresh() noexcept;
  void say(const std::string& text) const;

  std::string name_;
  std::vector<Backend> backends_;
  std::shared_ptr<Session> session_;
  PolicyTraits traits_;
  pybind11::object given_;
  pybind11::object pick_;  // bound; where per_flow
  PublishedPicker published_;
  bool has_usable_backend_ = false;
  bool uses_live_ = false;
  std::uint64_t built_ns_ = 0;   // the first tick's time, then that of the last build()
  std::string build_failure_;    // of the last build(); empty: it succeeded
  mutable std::string failure_;  // with the lock
};

// An error of Python as one line: "mine.py:12: ZeroDivisionError: division by zero". With the lock.
std::string describe(const pybind11::error_already_set& error);

struct Option {
  std::string name;
  std::string value;
};

// An object of this class, or of this class of this file, made with the options as keyword arguments. With
// the lock. Throws PolicyError.
pybind11::object instance_of(const pybind11::object& class_or_object, const std::vector<Option>& options);
pybind11::object load_policy(const std::string& file, const std::string& class_name,
                             const std::vector<Option>& options);

// The C interface over all that: what nfsteer-python.so hands on (host.cpp).
const nfsteer_policy* c_interface();

}  // namespace nfsteer::python
