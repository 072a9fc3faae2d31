#include "cli/command_line.hpp"
#include "plugin/trial.hpp"

extern "C" const char nfsteer_knows_trials = 1;  // the command line has the command

int main(int argc, char** argv) {
  return nfsteer::cli::run_command_line(argc, argv);
}
