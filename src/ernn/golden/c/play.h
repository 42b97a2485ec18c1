/* What the interpreter in play.c works on: tables of numbers that ernn.golden.program writes.

   Before this file NUMBER and WEIGHT are defined: int32_t and int16_t, or both int64_t.  Every
   structure is made of NUMBERs alone, so that a table is an array of them on the other side.

   Places count numbers of one stream's memory; ~place counts constants.  `side` streams lie side by
   side: number i of all of them, then number i + 1.  A vector of words of `block` numbers has
   number j of every word, one after the other, then number j + 1; what lies beyond its end may be
   anything that its format holds. */

#ifndef ERNN_PLAY_H
#define ERNN_PLAY_H

#include <stddef.h>
#include <stdint.h>

/* value = ((value << up) + half) >> down, kept within low .. high; in 64 bits where `wide`.  The
   half of 1 << down is a sum's own (see `struct op`). */
struct rounding {
    NUMBER up, down, low, high, wide;
};

enum kind { SUM, ACTIVATE, SPECTRUM, PRODUCT };

/* SUM: to = round(half + terms first .. end - 1).  ACTIVATE: to = table `which` of x.
   SPECTRUM: to = round(transform of (x << guard)), of `size` words, the last of `last` numbers; a
   word is `parts` blocks, whose numbers are transformed by turns.
   PRODUCT: product `which`.
   `chain`: so many sums and activations from here on have the same size, and go through their
   vectors part by part, one after the other. */
struct op {
    NUMBER kind, chain, to, size, x, guard, last, first, end, half, which, parts;
    struct rounding round;
};

/* One term of a sum, which is shifted `down` before it is added: a << up, or (a * b) << up where
   there are two factors; taken away where `negative`. */
struct term {
    NUMBER factors, a, b, down, up, negative;
};

/* Rows of weights times the spectra of `operands` first .. end - 1, `columns` words together;
   rounded, transformed back, rounded: `kept` numbers of each, evenly apart from number 0 on.  The
   rows of a gate come in `parts`: those of part s make numbers s * kept .. of every word of gate g,
   which lies at place to + g * apart.

   Weights: (tiles of ROWS rows, bins, pairs, ROWS, 2).  A bin that is real pairs two columns; one
   that is complex has pairs (a, b) for a + ib, which (p, -q) and (q, p) make re and im of.  -q - 1
   stands for -q, so that it fits: `corrections` (tiles, complex bins, ROWS) are the sums of all b.
   Sums of `chunk` pairs fit in a NUMBER.  `exponents`: where among the constants every row has
   the bits by which its sums are shifted further down; -1 where none is. */
struct product {
    NUMBER to, apart, gates, rows, parts, kept, first, end, columns, chunk, weights, corrections;
    NUMBER exponents;
    struct rounding sums, out;
};

struct operand {
    NUMBER place, words;
};

/* A row of a transform: to = a + b, a - b, or (by_a * a + by_b * b + half) >> shift; or with s = a +
   by_a * b and t = c + by_b * d, both by 1 or -1, to = s + t and other = s - t.  The rows are
   followed by one a number of the result, which is in slot `a`. */
enum { ADD, SUBTRACT, ROTATE, BOTH };
struct butterfly {
    NUMBER kind, to, a, b, by_a, by_b, shift, other, c, d;
};

/* base[s] + slope[s] * rest, s the upper bits of x - input_low and rest its `low_bits` lower ones;
   where in `lines` both begin. */
struct table {
    NUMBER input_low, low_bits, shift, low, high, base, slope;
};

/* A vector of a frame's input or output: its numbers' place, count and range. */
struct port {
    NUMBER place, length, low, high;
};

/* `reads` ports of `inputs` numbers together, and `gives` of `outputs`, joined one after another.
   `starts` ops write the states before the first frame, `frame` ops follow for every frame.
   `forward`, `inverse`: rows of the transforms.  `memory`: numbers of a stream; `pitch`: numbers
   from one slot of `tile` to the next. */
struct network {
    NUMBER block, reads, inputs, gives, outputs;
    NUMBER starts, frame, forward, inverse, memory, side, pitch;
};

struct machine {
    const struct network *network;
    const struct op *ops;
    const struct port *ports;
    const struct term *terms;
    const struct product *products;
    const struct operand *operands;
    const struct butterfly *butterflies;
    const struct table *tables;
    const NUMBER *constants, *corrections;
    const WEIGHT *weights, *lines;
    NUMBER *memory, *tile;
    int64_t *totals;
    WEIGHT *data;
};

#endif
