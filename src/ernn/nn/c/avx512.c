/* On x86 with AVX-512. */

#include "loops.h"

#ifdef X86
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2,prefer-vector-width=512")
#define HERE(name) avx512_##name
#include "both.h"
#endif
