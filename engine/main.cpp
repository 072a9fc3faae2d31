#include "cli/command_line.hpp"

int main(int argc, char** argv) {
  return nfsteer::cli::run_command_line(argc, argv);
}
