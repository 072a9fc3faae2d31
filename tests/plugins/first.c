/* Nothing is wrong with it: the first backend that may be picked. */
#include "base.h"

POLICY(base_create, base_pick)
