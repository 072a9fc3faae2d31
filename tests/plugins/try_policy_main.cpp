// The hidden command of nfsteer that tries a policy, as a program of its own: for tests of the plugin layer.
#include "plugin/try_policy.hpp"

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  nfsteer::plugin::run_trial(argv[2], argv[3], argv[4]);
}
