/* The training loops, for one type of numbers and one kind of processor.  Before this file are
   defined NUMBER, SINGLE (1 for float), and NAME(name), the name of what this file defines.

   All numbers of a pass lie in one array.  A frame is walked in strips that stay in the first level
   cache, so that the look-ups of a line cost little beside its numbers. */

#define STRIP 1024                           /* numbers */
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

static inline int64_t NAME(at)(const struct place *place, int64_t t, int64_t start)
{
    return place->base + ((t + place->ahead) & place->mask) * place->frame + start * place->spread;
}

static void NAME(line)(const struct pass *p, const struct line *line, int64_t t, int64_t start,
                       int64_t count)
{
    NUMBER *numbers = p->numbers, *own = numbers + NAME(at)(p->places + line->own, t, start);
    int64_t fresh = line->fresh;
    for (int64_t k = line->first; k < line->behind; k++, fresh = 0) {
        const struct term *term = p->terms + k;
        const NUMBER *a = numbers + NAME(at)(p->places + term->a, t, start);
        const NUMBER *b = numbers + NAME(at)(p->places + term->b, t, start);
        if (term->kind == ALONE)
            NAME(give)(own, a, fresh, count);
        else if (term->kind == BOTH)
            NAME(give_both)(own, a, b, fresh, count);
        else
            NAME(give_product)(own, a, b, term->kind == MINUS, fresh, count);
    }
    if (line->kept >= 0)
        NAME(give)(numbers + NAME(at)(p->places + line->kept, t, start), own, 1, count);
    const NUMBER *format = (const NUMBER *)p->formats + 4 * line->format;
    if (line->results >= 0) {
        NAME(look_up)(own, format, (const NUMBER *)p->results + line->results, count);
        return;
    }
    if (line->format >= 0)
        NAME(round)(own, format, count);
    NAME(apply)(line->function, own, count);
}

static void NAME(line_back)(const struct pass *p, const struct line *line, int64_t t,
                            int64_t start, int64_t count)
{
    const NUMBER *numbers = p->numbers, *own = numbers + NAME(at)(p->places + line->own, t, start);
    NUMBER *gradients = p->gradients, *d = gradients + NAME(at)(p->d_places + line->own, t, start);
    const NUMBER *kept = NULL;
    if (line->kept >= 0)
        kept = numbers + NAME(at)(p->places + line->kept, t, start);
    if (kept != NULL && (line->results >= 0 || line->format < 0))
        NAME(slope)(line->function, kept, d, count);
    else
        NAME(apply_back)(line->function, own, d, count);
    if (line->format >= 0 && line->results < 0)
        NAME(round_back)(kept, d, (const NUMBER *)p->formats + 4 * line->format, count);
    for (int64_t k = line->first; k < line->behind; k++) {
        const struct term *term = p->terms + k;
        NUMBER *d_a = gradients + NAME(at)(p->d_places + term->a, t, start);
        NUMBER *d_b = gradients + NAME(at)(p->d_places + term->b, t, start);
        const NUMBER *a = numbers + NAME(at)(p->places + term->a, t, start);
        const NUMBER *b = numbers + NAME(at)(p->places + term->b, t, start);
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

/* --- transforms */

/* Four of `parts` vectors from number `j` on, `apart` from each other, where there are so many. */
static void NAME(add_four)(OUT to, const NUMBER *of, int64_t apart, const NUMBER *row, int64_t j,
                           int64_t parts, int64_t fresh, int64_t count)
{
    const NUMBER *x[4];
    NUMBER w[4];
    for (int64_t i = 0; i < 4; i++) {
        const int64_t at = j + i < parts ? j + i : parts - 1;
        x[i] = of + at * apart;
        w[i] = j + i < parts ? row[at] : 0;
    }
    const NUMBER *a = x[0], *b = x[1], *c = x[2], *d = x[3];
    if (fresh)
        EACH to[e] = (w[0] * a[e] + w[1] * b[e]) + (w[2] * c[e] + w[3] * d[e]);
    else
        EACH to[e] += (w[0] * a[e] + w[1] * b[e]) + (w[2] * c[e] + w[3] * d[e]);
}

static void NAME(mix)(const struct mix *mix, const NUMBER *matrices, const struct place *places,
                      NUMBER *numbers, int64_t t)
{
    const NUMBER *of = numbers + NAME(at)(places + mix->of, t, 0);
    NUMBER *to = numbers + NAME(at)(places + mix->to, t, 0);
    for (int64_t start = 0; start < mix->count; start += STRIP) {
        const int64_t left = mix->count - start, count = left < STRIP ? left : STRIP;
        for (int64_t i = 0; i < mix->parts; i++) {
            const NUMBER *row = matrices + mix->matrix + i * mix->of_parts;
            for (int64_t j = 0; j < mix->of_parts; j += 4)
                NAME(add_four)(to + i * mix->apart + start, of + start, mix->of_apart, row, j,
                               mix->of_parts, j == 0 && !mix->adds, count);
        }
    }
}

/* --- products, of as many columns as a vector has lanes */

/* `rows` of them, at most 8, in registers. */
static inline __attribute__((always_inline)) void NAME(rows)(const int rows, OUT to, IN of,
                                                             IN weight, const struct product *p)
{
    NAME(vector) sums[8] = {{0}};
    for (int i = 0; p->adds && i < rows; i++)
        sums[i] = *(const NAME(vector) *)(to + i * p->batch);
    for (int64_t j = 0; j < p->columns; j++) {
        const NAME(vector) x = *(const NAME(vector) *)(of + j * p->batch);
        for (int i = 0; i < rows; i++)
            sums[i] += weight[j * p->rows + i] * x;
    }
    for (int i = 0; i < rows; i++)
        *(NAME(vector) *)(to + i * p->batch) = sums[i];
}

static void NAME(product)(const struct product *p, const NUMBER *weights,
                          const struct place *places, NUMBER *numbers, int64_t t)
{
    const NUMBER *weight = weights + p->weight, *of = numbers + NAME(at)(places + p->of, t, 0);
    NUMBER *to = numbers + NAME(at)(places + p->to, t, 0);
    for (int64_t s = 0; s < p->spectra; s++) {
        for (int64_t lane = 0; lane < p->batch; lane += LANES) {
            int64_t i = 0;
            for (; i + 8 <= p->rows; i += 8)
                NAME(rows)(8, to + i * p->batch + lane, of + lane, weight + i, p);
            for (; i + 4 <= p->rows; i += 4)
                NAME(rows)(4, to + i * p->batch + lane, of + lane, weight + i, p);
            for (; i < p->rows; i++)
                NAME(rows)(1, to + i * p->batch + lane, of + lane, weight + i, p);
        }
        to += p->rows * p->batch;
        of += p->columns * p->batch;
        weight += p->rows * p->columns;
    }
}

/* --- weights' gradients, of several frames at once */

#define WIDE 3  /* vectors of columns that are summed together */
#define FRAMES 8 /* and frames */

/* Rows `row` on of d, `rows` of them and at most 4, times x, (batch, WIDE vectors), to as many
   columns of total. */
static inline __attribute__((always_inline)) void
NAME(outer_rows)(const int rows, NUMBER *total, const NUMBER *const *d, int64_t row, IN x,
                 int64_t frames, int64_t columns, const struct outer *p)
{
    NAME(vector) sums[4][WIDE] = {{{0}}};
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

/* Of as many columns of the batch as a vector has lanes; d and read: theirs in each frame. */
static void NAME(outer_lanes)(const struct outer *p, NUMBER *total, const NUMBER *const *d,
                              const NUMBER *const *read, int64_t frames)
{
    NUMBER x[FRAMES * LANES * WIDE * LANES] __attribute__((aligned(64)));
    for (int64_t first = 0; first < p->columns; first += WIDE * LANES) {
        const int64_t left = p->columns - first;
        const int64_t columns = left < WIDE * LANES ? left : WIDE * LANES;
        for (int64_t t = 0; t < frames; t++)
            for (int64_t c = 0; c < columns; c++)
                for (int64_t b = 0; b < LANES; b++)
                    x[(t * LANES + b) * WIDE * LANES + c] = read[t][(first + c) * p->batch + b];
        int64_t row = 0;
        for (; row + 4 <= p->rows; row += 4)
            NAME(outer_rows)(4, total + first, d, row, x, frames, columns, p);
        for (; row < p->rows; row++)
            NAME(outer_rows)(1, total + first, d, row, x, frames, columns, p);
    }
}

static void NAME(outer)(const struct outer *p, const struct pass *pass, int64_t first,
                        int64_t behind)
{
    const NUMBER *numbers = pass->numbers, *gradients = pass->gradients;
    const NUMBER *d[FRAMES], *read[FRAMES];
    for (; first < behind; first += FRAMES)
        for (int64_t s = 0; s < p->spectra; s++)
            for (int64_t lane = 0; lane < p->batch; lane += LANES) {
                int64_t n = 0;
                for (; n < FRAMES && first + n < behind; n++) {
                    d[n] = gradients + NAME(at)(pass->d_places + p->d, first + n, 0) +
                           s * p->rows * p->batch + lane;
                    read[n] = numbers + NAME(at)(pass->places + p->read, first + n, 0) +
                              s * p->columns * p->batch + lane;
                }
                NUMBER *total = (NUMBER *)pass->totals + p->total + s * p->rows * p->columns;
                NAME(outer_lanes)(p, total, d, read, n);
            }
}

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

/* --- frames */

void NAME(forward)(const struct pass *p, int64_t first_stage, int64_t behind_stage, int64_t first,
                   int64_t behind)
{
    for (int64_t t = first; t < behind; t++)
        for (const struct stage *s = p->stages + first_stage; s < p->stages + behind_stage; s++) {
            for (int64_t n = 0; n < s->n_products; n++)
                NAME(product)(s->products + n, p->weights, p->places, p->numbers, t);
            for (int64_t n = 0; n < s->n_before; n++)
                NAME(mix)(s->before + n, p->matrices, p->places, p->numbers, t);
            for (int64_t start = 0; start < s->size; start += STRIP) {
                const int64_t left = s->size - start;
                for (int64_t n = 0; n < s->n_lines; n++)
                    NAME(line)(p, s->lines + n, t, start, left < STRIP ? left : STRIP);
            }
            for (int64_t n = 0; n < s->n_after; n++)
                NAME(mix)(s->after + n, p->matrices, p->places, p->numbers, t);
        }
}

void NAME(backward)(const struct pass *p, int64_t first_stage, int64_t behind_stage, int64_t first,
                    int64_t behind)
{
    for (int64_t t = behind - 1; t >= first; t--)
        for (const struct stage *s = p->stages + behind_stage - 1; s >= p->stages + first_stage;
             s--) {
            for (int64_t n = 0; n < s->n_before; n++)
                NAME(mix)(s->before + n, p->matrices, p->d_places, p->gradients, t);
            for (int64_t start = 0; start < s->size; start += STRIP) {
                const int64_t left = s->size - start;
                for (int64_t n = s->n_lines - 1; n >= 0; n--)
                    NAME(line_back)(p, s->lines + n, t, start, left < STRIP ? left : STRIP);
            }
            for (int64_t n = 0; n < s->n_after; n++)
                NAME(mix)(s->after + n, p->matrices, p->d_places, p->gradients, t);
            for (int64_t n = 0; n < s->n_products; n++)
                NAME(product)(s->products + n, p->weights, p->d_places, p->gradients, t);
        }
    for (const struct stage *s = p->stages + first_stage; s < p->stages + behind_stage; s++)
        for (int64_t n = 0; n < s->n_outers; n++)
            NAME(outer)(s->outers + n, p, first, behind);
}
