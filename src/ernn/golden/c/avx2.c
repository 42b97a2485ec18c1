/* Numbers of 32 bits and weights of 16, on x86 with AVX2. */

#include "variants.h"

#if defined(X86)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx2,bmi2")
#endif

#define NUMBER int32_t
#define UNSIGNED uint32_t
#define WEIGHT int16_t
#define PLAY play_avx2
#define MULTIPLY multiply_avx2
#include "x86.h"
#include "library.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
