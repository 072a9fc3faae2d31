/* Fills the whole room for its error text, and does not end it. */
#include "base.h"

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  (void)input;
  memset(error, 'x', error_size);
  return NULL;
}

POLICY(create, base_pick)
