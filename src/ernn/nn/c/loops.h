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

/* A number lies at base + ((t + ahead) & mask) * frame + spread * its index. */
struct place {
    int64_t base, ahead, mask, frame, spread;
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

/* to[i] = sum over j of matrix[i][j] * of[j], of vectors with `count` numbers, `apart` and
   `of_apart` from each other.  adds: to what is there. */
struct mix {
    int64_t to, of, parts, apart, of_parts, of_apart, count, matrix, adds;
};

/* to[s] = W[s] of[s] for s < spectra, of matrices (columns, batch) to (rows, batch); `weight`:
   where W begins, (spectra, columns, rows).  adds: to what is there. */
struct product {
    int64_t to, of, weight, spectra, rows, columns, batch, adds;
};

/* total[s] += d[s] read[s]^T for s < spectra, of matrices (rows, batch) and (columns, batch);
   `total`: where it begins, (spectra, rows, columns). */
struct outer {
    int64_t d, read, total, spectra, rows, columns, batch;
};

/* In the order in which they are run, each with how many there are; `size`: numbers of a vector. */
struct stage {
    const struct product *products;
    const struct mix *before;
    const struct line *lines;
    const struct mix *after;
    const struct outer *outers;
    int64_t n_products, n_before, n_lines, n_after, n_outers, size;
};

/* formats: rows of scale, low, high, step.  places of gradients are those of the way back. */
struct pass {
    const struct stage *stages;
    const struct term *terms;
    const struct place *places, *d_places;
    const void *matrices, *weights, *formats, *results;
    void *numbers, *gradients, *totals;
};

/* Stages from `stage` on before `last`, in frames from `first` on before `behind`; backward from
   the last to the first. */
typedef void loop_function(const struct pass *pass, int64_t stage, int64_t last, int64_t first,
                           int64_t behind);

/* to = of, both with four axes of `sizes`, which are so many numbers apart. */
struct move {
    int64_t sizes[4], to_apart[4], of_apart[4];
};

typedef void move_function(const struct move *move, void *to, const void *of);

#endif
