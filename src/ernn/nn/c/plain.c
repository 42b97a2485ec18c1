/* On any processor. */

#define HERE(name) plain_##name
#include "both.h"
