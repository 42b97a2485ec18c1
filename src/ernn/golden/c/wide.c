/* Numbers and weights of 64 bits, on any processor. */

#include <stdint.h>

#define NUMBER int64_t
#define UNSIGNED uint64_t
#define WEIGHT int64_t
#define PLAY play_wide
#define MULTIPLY multiply_wide
#include "library.h"
