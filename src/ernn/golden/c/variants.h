/* The interpreter's variants: for two kinds of numbers, and for what processors have. */

#include <stddef.h>
#include <stdint.h>

/* See play.c. */
#define LANES 16
#define ROWS 32
#define WIDTH 256
#define PART 512
#define SIDE 16
#define FRAME int64_t
#define ENTRIES 256 /* tables have a multiple of so many, which x86.h has in registers */

#define TABLES 12 /* arrays of a `struct machine` that are read, */
#define ROOMS 4   /* and written */

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#endif

/* Plays frames (time, streams, inputs) to outputs (time, streams, outputs), or goes back to before
   the first frame where `x` is NULL; 0, and nothing done, where an input is out of range.
   `buffers`: a machine's arrays, in order. */
typedef int play_function(void *const *buffers, const int64_t *x, int64_t *y, ptrdiff_t time,
                          ptrdiff_t streams);

/* The inner loop of products alone: a tile (pairs, ROWS, 2) times data (results, pairs, side, 2),
   to sums (results, ROWS, side). */
typedef void multiply_function(const void *weights, const void *data, void *sums, ptrdiff_t pairs,
                               ptrdiff_t results, ptrdiff_t side);

extern play_function play_wide, play_narrow, play_avx2, play_avx512;
extern multiply_function multiply_wide, multiply_narrow, multiply_avx2, multiply_avx512;
