// Runs another program to its end: no shell, no quoting, nothing of ours that it could inherit by mistake.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"

namespace nfsteer::process {

struct ProgramResult {
  int status = 0;      // as waitpid(2) tells it
  std::string errors;  // the beginning of what it wrote to its standard error
};

// `command` is the program, found by PATH, and its arguments; `input` is its standard input, and the file
// `output` its standard output, made or emptied. Its environment is ours. Blocks. Errors: it cannot be run;
// the file cannot be written.
core::Result<ProgramResult> run_program(const std::vector<std::string>& command, const std::string& input,
                                        const std::string& output);

}  // namespace nfsteer::process
