/* Refuses and does not say why. */
#include "base.h"

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  (void)input;
  (void)error;
  (void)error_size;
  return NULL;
}

POLICY(create, base_pick)
