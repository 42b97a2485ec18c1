/* Tables of the training loops, as `ernn.nn.table` and `ernn.nn.layout` make them: all integers are
   of 64 bits, all numbers float or double. */

#ifndef ERNN_LOOPS_H
#define ERNN_LOOPS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define X86
#endif

/* Of a function; of a table, its derivative is the function's. */
enum { IDENTITY, SIGMOID, TANH, RELU, HARD_SIGMOID, HARD_TANH, SOFTPLUS, SILU, GELU };

/* Number n lies at base + ((t + ahead) & mask) * frame + n, or, where it is for the numbers at work
   alone, in a strip of each thread from base on. */
struct place {
    int64_t base, ahead, mask, frame, strip;
};

/* a * b added, a * b taken away, a + b added, a added; and whether the way back sets the gradient
   of each rather than adds to it. */
enum { PLUS, MINUS, BOTH, ALONE };
struct term {
    int64_t kind, a, b, sets_a, sets_b;
};

/* own = function of a sum of terms.  kept: the sum's place, -1 for none.  fresh: the first term
   sets own rather than adds to what is there.  clear: its gradient is set to 0 once used.  format:
   the row that the sum is rounded to, -1 for none.  results: where those of its table begin, -1 for
   none. */
struct line {
    int64_t function, first, behind, own, kept, fresh, clear, format, results;
};

/* to[s] = W[s] of[s] for s < repeats, of matrices (columns, count) to (rows, count), `count` a
   multiple of a vector's lanes; rows are `apart`, matrices `next` numbers from each other.  weight:
   where W begins, in tiles of ROWS rows, (columns, rows of the tile) each, so that it is read from
   the first number to the last.  adds: to what is there.  by_numbers: whether threads share
   numbers, or tiles of rows. */
struct product {
    int64_t to, to_apart, to_next, of, of_apart, of_next, weight, weight_next;
    int64_t repeats, rows, columns, count, adds, by_numbers;
};

/* total[s] += d[s] read[s]^T for s < spectra, of matrices (rows, batch) and (columns, batch);
   `total`: where it begins, (spectra, rows, columns).  Of all frames of a span at once. */
struct outer {
    int64_t d, read, total, spectra, rows, columns, batch;
};

/* Lines, and two lists of products before and after them, each with how many there are.  size:
   numbers of a vector. */
struct stage {
    const struct product *lists[4];
    const struct line *lines;
    const struct outer *outers;
    int64_t counts[4], n_lines, n_outers, size;
};

/* formats: rows of scale, low, high, step.  places of gradients are those of the way back. */
struct pass {
    const struct stage *stages;
    const struct term *terms;
    const struct place *places, *d_places;
    const void *weights, *formats, *results;
    void *numbers, *gradients, *totals;
};

/* Threads that run the same frames, each its share of what is done between two meetings. */
struct team {
    int size, arrived, meeting;
};

/* Stages from `stage` on before `last`, in frames from `first` on before `behind`; backward from
   the last to the first. */
struct span {
    int64_t stage, last, first, behind;
};

typedef void loop_function(const struct pass *pass, const struct span *span, struct team *team,
                           int me);

/* to = of, both with four axes of `sizes`, which are so many numbers apart. */
struct move {
    int64_t sizes[4], to_apart[4], of_apart[4];
};

typedef void move_function(const struct move *move, void *to, const void *of);

#endif
