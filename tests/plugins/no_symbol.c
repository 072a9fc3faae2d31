/* A shared object that is no policy. */
#include "base.h"

NFSTEER_EXPORT uint32_t another_symbol(void *self, const nfsteer_flow *flow, nfsteer_context *context);
uint32_t another_symbol(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  return base_pick(self, flow, context);
}
