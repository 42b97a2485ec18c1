/* Numbers of 32 bits and weights of 16, on x86 with AVX-512 and VNNI. */

#include "variants.h"

#if defined(X86)
#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,bmi2"))),            \
    apply_to = function)
#else
#pragma GCC target(                                                                                \
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,bmi2,prefer-vector-width=512")
#endif

#define NUMBER int32_t
#define UNSIGNED uint32_t
#define WEIGHT int16_t
#define PLAY play_avx512
#define MULTIPLY multiply_avx512
#define AVX512
#include "x86.h"
#include "library.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
