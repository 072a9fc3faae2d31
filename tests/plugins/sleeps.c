/* Takes two milliseconds for a decision. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "base.h"

static uint32_t pick(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  const struct timespec pause = {0, 2000000};
  if (!base_spares((const struct base *)self, flow)) nanosleep(&pause, NULL);
  return base_pick(self, flow, context);
}

POLICY(base_create, pick)
