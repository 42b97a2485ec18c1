/* What x86 processors have of their own for play.c: sums of products of 16-bit pairs in one
   instruction (PMADDWD, VPDPWSSD), and tables of 256 entries in registers (AVX-512). */

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "play.h"

#if defined(AVX512)
typedef __m512i vector;
#define VECTOR 16
#define TOGETHER 8 /* rows of weights whose sums fit in registers */
#define LOAD(from) _mm512_loadu_si512(from)
#define STORE(to, x) _mm512_storeu_si512(to, x)
#define ALL(x) _mm512_set1_epi32(x)
#define ADDED(a, b) _mm512_add_epi32(a, b)
#define ZERO() _mm512_setzero_si512()
#define DOT(total, a, b) _mm512_dpwssd_epi32(total, a, b)
#else
typedef __m256i vector;
#define VECTOR 8
#define TOGETHER 4
#define LOAD(from) _mm256_loadu_si256((const __m256i *)(from))
#define STORE(to, x) _mm256_storeu_si256((__m256i *)(to), x)
#define ALL(x) _mm256_set1_epi32(x)
#define ADDED(a, b) _mm256_add_epi32(a, b)
#define ZERO() _mm256_setzero_si256()
#define DOT(total, a, b) _mm256_add_epi32(total, _mm256_madd_epi16(a, b))
#endif

#define ALWAYS static inline __attribute__((always_inline))

ALWAYS vector repeated(const int16_t *pair)
{
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return ALL(both);
}

/* sums[i, j] = one[pair, i] . many[pair, j] over `pairs`: each of `one` is a pair that is repeated,
   each of `many` a vector of pairs.  An addition waits for the one before it, so `CHAINS` are under
   way where sums are few.  `total`: what sums begin with. */
ALWAYS void block(const int16_t *one, ptrdiff_t one_pair, ptrdiff_t one_i, const int16_t *many,
                  ptrdiff_t many_pair, ptrdiff_t many_j, vector *total, int32_t *sums,
                  ptrdiff_t sums_i, ptrdiff_t sums_j, ptrdiff_t pairs, const int I, const int J,
                  const int CHAINS)
{
    vector other[2 * TOGETHER];
    for (int n = 0; n < I * J; n++)
        other[n] = ZERO();
    ptrdiff_t pair = 0;
    for (; pair + CHAINS <= pairs; pair += CHAINS)
#pragma GCC unroll 2
        for (int c = 0; c < CHAINS; c++) {
            const int16_t *x = one + (pair + c) * one_pair, *y = many + (pair + c) * many_pair;
            vector *sum = c ? other : total;
#pragma GCC unroll 8
            for (int i = 0; i < I; i++)
#pragma GCC unroll 8
                for (int j = 0; j < J; j++)
                    sum[i * J + j] =
                        DOT(sum[i * J + j], LOAD(y + j * many_j), repeated(x + i * one_i));
        }
    if (pair < pairs)
        for (int i = 0; i < I; i++)
            for (int j = 0; j < J; j++)
                total[i * J + j] = DOT(total[i * J + j], LOAD(many + pair * many_pair + j * many_j),
                                       repeated(one + pair * one_pair + i * one_i));
    for (int i = 0; i < I; i++)
        for (int j = 0; j < J; j++)
            STORE(sums + i * sums_i + j * sums_j, ADDED(total[i * J + j], other[i * J + j]));
}

/* Vectors of rows, data repeated. */
ALWAYS void block_of_rows(const int16_t *weights, const int32_t *corrections, const int16_t *data,
                          ptrdiff_t apart, int32_t *sums, ptrdiff_t pitch, ptrdiff_t pairs,
                          const int results)
{
    vector total[4] = {ZERO(), ZERO(), ZERO(), ZERO()};
    for (int j = 0; j < 2 && corrections; j++)
        total[j] = LOAD(corrections + j * VECTOR);
    block(data, 2, apart, weights, 2 * ROWS, 2 * VECTOR, total, sums, pitch, VECTOR, pairs, results,
          2, 2);
}

/* Vectors of streams, weights repeated. */
ALWAYS void block_of_streams(const int16_t *weights, const int32_t *corrections,
                             const int16_t *data, ptrdiff_t apart, int32_t *sums, ptrdiff_t pitch,
                             ptrdiff_t pairs, const int results)
{
    vector total[2 * TOGETHER];
    for (int n = 0; n < results * TOGETHER; n++)
        total[n] = corrections && n % results == 0 ? ALL(corrections[n / results]) : ZERO();
    block(weights, 2 * ROWS, 2, data, 2 * SIDE, apart, total, sums, SIDE, pitch, pairs, TOGETHER,
          results, 1);
}

#define DOTS vector_dots
static void vector_dots(const int16_t *weights, const int32_t *corrections, const int16_t *data,
                        ptrdiff_t apart, int32_t *sums, ptrdiff_t pitch, ptrdiff_t pairs,
                        ptrdiff_t results, ptrdiff_t side)
{
    const int rows = side == 1 ? 2 * VECTOR : TOGETHER;
    for (int row = 0; row < ROWS; row += rows) {
        const int16_t *w = weights + 2 * row;
        const int32_t *c = corrections == NULL ? NULL : corrections + row;
        if (side == 1) {
            if (results == 1)
                block_of_rows(w, c, data, apart, sums + row, pitch, pairs, 1);
            else
                block_of_rows(w, c, data, apart, sums + row, pitch, pairs, 2);
        } else
            for (int s = 0; s < SIDE; s += VECTOR) {
                int32_t *to = sums + row * SIDE + s;
                if (results == 1)
                    block_of_streams(w, c, data + 2 * s, apart, to, pitch, pairs, 1);
                else
                    block_of_streams(w, c, data + 2 * s, apart, to, pitch, pairs, 2);
            }
    }
}

#if defined(AVX512)

/* Entries of a table of 256 at 32 indices: of two registers by permutation, of more by the upper
   bits of the index. */
ALWAYS __m512i entries(const __m512i *table, __m512i at)
{
    const __mmask32 bit6 = _mm512_movepi16_mask(_mm512_slli_epi16(at, 9));
    const __mmask32 bit7 = _mm512_movepi16_mask(_mm512_slli_epi16(at, 8));
    __m512i half[2];
    for (int i = 0; i < 2; i++)
        half[i] = _mm512_mask_blend_epi16(
            bit6, _mm512_permutex2var_epi16(table[4 * i], at, table[4 * i + 1]),
            _mm512_permutex2var_epi16(table[4 * i + 2], at, table[4 * i + 3]));
    return _mm512_mask_blend_epi16(bit7, half[0], half[1]);
}

static void activate(const struct machine *m, const struct table *t, int32_t *to, const int32_t *x,
                     ptrdiff_t count);

/* As `activate` in play.c; 32 numbers at a time, for tables of up to 256 entries. */
static void permuted(const struct machine *m, const struct table *t, int32_t *to, const int32_t *x,
                     ptrdiff_t count)
{
    ptrdiff_t i = 0;
    if (t->slope - t->base == 256 && t->low_bits < 16 && t->shift < 15) {
        __m512i base[8], slope[8];
        for (int part = 0; part < 8; part++) {
            base[part] = _mm512_loadu_si512(m->lines + t->base + 32 * part);
            slope[part] = _mm512_loadu_si512(m->lines + t->slope + 32 * part);
        }
        const __m512i input_low = ALL(t->input_low), mask = ALL((1 << t->low_bits) - 1);
        const __m512i one = ALL(1 << (16 + t->shift)), half = ALL((1 << t->shift) >> 1);
        const __m512i low = ALL(t->low), high = ALL(t->high);
        for (; i + 32 <= count; i += 32) {
            const __m512i u0 = _mm512_sub_epi32(LOAD(x + i), input_low);
            const __m512i u1 = _mm512_sub_epi32(LOAD(x + i + 16), input_low);
            const __m512i at = _mm512_packus_epi32(_mm512_srli_epi32(u0, t->low_bits),
                                                   _mm512_srli_epi32(u1, t->low_bits));
            const __m512i s = entries(slope, at), b = entries(base, at);
            /* (slope, base) . (rest, 1 << shift) + half */
            __m512i l0 = DOT(half, _mm512_unpacklo_epi16(s, b),
                             _mm512_or_si512(one, _mm512_and_si512(u0, mask)));
            __m512i l1 = DOT(half, _mm512_unpackhi_epi16(s, b),
                             _mm512_or_si512(one, _mm512_and_si512(u1, mask)));
            l0 = _mm512_srai_epi32(l0, t->shift);
            l1 = _mm512_srai_epi32(l1, t->shift);
            STORE(to + i, _mm512_min_epi32(_mm512_max_epi32(l0, low), high));
            STORE(to + i + 16, _mm512_min_epi32(_mm512_max_epi32(l1, low), high));
        }
    }
    activate(m, t, to + i, x + i, count - i);
}
#define LOOK_UP permuted

#endif
