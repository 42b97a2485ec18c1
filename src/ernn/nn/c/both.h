/* The loops for both types of numbers, on one kind of processor: before this file is defined
   HERE(name), a name with the processor's. */

#include <math.h>
#include <string.h>

#include "loops.h"

#define NUMBER float
#define SINGLE 1
#define FLOOR floorf
#define NAME(name) HERE(single_##name)
#include "loops.c"
#undef NUMBER
#undef SINGLE
#undef FLOOR
#undef NAME
#undef STRIP
#undef LANES
#undef N
#undef EACH
#undef IN
#undef OUT
#undef WIDE
#undef FRAMES

#define NUMBER double
#define SINGLE 0
#define FLOOR floor
#define NAME(name) HERE(double_##name)
#include "loops.c"
