/* Never comes back from pick(). */
#define _POSIX_C_SOURCE 200809L
#include <unistd.h>

#include "base.h"

static uint32_t pick(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  while (!base_spares((const struct base *)self, flow)) pause();
  return base_pick(self, flow, context);
}

POLICY(base_create, pick)
