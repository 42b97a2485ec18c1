/* On x86 with AVX2. */

#include "loops.h"

#ifdef X86
#pragma GCC target("avx2,fma,bmi2")
#define HERE(name) avx2_##name
#include "both.h"
#endif
