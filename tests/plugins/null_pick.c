/* A table without pick(). */
#include "base.h"

POLICY(base_create, NULL)
