/* Crashes in create() as soon as no backend may be picked. */
#include "base.h"

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  struct base *self = (struct base *)base_create(input, error, error_size);
  if (self != NULL && self->first == NFSTEER_NO_BACKEND) abort();
  return self;
}

POLICY(create, base_pick)
