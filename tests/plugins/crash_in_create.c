/* Crashes in create(). */
#include "base.h"

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  (void)input;
  (void)error;
  (void)error_size;
  abort();
}

POLICY(create, base_pick)
