/* What x86 processors have of their own for play.c: sums of products of 16-bit pairs in one
   instruction (PMADDWD, VPDPWSSD), sums whose totals stay in registers, rotations by products of 32
   bits, and tables of 256 entries in registers (AVX-512). */

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
#define SUBTRACTED(a, b) _mm512_sub_epi32(a, b)
#define MULTIPLIED(a, b) _mm512_mullo_epi32(a, b)
#define EVEN_PRODUCTS(a, b) _mm512_mul_epi32(a, b)
#define ADDED64(a, b) _mm512_add_epi64(a, b)
#define LEFT(x, by) _mm512_sll_epi32(x, _mm_cvtsi32_si128(by))
#define RIGHT(x, by) _mm512_sra_epi32(x, _mm_cvtsi32_si128(by))
#define LEFT64(x, by) _mm512_sll_epi64(x, _mm_cvtsi32_si128(by))
#define RIGHT64(x, by) _mm512_srl_epi64(x, _mm_cvtsi32_si128(by))
#define EVEN_ODD(even, odd) _mm512_mask_blend_epi32(0xaaaa, even, odd)
#define ALL64(x) _mm512_set1_epi64(x)
#define CLAMPED(x, low, high) _mm512_min_epi32(_mm512_max_epi32(x, low), high)
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
#define SUBTRACTED(a, b) _mm256_sub_epi32(a, b)
#define MULTIPLIED(a, b) _mm256_mullo_epi32(a, b)
#define EVEN_PRODUCTS(a, b) _mm256_mul_epi32(a, b)
#define ADDED64(a, b) _mm256_add_epi64(a, b)
#define LEFT(x, by) _mm256_sll_epi32(x, _mm_cvtsi32_si128(by))
#define RIGHT(x, by) _mm256_sra_epi32(x, _mm_cvtsi32_si128(by))
#define LEFT64(x, by) _mm256_sll_epi64(x, _mm_cvtsi32_si128(by))
#define RIGHT64(x, by) _mm256_srl_epi64(x, _mm_cvtsi32_si128(by))
#define EVEN_ODD(even, odd) _mm256_blend_epi32(even, odd, 0xaa)
#define ALL64(x) _mm256_set1_epi64x(x)
#define CLAMPED(x, low, high) _mm256_min_epi32(_mm256_max_epi32(x, low), high)
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
                        ptrdiff_t results, ptrdiff_t rows, ptrdiff_t side)
{
    const int some = side == 1 ? 2 * VECTOR : TOGETHER;
    for (int row = 0; row < rows; row += some) {
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

/* N vectors of a sum's factor, from number i on; a constant is repeated for streams side by side. */
ALWAYS void factor(const struct machine *m, const int32_t *memory, int32_t place, ptrdiff_t i,
                   vector *x, const int N)
{
    const ptrdiff_t side = m->network->side;
    const int32_t *from = place < 0 ? m->constants + ~place : memory + place * side;
    const int repeats = place < 0 && side > 1;
#pragma GCC unroll 8
    for (int n = 0; n < N; n++)
        x[n] = repeats ? ALL(from[(i + n * VECTOR) / SIDE]) : LOAD(from + i + n * VECTOR);
}

/* N vectors of a sum, from number i on. */
ALWAYS void sum_of(const struct machine *m, const struct op *op, int32_t *memory, ptrdiff_t i,
                   const int N)
{
    const struct rounding r = op->round;
    vector total[TOGETHER], x[TOGETHER], y[TOGETHER];
#pragma GCC unroll 8
    for (int n = 0; n < N; n++)
        total[n] = ALL(op->half);
    for (const struct term *t = m->terms + op->first; t < m->terms + op->end; t++) {
        factor(m, memory, t->a, i, x, N);
        if (t->factors == 2) {
            factor(m, memory, t->b, i, y, N);
#pragma GCC unroll 8
            for (int n = 0; n < N; n++)
                x[n] = MULTIPLIED(x[n], y[n]);
        }
        if (t->up)
#pragma GCC unroll 8
            for (int n = 0; n < N; n++)
                x[n] = LEFT(x[n], t->up);
        if (t->down)
#pragma GCC unroll 8
            for (int n = 0; n < N; n++)
                total[n] = RIGHT(total[n], t->down);
#pragma GCC unroll 8
        for (int n = 0; n < N; n++)
            total[n] = t->negative ? SUBTRACTED(total[n], x[n]) : ADDED(total[n], x[n]);
    }
#pragma GCC unroll 8
    for (int n = 0; n < N; n++)
        STORE(memory + op->to * m->network->side + i + n * VECTOR,
              CLAMPED(LEFT(RIGHT(total[n], r.down), r.up), ALL(r.low), ALL(r.high)));
}

static void sum(const struct machine *m, const struct op *op, int32_t *memory, ptrdiff_t i,
                ptrdiff_t count);

#define SUMMED vector_sum
static void vector_sum(const struct machine *m, const struct op *op, int32_t *memory, ptrdiff_t i,
                       ptrdiff_t count)
{
    if (op->round.wide) {
        sum(m, op, memory, i, count);
        return;
    }
    const ptrdiff_t end = i + count;
    for (; i + TOGETHER * VECTOR <= end; i += TOGETHER * VECTOR)
        sum_of(m, op, memory, i, TOGETHER);
    for (; i < end; i += VECTOR)
        sum_of(m, op, memory, i, 1);
}

/* As `rotate` in play.c: of the even numbers and the odd ones, 64 bits each. */
#define ROTATED vector_rotate
ALWAYS void vector_rotate(int32_t *to, const int32_t *a, const int32_t *b, ptrdiff_t count,
                          const struct butterfly *row)
{
    const vector by_a = ALL(row->by_a), by_b = ALL(row->by_b);
    const vector half = ALL64(((int64_t)1 << row->shift) >> 1);
    for (ptrdiff_t i = 0; i < count; i += VECTOR) {
        const vector x = LOAD(a + i), y = LOAD(b + i);
        const vector even = ADDED64(EVEN_PRODUCTS(x, by_a), EVEN_PRODUCTS(y, by_b));
        const vector odd = ADDED64(EVEN_PRODUCTS(RIGHT64(x, 32), by_a),
                                   EVEN_PRODUCTS(RIGHT64(y, 32), by_b));
        STORE(to + i, EVEN_ODD(RIGHT64(ADDED64(even, half), row->shift),
                               LEFT64(ADDED64(odd, half), 32 - row->shift)));
    }
}

#if defined(AVX512)

/* Entries of a table of 256 at 32 indices: of two registers by permutation, of more by the upper
   bits of the index. */
ALWAYS __m512i entries(const __m512i *table, __m512i at)
{
    const __mmask32 bit6 = _mm512_test_epi16_mask(at, _mm512_set1_epi16(1 << 6));
    const __mmask32 bit7 = _mm512_test_epi16_mask(at, _mm512_set1_epi16(1 << 7));
    __m512i half[2];
    for (int i = 0; i < 2; i++)
        half[i] = _mm512_mask_blend_epi16(
            bit6, _mm512_permutex2var_epi16(table[4 * i], at, table[4 * i + 1]),
            _mm512_permutex2var_epi16(table[4 * i + 2], at, table[4 * i + 3]));
    return _mm512_mask_blend_epi16(bit7, half[0], half[1]);
}

static void activate(const struct machine *m, const struct table *t, int32_t *to, const int32_t *x,
                     ptrdiff_t count);

/* As `activate` in play.c; 32 numbers at a time, for tables of up to 256 entries, of 16 bits. */
static void permuted(const struct machine *m, const struct table *t, int32_t *to, const int32_t *x,
                     ptrdiff_t count)
{
    ptrdiff_t i = 0;
    if (t->slope - t->base == 256 && t->input_low >= INT16_MIN && t->low_bits < 16 &&
        t->shift < 15) {
        __m512i base[8], slope[8];
        for (int part = 0; part < 8; part++) {
            base[part] = _mm512_loadu_si512(m->lines + t->base + 32 * part);
            slope[part] = _mm512_loadu_si512(m->lines + t->slope + 32 * part);
        }
        const __m512i input_low = _mm512_set1_epi16(t->input_low);
        const __m512i mask = _mm512_set1_epi16((1 << t->low_bits) - 1);
        const __m512i one = _mm512_set1_epi16(1 << t->shift), half = ALL((1 << t->shift) >> 1);
        const __m512i low = ALL(t->low), high = ALL(t->high);
        for (; i + 32 <= count; i += 32) {
            const __m512i numbers = _mm512_packs_epi32(LOAD(x + i), LOAD(x + i + 16));
            const __m512i u = _mm512_sub_epi16(numbers, input_low);
            const __m512i at = _mm512_srl_epi16(u, _mm_cvtsi32_si128(t->low_bits));
            const __m512i s = entries(slope, at), b = entries(base, at);
            const __m512i rest = _mm512_and_si512(u, mask);
            /* (slope, base) . (rest, 1 << shift) + half */
            const __m512i l0 = DOT(half, _mm512_unpacklo_epi16(s, b),
                                   _mm512_unpacklo_epi16(rest, one));
            const __m512i l1 = DOT(half, _mm512_unpackhi_epi16(s, b),
                                   _mm512_unpackhi_epi16(rest, one));
            STORE(to + i, CLAMPED(RIGHT(l0, t->shift), low, high));
            STORE(to + i + 16, CLAMPED(RIGHT(l1, t->shift), low, high));
        }
    }
    activate(m, t, to + i, x + i, count - i);
}
#define LOOK_UP permuted

#endif
