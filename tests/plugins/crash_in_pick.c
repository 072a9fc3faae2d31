/* Crashes in its first pick(). */
#include <signal.h>

#include "base.h"

static uint32_t pick(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  raise(SIGFPE);
  return base_pick(self, flow, context);
}

POLICY(base_create, pick)
