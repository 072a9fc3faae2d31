/* Crashes while it is loaded. */
#include <signal.h>

#include "base.h"

__attribute__((constructor)) static void crash(void) { raise(SIGSEGV); }

POLICY(base_create, base_pick)
