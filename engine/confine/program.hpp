// A program that is to be run for the engine, and with whose rights.
//
// In any case it is a session and a process group of its own, without signal handlers, without capabilities,
// without core dumps, and no program that it runs gives it any right (PR_SET_NO_NEW_PRIVS). It is killed when
// the engine's main thread ends. It stays in the engine's network namespace.
#pragma once

#include <string>
#include <vector>

namespace nfsteer::confine {

struct Program {
  enum class As : unsigned char {
    // User and group 65534 without other groups, where whoever starts it may change to them and could still
    // kill it then (CAP_SETUID, CAP_SETGID, CAP_KILL). Descriptors: /dev/null as standard input, output and
    // error. Working directory /.
    nobody,
    // The engine's user. Descriptors: those given, /dev/null as the other ones of input and output; the
    // engine's standard error.
    engine,
  };
  // Of a descriptor in the new process.
  struct Given {
    int descriptor;
    int as;  // 0..kGivenMax
  };
  static constexpr int kGivenMax = 4;

  As as = As::nobody;
  std::string path;                      // absolute
  std::vector<std::string> arguments;    // [0] is the name by which it is called
  std::vector<std::string> environment;  // all of it
  std::vector<Given> given{};
};

}  // namespace nfsteer::confine
