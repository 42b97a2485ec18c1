/* The interpreter: plays a recorded program, op by op, on whole vectors of integers.

   Plain C99: no allocation, no library, no state but what a `struct machine` points to; equal on
   every machine whose >> of a negative number keeps its sign.  Before this file are defined:
     NUMBER, UNSIGNED  int32_t and uint32_t, or int64_t and uint64_t: numbers in memory
     WEIGHT            int16_t or int64_t: weights, and data that they are multiplied by
     FRAME             the type of inputs and outputs
     LANES, ROWS       numbers that are worked on together; rows of a tile of weights
     WIDTH             words that are transformed together, a multiple of LANES
     PART              numbers that go through a chain together, a multiple of LANES and SIDE
     SIDE              streams that may lie side by side, a multiple of LANES; or 1
   and, where a processor has something of its own for a loop (x86.h), DOTS, LOOK_UP, SUMMED or
   ROTATED. */

#include "play.h"

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

typedef ptrdiff_t place_t;

INLINE place_t least(place_t a, place_t b) { return a < b ? a : b; }

INLINE int64_t up64(int64_t value, NUMBER by) { return (int64_t)((uint64_t)value << by); }

INLINE NUMBER up(NUMBER value, NUMBER by) { return (NUMBER)((UNSIGNED)value << by); }

INLINE NUMBER between(NUMBER value, NUMBER low, NUMBER high)
{
    value = value < low ? low : value;
    return value > high ? high : value;
}

INLINE NUMBER within(int64_t value, NUMBER low, NUMBER high)
{
    value = value < low ? low : value;
    return (NUMBER)(value > high ? high : value);
}

/* --- rounding */

INLINE void round64(NUMBER *restrict to, const int64_t *restrict x, place_t count,
                    struct rounding r)
{
    const int64_t half = ((int64_t)1 << r.down) >> 1;
    for (place_t i = 0; i < count; i++)
        to[i] = within((up64(x[i], r.up) + half) >> r.down, r.low, r.high);
}

INLINE void round_all(NUMBER *to, const NUMBER *x, place_t count, struct rounding r)
{
    const int64_t half64 = ((int64_t)1 << r.down) >> 1;
    const NUMBER half = (NUMBER)half64;
    if (r.wide)
        for (place_t i = 0; i < count; i++)
            to[i] = within((up64(x[i], r.up) + half64) >> r.down, r.low, r.high);
    else if (r.up)
        for (place_t i = 0; i < count; i++)
            to[i] = between(up(x[i], r.up), r.low, r.high);
    else
        for (place_t i = 0; i < count; i++)
            to[i] = between((x[i] + half) >> r.down, r.low, r.high);
}

static void rounded(NUMBER *restrict to, const NUMBER *restrict x, place_t count, struct rounding r)
{
    if (count == WIDTH) /* so that the compiler knows it */
        round_all(to, x, WIDTH, r);
    else
        round_all(to, x, count, r);
}

static void rounded_in_place(NUMBER *x, place_t count, struct rounding r)
{
    if (count == WIDTH)
        round_all(x, x, WIDTH, r);
    else
        round_all(x, x, count, r);
}

/* --- sums and activations */

/* `count` numbers of a vector from number i on; a constant is repeated for streams side by side. */
INLINE const NUMBER *numbers(const struct machine *m, const NUMBER *memory, NUMBER place, place_t i,
                             place_t count, NUMBER *restrict spread)
{
    const place_t side = m->network->side;
    if (place >= 0)
        return memory + place * side + i;
    if (side == 1)
        return m->constants + ~place + i;
    const NUMBER *constants = m->constants + ~place + i / SIDE;
    for (place_t n = 0; n < count / SIDE; n++)
        for (place_t s = 0; s < SIDE; s++)
            spread[n * SIDE + s] = constants[n];
    return spread;
}

/* A term, a or a * b, added to `count` totals; `UP` shifts values of the totals' type. */
#define ADD_TERM(TOTAL, total, UP)                                                                 \
    for (place_t n = 0; n < count; n++) {                                                          \
        const TOTAL value = UP(b ? (TOTAL)a[n] * b[n] : a[n], t->up);                              \
        const TOTAL others = first ? op->half : total[n] >> t->down;                               \
        total[n] = others + (t->negative ? -value : value);                                        \
    }

/* `count` numbers of a sum from number i on. */
static void sum(const struct machine *m, const struct op *op, NUMBER *memory, place_t i,
                place_t count)
{
    NUMBER total[PART], a_room[PART], b_room[PART];
    int64_t total64[PART];
    for (const struct term *t = m->terms + op->first; t < m->terms + op->end; t++) {
        const NUMBER *a = numbers(m, memory, t->a, i, count, a_room);
        const NUMBER *b = t->factors == 2 ? numbers(m, memory, t->b, i, count, b_room) : NULL;
        const int first = t == m->terms + op->first;
        if (op->round.wide)
            ADD_TERM(int64_t, total64, up64)
        else
            ADD_TERM(NUMBER, total, up)
    }
    NUMBER *to = memory + op->to * m->network->side + i;
    const struct rounding r = op->round;
    for (place_t n = 0; n < count; n++)
        if (r.wide)
            to[n] = within(up64(total64[n] >> r.down, r.up), r.low, r.high);
        else
            to[n] = between(up(total[n] >> r.down, r.up), r.low, r.high);
}

#ifndef SUMMED
#define SUMMED sum
#endif

/* In place, perhaps. */
static void activate(const struct machine *m, const struct table *t, NUMBER *to, const NUMBER *x,
                     place_t count)
{
    const WEIGHT *base = m->lines + t->base, *slope = m->lines + t->slope;
    const NUMBER mask = ((NUMBER)1 << t->low_bits) - 1, half = ((NUMBER)1 << t->shift) >> 1;
    for (place_t i = 0; i < count; i++) {
        const NUMBER u = x[i] - t->input_low, segment = u >> t->low_bits;
        const NUMBER line = up(base[segment], t->shift) + slope[segment] * (u & mask) + half;
        to[i] = between(line >> t->shift, t->low, t->high);
    }
}

#ifndef LOOK_UP
#define LOOK_UP activate
#endif

static void chain(const struct machine *m, const struct op *ops, NUMBER *memory)
{
    const place_t side = m->network->side, size = ops->size * side;
    for (place_t begin = 0; begin < size; begin += PART) {
        const place_t end = least(begin + PART, size);
        for (const struct op *op = ops; op < ops + ops->chain; op++)
            if (op->kind == ACTIVATE)
                LOOK_UP(m, m->tables + op->which, memory + op->to * side + begin,
                        memory + op->x * side + begin, end - begin);
            else
                SUMMED(m, op, memory, begin, end - begin);
    }
}

/* --- transforms */

INLINE void add(NUMBER *restrict to, const NUMBER *restrict a, const NUMBER *restrict b,
                place_t count)
{
    for (place_t i = 0; i < count; i++)
        to[i] = a[i] + b[i];
}

INLINE void subtract(NUMBER *restrict to, const NUMBER *restrict a, const NUMBER *restrict b,
                     place_t count)
{
    for (place_t i = 0; i < count; i++)
        to[i] = a[i] - b[i];
}

INLINE void both(NUMBER *restrict to, NUMBER *restrict other, const NUMBER *a, const NUMBER *b,
                 const NUMBER *c, const NUMBER *d, place_t count, const struct butterfly *row)
{
    const NUMBER by_b = row->by_a >> 1, by_d = row->by_b >> 1; /* x ^ -1 = -x - 1 */
    for (place_t i = 0; i < count; i++) {
        const NUMBER s = a[i] + ((b[i] ^ by_b) - by_b), t = c[i] + ((d[i] ^ by_d) - by_d);
        to[i] = s + t;
        other[i] = s - t;
    }
}

INLINE void rotate(NUMBER *restrict to, const NUMBER *restrict a, const NUMBER *restrict b,
                   place_t count, const struct butterfly *row)
{
    const int64_t by_a = row->by_a, by_b = row->by_b, half = ((int64_t)1 << row->shift) >> 1;
    for (place_t i = 0; i < count; i++)
        to[i] = (NUMBER)((a[i] * by_a + b[i] * by_b + half) >> row->shift);
}

#ifndef ROTATED
#define ROTATED rotate
#endif

INLINE void transform_all(NUMBER *tile, place_t pitch, place_t count, const struct butterfly *row,
                          NUMBER rows)
{
    for (const struct butterfly *end = row + rows; row < end; row++) {
        NUMBER *to = tile + row->to * pitch; /* no slot is written while it is read */
        const NUMBER *a = tile + row->a * pitch, *b = tile + row->b * pitch;
        if (row->kind == ADD)
            add(to, a, b, count);
        else if (row->kind == SUBTRACT)
            subtract(to, a, b, count);
        else if (row->kind == BOTH)
            both(to, tile + row->other * pitch, a, b, tile + row->c * pitch, tile + row->d * pitch,
                 count, row);
        else
            ROTATED(to, a, b, count, row);
    }
}

/* Words in slots 0 .. block - 1 of `tile`, whole LANES of them, through the butterflies. */
static void transform(NUMBER *tile, place_t pitch, place_t count, const struct butterfly *row,
                      NUMBER rows)
{
    if (count == WIDTH)
        transform_all(tile, pitch, WIDTH, row, rows);
    else
        transform_all(tile, pitch, count, row, rows);
}

/* `count` numbers, and zeros up to `all`. */
INLINE void shifted(NUMBER *restrict to, const NUMBER *restrict x, place_t count, place_t all,
                    NUMBER by)
{
    for (place_t i = 0; i < count; i++)
        to[i] = up(x[i], by);
    for (place_t i = count; i < all; i++)
        to[i] = 0;
}

static void spectrum(const struct machine *m, const struct op *op, NUMBER *memory)
{
    const struct network *net = m->network;
    const struct butterfly *results = m->butterflies + net->forward;
    const place_t side = net->side, words = op->size * side, pitch = net->pitch;
    NUMBER *to = memory + op->to * side, *x = memory + op->x * side;
    for (place_t first = 0; first < words; first += WIDTH) {
        const place_t count = least(WIDTH, words - first),
                      lanes = (count + LANES - 1) / LANES * LANES;
        for (NUMBER j = 0; j < net->block; j++) {
            const NUMBER of = j % op->parts * (net->block / op->parts) + j / op->parts;
            const place_t there = of < op->last ? count : least(count, words - side - first);
            shifted(m->tile + j * pitch, x + of * words + first, there, lanes, op->guard);
        }
        transform(m->tile, pitch, lanes, m->butterflies, net->forward);
        for (NUMBER j = 0; j < net->block; j++)
            rounded(to + j * words + first, m->tile + results[j].a * pitch, count, op->round);
    }
}

/* --- products */

INLINE void gather_real(WEIGHT *restrict to, const NUMBER *restrict x, place_t column,
                        place_t count, place_t side)
{
    if (side == 1)
        for (place_t i = 0; i < count; i++)
            to[column + i] = (WEIGHT)x[i];
    else
        for (place_t i = 0; i < count; i++)
            for (place_t s = 0; s < SIDE; s++)
                to[((column + i) / 2 * SIDE + s) * 2 + (column + i) % 2] = (WEIGHT)x[i * SIDE + s];
}

INLINE void gather_complex(WEIGHT *restrict for_re, place_t apart, const NUMBER *restrict re,
                           const NUMBER *restrict im, place_t count)
{
    for (place_t i = 0; i < count; i++) {
        for_re[2 * i] = (WEIGHT)re[i];
        for_re[2 * i + 1] = (WEIGHT)~im[i];
    }
    for (place_t i = 0; i < count; i++) {
        for_re[apart + 2 * i] = (WEIGHT)im[i];
        for_re[apart + 2 * i + 1] = (WEIGHT)re[i];
    }
}

/* Data in pairs: (bins, results, pairs, side, 2). */
static void gather(const struct machine *m, const struct product *p, const NUMBER *memory)
{
    const place_t side = m->network->side, block = m->network->block;
    WEIGHT *restrict to = m->data;
    for (place_t element = 0; element < block; element += element < 2 ? 1 : 2) {
        place_t column = 0;
        for (NUMBER operand = p->first; operand < p->end; operand++) {
            const place_t count = m->operands[operand].words * side;
            const NUMBER *re = memory + m->operands[operand].place * side + element * count;
            const NUMBER *im = re + count;
            if (element < 2)
                gather_real(to, re, column, count / side, side);
            else
                gather_complex(to + column * side * 2, p->columns * side * 2, re, im, count);
            column += count / side;
        }
        to += element < 2 ? (p->columns + 1) / 2 * side * 2 : 2 * p->columns * side * 2;
    }
}

#ifndef DOTS
#define DOTS dots
/* sums[result, row, stream] = weights[pair, row, :] . data[result, pair, stream, :] over `pairs`, of
   `rows` of a tile's; those of result 0 begin with corrections[row], where there are any.  `apart`: from one result's
   data to the next; `pitch`: from its sums to the next. */
static void dots(const WEIGHT *restrict weights, const NUMBER *restrict corrections,
                 const WEIGHT *restrict data, place_t apart, NUMBER *restrict sums, place_t pitch,
                 place_t pairs, place_t results, place_t rows, place_t side)
{
    for (place_t result = 0; result < results; result++, data += apart, sums += pitch)
        for (place_t s = 0; s < side; s++) {
            NUMBER total[ROWS];
            for (place_t row = 0; row < rows; row++)
                total[row] = corrections && result == 0 ? corrections[row] : 0;
            for (place_t pair = 0; pair < pairs; pair++) {
                const WEIGHT *w = weights + 2 * pair * ROWS, *x = data + 2 * (pair * side + s);
                for (place_t row = 0; row < rows; row++)
                    total[row] += (NUMBER)w[2 * row] * x[0] + (NUMBER)w[2 * row + 1] * x[1];
            }
            for (place_t row = 0; row < rows; row++)
                sums[row * side + s] = total[row];
        }
}
#endif

/* Whether some sums are formed in several chunks, and so in 64 bits. */
INLINE int chunked(const struct machine *m, const struct product *p)
{
    return p->chunk < (m->network->block > 2 ? p->columns : (p->columns + 1) / 2);
}

/* `rows` rows of one tile from row `first` on, bin by bin, whose weights and data so stay in the
   nearest cache: to `tile`, or in several chunks to `totals`, both (block, rows, side). */
static void multiply_rows(const struct machine *m, const struct product *p, place_t first,
                          place_t rows, NUMBER *tile, int64_t *totals)
{
    const place_t block = m->network->block, side = m->network->side, pitch = m->network->pitch;
    const place_t real = (p->columns + 1) / 2, complex = p->columns,
                  bins = block > 2 ? block / 2 - 1 : 0;
    const place_t pairs_of_tile = least(block, 2) * real + bins * complex;
    const place_t number = first / ROWS, row = first % ROWS;
    const WEIGHT *weights = m->weights + p->weights + (number * pairs_of_tile * ROWS + row) * 2;
    const NUMBER *corrections = m->corrections + p->corrections + number * bins * ROWS + row;
    const WEIGHT *data = m->data;
    place_t results = 1;
    for (place_t element = 0; element < block; element += results) {
        results = element < 2 ? 1 : 2;
        const place_t pairs = results == 1 ? real : complex;
        NUMBER *sums = tile + element * pitch;
        for (place_t pair = 0; pair < pairs; pair += p->chunk) {
            DOTS(weights + 2 * ROWS * pair, results == 2 && pair == 0 ? corrections : NULL,
                 data + 2 * side * pair, 2 * side * pairs, sums, pitch,
                 least(p->chunk, pairs - pair), results, rows, side);
            if (chunked(m, p))
                for (place_t result = 0; result < results; result++)
                    for (place_t i = 0; i < rows * side; i++) {
                        int64_t *total = totals + (element + result) * pitch + i;
                        *total = (pair ? *total : 0) + sums[result * pitch + i];
                    }
        }
        weights += 2 * ROWS * pairs;
        data += 2 * side * pairs * results;
        corrections += results == 2 ? ROWS : 0;
    }
}

/* `count` sums, those in `x64` where it is not NULL, `side` of each row, which has bits of its own to
   be shifted down by. */
static void round_rows(NUMBER *x, const int64_t *x64, place_t count, place_t side,
                       const NUMBER *exponents, struct rounding r)
{
    for (place_t i = 0; i < count; i++) {
        const NUMBER by = r.down - r.up + exponents[i / side];
        const NUMBER left = by < 0 ? -by : 0, down = by > 0 ? by : 0;
        const int64_t half = ((int64_t)1 << down) >> 1, value = x64 ? x64[i] : x[i];
        x[i] = within((up64(value, left) + half) >> down, r.low, r.high);
    }
}

/* `count` rows from row `first` on, from `tile` to where they belong, gate by gate. */
static void scatter(const struct machine *m, const struct product *p, place_t first, place_t count,
                    NUMBER *memory)
{
    const struct network *net = m->network;
    const struct butterfly *results = m->butterflies + net->forward + net->block + net->inverse;
    const place_t side = net->side, all = (place_t)p->gates * p->rows, words = p->rows / p->parts;
    for (place_t row = first, some; row < least(first + count, all); row += some) {
        const place_t gate = row / p->rows, part = row / words % p->parts, from = row % words;
        some = least(first + count - row, words - from);
        NUMBER *to = memory + (p->to + gate * p->apart + part * p->kept * words + from) * side;
        for (NUMBER j = 0; j < p->kept; j++)
            rounded(to + j * words * side,
                    m->tile + results[j * (net->block / p->kept)].a * net->pitch +
                        (row - first) * side,
                    some * side, p->out);
    }
}

static void multiply(const struct machine *m, const struct product *p, NUMBER *memory)
{
    const struct network *net = m->network;
    const struct butterfly *rows = m->butterflies + net->forward + net->block;
    const place_t side = net->side, pitch = net->pitch, together = WIDTH / side;
    const place_t some = least(together, ROWS); /* rows of one tile */
    const place_t all = ((place_t)p->gates * p->rows + some - 1) / some * some;
    gather(m, p, memory);
    for (place_t first = 0; first < all; first += together) {
        const place_t count = least(together, all - first);
        for (place_t n = 0; n < count; n += some)
            multiply_rows(m, p, first + n, some, m->tile + n * side, m->totals + n * side);
        for (NUMBER j = 0; j < net->block; j++)
            if (p->exponents >= 0)
                round_rows(m->tile + j * pitch, chunked(m, p) ? m->totals + j * pitch : NULL,
                           count * side, side, m->constants + p->exponents + first, p->sums);
            else if (chunked(m, p))
                round64(m->tile + j * pitch, m->totals + j * pitch, count * side, p->sums);
            else
                rounded_in_place(m->tile + j * pitch, count * side, p->sums);
        transform(m->tile, pitch, count * side, rows, net->inverse);
        scatter(m, p, first, count, memory);
    }
}

/* --- frames */

static void run(const struct machine *m, const struct op *op, NUMBER ops, NUMBER *memory)
{
    for (const struct op *end = op + ops; op < end; op += op->chain ? op->chain : 1) {
        if (op->chain)
            chain(m, op, memory);
        else if (op->kind == SPECTRUM)
            spectrum(m, op, memory);
        else
            multiply(m, m->products + op->which, memory);
    }
}

/* Every stream of a memory back to before its first frame. */
static void restart(const struct machine *m, NUMBER *memory)
{
    for (place_t i = 0; i < (place_t)m->network->memory * m->network->side; i++)
        memory[i] = 0;
    run(m, m->ops, m->network->starts, memory);
}

/* Vectors (streams, length), `apart` from stream to stream, to where a memory has them, and back. */
static void lay_out(const struct network *net, NUMBER *restrict memory, const FRAME *restrict x,
                    place_t length, place_t apart, place_t streams)
{
    const place_t words = (length + net->block - 1) / net->block;
    for (place_t stream = 0; stream < streams; stream++, x += apart)
        for (place_t j = 0; j < net->block; j++)
            for (place_t i = j, word = 0; i < length; i += net->block, word++)
                memory[(j * words + word) * net->side + stream] = (NUMBER)x[i];
}

static void put_in_order(const struct network *net, const NUMBER *restrict memory,
                         FRAME *restrict y, place_t length, place_t apart, place_t streams)
{
    const place_t words = (length + net->block - 1) / net->block;
    for (place_t first = 0, word = 0; first < length; first += net->block, word++)
        for (place_t stream = 0; stream < streams; stream++)
            for (place_t j = 0; j < least(net->block, length - first); j++)
                y[stream * apart + first + j] = memory[(j * words + word) * net->side + stream];
}

/* One frame of `streams` streams, which lie side by side in `memory`. */
static void frame(const struct machine *m, NUMBER *memory, const FRAME *x, FRAME *y,
                  place_t streams)
{
    const struct network *net = m->network;
    const struct port *port = m->ports, *given = port + net->reads, *end = given + net->gives;
    for (; port < given; x += port->length, port++)
        lay_out(net, memory + port->place * net->side, x, port->length, net->inputs, streams);
    run(m, m->ops + net->starts, net->frame, memory);
    for (; port < end; y += port->length, port++)
        put_in_order(net, memory + port->place * net->side, y, port->length, net->outputs, streams);
}
