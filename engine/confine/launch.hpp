// Starts a program as vfork(2) does: the packet workers' memory is neither copied nor write-protected. The
// calling thread stands still until the program is loaded.
#pragma once

#include <sys/types.h>

#include <tl/expected.hpp>

#include "confine/descriptor.hpp"
#include "confine/privileges.hpp"
#include "confine/program.hpp"

namespace nfsteer::confine {

struct Launched {
  pid_t pid;         // also of its process group
  Descriptor pidfd;  // readable when it has ended (pidfd_open(2))
  int error;         // 0; else why the program could not be run, and the process ends at once
};

struct LaunchOptions {
  bool as_sibling = false;       // a child of this process's parent, not of this process (CLONE_PARENT)
  const User* engine = nullptr;  // what Program::As::engine is; null: as this process
};

// The error is an errno: there is no new process. The dead are the parent's to reap.
tl::expected<Launched, int> launch(const Program& program, const LaunchOptions& options = {});

}  // namespace nfsteer::confine
