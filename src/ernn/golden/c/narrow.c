/* Numbers of 32 bits and weights of 16, on any processor. */

#include <stdint.h>

#define NUMBER int32_t
#define UNSIGNED uint32_t
#define WEIGHT int16_t
#define PLAY play_narrow
#define MULTIPLY multiply_narrow
#include "library.h"
