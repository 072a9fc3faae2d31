// Policies from files: shared objects with the C interface (bindings/c/nfsteer/policy.h), and Python classes,
// which a shared object with the same interface hosts.
//
//   /etc/nfsteer/mine.so               the library itself
//   /etc/nfsteer/mine.py:MyPolicy      nfsteer-python.so with the options file=/etc/nfsteer/mine.py and
//                                      class=MyPolicy before the user's own. It is found at
//                                      $NFSTEER_PYTHON_HOST, where it is installed, or where it was built.
//
// A policy is tried in a process of its own first (plugin/trial.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "confine/descriptor.hpp"
#include "confine/spawner.hpp"
#include "core/policy_spec.hpp"
#include "core/result.hpp"
#include "plugin/library.hpp"
#include "policy/policy.hpp"

namespace nfsteer::plugin {

struct LoaderOptions {
  std::string trial_program;            // knows kTryPolicyCommand; empty: nothing is tried
  std::uint64_t budget_ns = 0;          // of a decision, in the trial; 0: it may take as long as it likes
  confine::Spawner* spawner = nullptr;  // see Trial
};

// The code of a policy as its file held it when it was read.
class PolicyCode {
 public:
  // Errors: what the policy says, or what it did in its trial. `options`: the user's.
  core::Result<std::shared_ptr<const policy::Policy>> build(std::span<const core::PolicySpec::Option> options,
                                                            const policy::BuildInput& input);
  // The file reads differently now. False where it cannot be read: what is loaded goes on.
  bool has_changed() const;

 private:
  friend class Loader;
  using Options = std::vector<core::PolicySpec::Option>;
  PolicyCode(std::string name, LoaderOptions how) : name_(std::move(name)), how_(std::move(how)) {}

  core::Result<void> read();
  core::Result<Options> with_own(std::span<const core::PolicySpec::Option> options) const;
  core::Result<void> try_out(const Options& options, const policy::BuildInput& input);
  core::Result<void> load();

  const std::string name_;  // as the user calls it
  const LoaderOptions how_;
  std::string file_;  // what the user has written
  std::string contents_;
  std::string class_;                                 // of a Python file, else empty
  std::string host_;                                  // of a Python file, the path of its host; else empty
  std::shared_ptr<const confine::Descriptor> image_;  // a copy in memory, of any other file
  std::shared_ptr<const Library> library_;            // null: not built yet
};

class Loader {
 public:
  explicit Loader(LoaderOptions options) : options_(std::move(options)) {}

  // Reads the file; its code runs when it is built. What is in use already and has not changed is not read
  // again. `name`: core::is_policy_file(), absolute.
  core::Result<std::shared_ptr<PolicyCode>> open(const std::string& name);

 private:
  LoaderOptions options_;
  std::map<std::string, std::weak_ptr<PolicyCode>, std::less<>> known_;  // by name
};

// One policy, without a trial: for programs that have nothing to lose.
core::Result<std::shared_ptr<const policy::Policy>> load_policy(const core::PolicySpec& spec,
                                                                const policy::BuildInput& input);

}  // namespace nfsteer::plugin
