/* Never comes back from create(). */
#define _POSIX_C_SOURCE 200809L
#include <unistd.h>

#include "base.h"

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  (void)error;
  (void)error_size;
  while (input != NULL) pause();
  return NULL;
}

POLICY(create, base_pick)
