// Errors as values, for everything where the world can fail: a file, a flag, the kernel. The packet path does
// not use them: it returns outcomes (core/steering.hpp).
//
//   Result<Config> config = load_config(path);
//   if (!config) return tl::unexpected(config.error());
//
// An Error becomes one line for a person: the thing, the reason, the mend.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace nfsteer::core {

// Whose turn it is to mend it; decides the exit code.
enum class Fault {
  usage,   // the command line or the configuration: exit code 2
  system,  // the kernel, privileges, files, another process: exit code 1
};

struct Error {
  Fault fault = Fault::system;
  std::string thing;   // "demo.yaml:12: backends[1].weight", "--vip", "queue 0"
  std::string reason;  // what is wrong with it, the offending value included
  std::string mend;    // what to do; may be empty where the reason says it

  // "thing: reason; mend"
  std::string line() const {
    std::string text = thing.empty() ? reason : thing + ": " + reason;
    return mend.empty() ? text : text + "; " + mend;
  }
  int exit_code() const { return fault == Fault::usage ? 2 : 1; }
};

template <typename T>
using Result = tl::expected<T, Error>;

using Failure = tl::unexpected<Error>;

inline Failure usage_error(std::string thing, std::string reason, std::string mend = {}) {
  return Failure(Error{Fault::usage, std::move(thing), std::move(reason), std::move(mend)});
}

inline Failure system_error(std::string thing, std::string reason, std::string mend = {}) {
  return Failure(Error{Fault::system, std::move(thing), std::move(reason), std::move(mend)});
}

}  // namespace nfsteer::core
