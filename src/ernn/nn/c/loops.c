/* The training loops, for one type of numbers and one kind of processor.  Before this file are
   defined NUMBER, SINGLE (1 for float), and NAME(name), the name of what this file defines.

   All numbers of a pass lie in one array.  A frame is walked in strips, so that the look-ups of a
   line cost little beside its numbers. */

#define LANES ((int64_t)(64 / sizeof(NUMBER))) /* numbers of a vector */

#define N(x) ((NUMBER)(x))
#define EACH for (int64_t e = 0; e < count; e++)
#define IN const NUMBER *restrict
#define OUT NUMBER *restrict

typedef NUMBER NAME(vector) __attribute__((vector_size(64), aligned(sizeof(NUMBER)), may_alias));

/* --- functions: of x, and their derivatives */

#if SINGLE
/* x P(x^2) / Q(x^2) with the least relative error on [-9, 9]: 2e-8 exactly, 4e-7 in single
   precision.  Fitted by Loeb's linearised least squares with Lawson's weights.  Beyond 9 tanh is 1
   in single precision.  So written, a NaN stays one. */
static inline NUMBER NAME(tanh)(NUMBER x)
{
    x = x > 9 ? 9 : x;
    x = x < -9 ? -9 : x;
    const NUMBER s = x * x;
    const NUMBER p = 2.060913143607372e-05f + s * 1.3354723665707233e-08f;
    const NUMBER q = 0.0003285639872825392f + s * 7.776584999673278e-07f;
    return x *
           (0.9999999794741421f +
            s * (0.13381028370907386f + s * (0.003495591297789237f + s * p))) /
           (1 + s * (0.4671434396833525f + s * (0.025876994451807328f + s * q)));
}
#else
static inline NUMBER NAME(tanh)(NUMBER x) { return tanh(x); }
#endif

static inline NUMBER NAME(logistic)(NUMBER x) { return N(0.5) + N(0.5) * NAME(tanh)(N(0.5) * x); }

static inline NUMBER NAME(clip)(NUMBER x, NUMBER low, NUMBER high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* The normal distribution. */
static inline NUMBER NAME(normal)(NUMBER x) { return N(0.5) * (1 + N(erf(x * M_SQRT1_2))); }

static void NAME(apply)(int64_t function, OUT x, int64_t count)
{
    switch (function) {
    case SIGMOID: EACH x[e] = NAME(logistic)(x[e]); break;
    case TANH: EACH x[e] = NAME(tanh)(x[e]); break;
    case RELU: EACH x[e] = x[e] < 0 ? 0 : x[e]; break;
    case HARD_SIGMOID: EACH x[e] = NAME(clip)(x[e] / 6 + N(0.5), 0, 1); break;
    case HARD_TANH: EACH x[e] = NAME(clip)(x[e], -1, 1); break;
    case SOFTPLUS: EACH x[e] = (x[e] > 0 ? x[e] : 0) + N(log1p(exp(-fabs(x[e])))); break;
    case SILU: EACH x[e] *= NAME(logistic)(x[e]); break;
    case GELU: EACH x[e] *= NAME(normal)(x[e]); break;
    }
}

/* d times the derivative where the function's value is y. */
static void NAME(apply_back)(int64_t function, IN y, OUT d, int64_t count)
{
    switch (function) {
    case SIGMOID: EACH d[e] *= y[e] * (1 - y[e]); break;
    case TANH: EACH d[e] *= 1 - y[e] * y[e]; break;
    case RELU: EACH d[e] = y[e] <= 0 ? 0 : d[e]; break;
    }
}

/* d times the derivative at x. */
static void NAME(slope)(int64_t function, IN x, OUT d, int64_t count)
{
    switch (function) {
    case SIGMOID: EACH {
        const NUMBER y = NAME(logistic)(x[e]);
        d[e] *= y * (1 - y);
    } break;
    case TANH: EACH {
        const NUMBER y = NAME(tanh)(x[e]);
        d[e] *= 1 - y * y;
    } break;
    case HARD_SIGMOID: EACH d[e] *= x[e] > -3 && x[e] < 3 ? N(1.0 / 6) : 0; break;
    case HARD_TANH: EACH d[e] *= x[e] > -1 && x[e] < 1 ? 1 : 0; break;
    case SOFTPLUS: EACH d[e] *= NAME(logistic)(x[e]); break;
    case SILU: EACH {
        const NUMBER y = NAME(logistic)(x[e]);
        d[e] *= y * (1 + x[e] * (1 - y));
    } break;
    case GELU: EACH {
        const double density = exp(-0.5 * x[e] * x[e]) * (0.5 * M_2_SQRTPI * M_SQRT1_2);
        d[e] *= NAME(normal)(x[e]) + x[e] * N(density);
    } break;
    }
}

/* --- rounding, to a format's scale, low, high and step */

/* Halves up: x + 0.5 may round, x - floor(x) never does. */
static inline NUMBER NAME(nearest)(NUMBER x, NUMBER scale)
{
    const NUMBER scaled = x * scale, below = N(FLOOR(scaled));
    return scaled - below >= N(0.5) ? below + 1 : below;
}

static void NAME(round)(OUT x, IN format, int64_t count)
{
    const NUMBER scale = format[0], low = format[1], high = format[2], step = format[3];
    EACH x[e] = NAME(clip)(NAME(nearest)(x[e], scale), low, high) * step;
}

/* No gradient where x saturates. */
static void NAME(round_back)(IN x, OUT d, IN format, int64_t count)
{
    const NUMBER scale = format[0], low = format[1], high = format[2];
    EACH {
        const NUMBER value = NAME(nearest)(x[e], scale);
        d[e] = value < low || value > high ? 0 : d[e];
    }
}

static void NAME(look_up)(OUT x, IN format, IN results, int64_t count)
{
    const NUMBER scale = format[0], low = format[1], high = format[2];
    EACH {
        const NUMBER value = NAME(clip)(NAME(nearest)(x[e], scale), low, high);
        x[e] = value != value ? value : results[(int64_t)(value - low)]; /* NaN is to be seen */
    }
}

/* --- terms */

static void NAME(give)(OUT to, IN a, int64_t fresh, int64_t count)
{
    if (fresh)
        EACH to[e] = a[e];
    else
        EACH to[e] += a[e];
}

static void NAME(give_both)(OUT to, IN a, IN b, int64_t fresh, int64_t count)
{
    if (fresh)
        EACH to[e] = a[e] + b[e];
    else
        EACH to[e] += a[e] + b[e];
}

/* a and b may be one vector, but not `to`. */
static void NAME(give_product)(OUT to, const NUMBER *a, const NUMBER *b, int64_t negative,
                               int64_t fresh, int64_t count)
{
    if (fresh && negative)
        EACH to[e] = -a[e] * b[e];
    else if (fresh)
        EACH to[e] = a[e] * b[e];
    else if (negative)
        EACH to[e] -= a[e] * b[e];
    else
        EACH to[e] += a[e] * b[e];
}

static void NAME(line)(const struct pass *p, const struct line *line, struct where w,
                       int64_t count)
{
    NUMBER *numbers = p->numbers, *own = numbers + at(p->places + line->own, w);
    int64_t fresh = line->fresh;
    for (int64_t k = line->first; k < line->behind; k++, fresh = 0) {
        const struct term *term = p->terms + k;
        const NUMBER *a = numbers + at(p->places + term->a, w);
        const NUMBER *b = numbers + at(p->places + term->b, w);
        if (term->kind == ALONE)
            NAME(give)(own, a, fresh, count);
        else if (term->kind == BOTH)
            NAME(give_both)(own, a, b, fresh, count);
        else
            NAME(give_product)(own, a, b, term->kind == MINUS, fresh, count);
    }
    if (line->kept >= 0)
        NAME(give)(numbers + at(p->places + line->kept, w), own, 1, count);
    const NUMBER *format = (const NUMBER *)p->formats + 4 * line->format;
    if (line->results >= 0) {
        NAME(look_up)(own, format, (const NUMBER *)p->results + line->results, count);
        return;
    }
    if (line->format >= 0)
        NAME(round)(own, format, count);
    NAME(apply)(line->function, own, count);
}

static void NAME(line_back)(const struct pass *p, const struct line *line, struct where w,
                            int64_t count)
{
    const NUMBER *numbers = p->numbers, *own = numbers + at(p->places + line->own, w);
    NUMBER *gradients = p->gradients, *d = gradients + at(p->d_places + line->own, w);
    const NUMBER *kept = NULL;
    if (line->kept >= 0)
        kept = numbers + at(p->places + line->kept, w);
    if (kept != NULL && (line->results >= 0 || line->format < 0))
        NAME(slope)(line->function, kept, d, count);
    else
        NAME(apply_back)(line->function, own, d, count);
    if (line->format >= 0 && line->results < 0)
        NAME(round_back)(kept, d, (const NUMBER *)p->formats + 4 * line->format, count);
    for (int64_t k = line->first; k < line->behind; k++) {
        const struct term *term = p->terms + k;
        NUMBER *d_a = gradients + at(p->d_places + term->a, w);
        NUMBER *d_b = gradients + at(p->d_places + term->b, w);
        const NUMBER *a = numbers + at(p->places + term->a, w);
        const NUMBER *b = numbers + at(p->places + term->b, w);
        if (term->kind == ALONE || term->kind == BOTH) {
            NAME(give)(d_a, d, term->sets_a, count);
            if (term->kind == BOTH)
                NAME(give)(d_b, d, term->sets_b, count);
        } else {
            NAME(give_product)(d_a, d, b, term->kind == MINUS, term->sets_a, count);
            NAME(give_product)(d_b, d, a, term->kind == MINUS, term->sets_b, count);
        }
    }
    if (line->clear)
        memset(d, 0, count * sizeof(NUMBER));
}

/* --- products: of weights, and the transforms of spectra */

#define ROWS 8 /* of a tile, which are summed together, in registers */

/* wide: rows of the tile that they are of. */
static inline __attribute__((always_inline)) void
NAME(product_rows)(const int rows, const int64_t wide, OUT to, IN of, IN weight,
                   const struct product *p)
{
    NAME(vector) sums[ROWS] = {{0}};
    for (int i = 0; p->adds && i < rows; i++)
        sums[i] = *(const NAME(vector) *)(to + i * p->to_apart);
    for (int64_t j = 0; j < p->columns; j++) {
        const NAME(vector) x = *(const NAME(vector) *)(of + j * p->of_apart);
        for (int i = 0; i < rows; i++)
            sums[i] += weight[j * wide + i] * x;
    }
    for (int i = 0; i < rows; i++)
        *(NAME(vector) *)(to + i * p->to_apart) = sums[i];
}

/* The tile of rows from `row` on, ROWS at most, of a share of the numbers. */
static void NAME(tile)(const struct product *p, NUMBER *to, const NUMBER *of, const NUMBER *weight,
                       int64_t row, struct share numbers)
{
    const int64_t rows = least(p->rows - row, ROWS);
    to += row * p->to_apart;
    weight += row * p->columns;
    for (int64_t n = numbers.first; n < numbers.behind; n += LANES) {
        int64_t i = 0;
        if (rows == ROWS) {
            NAME(product_rows)(ROWS, ROWS, to + n, of + n, weight, p);
            continue;
        }
        if (rows >= 4) {
            NAME(product_rows)(4, rows, to + n, of + n, weight, p);
            i = 4;
        }
        for (; i < rows; i++)
            NAME(product_rows)(1, rows, to + i * p->to_apart + n, of + n, weight + i, p);
    }
}

/* One's share. */
static void NAME(product)(const struct product *p, const NUMBER *weights,
                          const struct place *places, NUMBER *numbers, int64_t t,
                          const struct team *team, int me)
{
    const int64_t tiles = tiles_of(p->rows, ROWS), all = p->repeats * tiles;
    const struct share columns = p->by_numbers ? share(p->count, LANES, team, me)
                                               : (struct share){0, p->count};
    const struct share some = p->by_numbers ? (struct share){0, all} : share(all, 1, team, me);
    const struct where w = {t, 0, 0};
    for (int64_t n = some.first; n < some.behind; n++) {
        const int64_t s = n / tiles;
        NUMBER *to = numbers + at(places + p->to, w) + s * p->to_next;
        const NUMBER *of = numbers + at(places + p->of, w) + s * p->of_next;
        const NUMBER *weight = weights + p->weight + s * p->weight_next;
        NAME(tile)(p, to, of, weight, n % tiles * ROWS, columns);
    }
}

/* --- weights' gradients, of several frames at once */

#define WIDE 3   /* vectors of columns that are summed together, */
#define DEEP 4   /* rows, */
#define FRAMES 8 /* and frames */

/* d: of each frame, from the first of `rows` rows on; x: (frames, LANES of the batch, WIDE vectors);
   added to `columns` of total. */
static inline __attribute__((always_inline)) void
NAME(outer_rows)(const int rows, NUMBER *total, const NUMBER *const *d, int64_t row, IN x,
                 int64_t frames, int64_t columns, const struct outer *p)
{
    NAME(vector) sums[DEEP][WIDE] = {{{0}}};
    for (int64_t t = 0; t < frames; t++)
        for (int64_t b = 0; b < LANES; b++, x += WIDE * LANES)
            for (int v = 0; v < WIDE; v++) {
                const NAME(vector) y = *(const NAME(vector) *)(x + v * LANES);
                for (int i = 0; i < rows; i++)
                    sums[i][v] += d[t][(row + i) * p->batch + b] * y;
            }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v * LANES < columns; v++) {
            NUMBER *to = total + (row + i) * p->columns + v * LANES;
            const int64_t count = columns - v * LANES;
            if (count >= LANES)
                *(NAME(vector) *)to += sums[i][v];
            else
                EACH to[e] += sums[i][v][e];
        }
}

/* Of a range of rows, and of as many columns of the batch as a vector has lanes; d and read: theirs
   in each frame. */
static void NAME(outer_lanes)(const struct outer *p, NUMBER *total, const NUMBER *const *d,
                              const NUMBER *const *read, int64_t frames, struct share rows)
{
    NUMBER x[FRAMES * LANES * WIDE * LANES] __attribute__((aligned(64)));
    for (int64_t first = 0; first < p->columns; first += WIDE * LANES) {
        const int64_t columns = least(WIDE * LANES, p->columns - first);
        for (int64_t t = 0; t < frames; t++)
            for (int64_t c = 0; c < columns; c++)
                for (int64_t b = 0; b < LANES; b++)
                    x[(t * LANES + b) * WIDE * LANES + c] = read[t][(first + c) * p->batch + b];
        int64_t row = rows.first;
        for (; row + DEEP <= rows.behind; row += DEEP)
            NAME(outer_rows)(DEEP, total + first, d, row, x, frames, columns, p);
        for (; row < rows.behind; row++)
            NAME(outer_rows)(1, total + first, d, row, x, frames, columns, p);
    }
}

/* A share of the tiles of DEEP rows, of FRAMES frames at most from `first` on. */
static void NAME(outer)(const struct outer *p, const struct pass *pass, int64_t first,
                        int64_t frames, struct share share)
{
    const NUMBER *numbers = pass->numbers, *gradients = pass->gradients;
    const NUMBER *d[FRAMES], *read[FRAMES];
    const int64_t tiles = tiles_of(p->rows, DEEP);
    for (int64_t n = share.first, last; n < share.behind; n = last) {
        const int64_t s = n / tiles;
        last = least((s + 1) * tiles, share.behind);
        const struct share rows = {n % tiles * DEEP, least((last - s * tiles) * DEEP, p->rows)};
        NUMBER *total = (NUMBER *)pass->totals + p->total + s * p->rows * p->columns;
        for (int64_t lane = 0; lane < p->batch; lane += LANES) {
            for (int64_t t = 0; t < frames; t++) {
                const struct where w = {first + t, lane, 0};
                d[t] = gradients + at(pass->d_places + p->d, w) + s * p->rows * p->batch;
                read[t] = numbers + at(pass->places + p->read, w) + s * p->columns * p->batch;
            }
            NAME(outer_lanes)(p, total, d, read, frames, rows);
        }
    }
}

/* --- frames */

void NAME(move)(const struct move *m, void *to, const void *of)
{
    const int64_t *n = m->sizes, *a = m->to_apart, *b = m->of_apart;
    for (int64_t i = 0; i < n[0]; i++)
        for (int64_t j = 0; j < n[1]; j++)
            for (int64_t k = 0; k < n[2]; k++) {
                NUMBER *x = (NUMBER *)to + i * a[0] + j * a[1] + k * a[2];
                const NUMBER *y = (const NUMBER *)of + i * b[0] + j * b[1] + k * b[2];
                for (int64_t e = 0; e < n[3]; e++)
                    x[e * a[3]] = y[e * b[3]];
            }
}

static void NAME(products)(const struct pass *p, const struct stage *s, int list, int back,
                           int64_t t, struct team *team, int me)
{
    const struct place *places = back ? p->d_places : p->places;
    for (int64_t n = 0; n < s->counts[list]; n++)
        NAME(product)(s->lists[list] + n, p->weights, places, back ? p->gradients : p->numbers, t,
                      team, me);
    if (s->counts[list] > 0)
        meet(team);
}

static void NAME(lines)(const struct pass *p, const struct stage *s, int64_t t, int back,
                        struct team *team, int me)
{
    const struct share mine = share(s->size, LANES, team, me);
    for (int64_t start = mine.first; start < mine.behind; start += STRIP) {
        const int64_t count = least(STRIP, mine.behind - start);
        const struct where w = {t, start, me * STRIP};
        if (back)
            for (int64_t n = s->n_lines - 1; n >= 0; n--)
                NAME(line_back)(p, s->lines + n, w, count);
        else
            for (int64_t n = 0; n < s->n_lines; n++)
                NAME(line)(p, s->lines + n, w, count);
    }
    if (s->n_lines > 0)
        meet(team);
}

static void NAME(stage)(const struct pass *p, const struct stage *s, int back, int64_t t,
                        struct team *team, int me)
{
    NAME(products)(p, s, 0, back, t, team, me);
    NAME(products)(p, s, 1, back, t, team, me);
    NAME(lines)(p, s, t, back, team, me);
    NAME(products)(p, s, 2, back, t, team, me);
    NAME(products)(p, s, 3, back, t, team, me);
}

void NAME(forward)(const struct pass *p, const struct span *span, struct team *team, int me)
{
    for (int64_t t = span->first; t < span->behind; t++)
        for (int64_t i = span->stage; i < span->last; i++)
            NAME(stage)(p, p->stages + i, 0, t, team, me);
}

static void NAME(outers)(const struct pass *p, const struct stage *s, int64_t first,
                         int64_t behind, struct team *team, int me)
{
    for (int64_t n = 0; n < s->n_outers; n++) {
        const struct outer *one = s->outers + n;
        const int64_t tiles = one->spectra * tiles_of(one->rows, DEEP);
        NAME(outer)(one, p, first, behind - first, share(tiles, 1, team, me));
    }
    if (s->n_outers > 0)
        meet(team);
}

/* Gradients of products have places for FRAMES frames, modulo which time is counted. */
void NAME(backward)(const struct pass *p, const struct span *span, struct team *team, int me)
{
    for (int64_t first, behind = span->behind; behind > span->first; behind = first) {
        first = (behind - 1) & ~(int64_t)(FRAMES - 1);
        first = first > span->first ? first : span->first;
        for (int64_t t = behind - 1; t >= first; t--)
            for (int64_t i = span->last - 1; i >= span->stage; i--)
                NAME(stage)(p, p->stages + i, 1, t, team, me);
        for (int64_t i = span->stage; i < span->last; i++)
            NAME(outers)(p, p->stages + i, first, behind, team, me);
    }
}
