/* Crashes in destroy(). */
#include "base.h"

static void destroy(void *self) {
  free(self);
  abort();
}

BASE_POLICY(NFSTEER_POLICY_ABI, sizeof(nfsteer_policy), base_create, base_pick, destroy)
