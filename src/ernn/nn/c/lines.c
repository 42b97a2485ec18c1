/* The training loops for one type of numbers and one kind of processor.  Before this file are
   defined NUMBER, its functions FLOOR, EXP, LOG1P, ERF and TANH, and NAME(name), the name of what
   this file defines. */

#define LANES ((int64_t)(64 / sizeof(NUMBER)))
#define STRIP 1024 /* numbers that are worked on together, which stay in the first level cache */
#define ROWS 8     /* of a product that are summed together, in registers */

typedef NUMBER NAME(vector) __attribute__((vector_size(64), aligned(sizeof(NUMBER)), may_alias));
#define VECTOR NAME(vector)
#define EACH for (int64_t e = 0; e < count; e++)
#define IN const NUMBER *restrict
#define OUT NUMBER *restrict

static inline int64_t NAME(at)(const struct place *p, int64_t t, int64_t start)
{
    return p->base + ((t + p->ahead) & p->mask) * p->frame + start * p->spread;
}

static inline NUMBER NAME(logistic)(NUMBER x) { return HALF + HALF * TANH(HALF * x); }

/* --- functions */

static void NAME(apply)(int64_t function, NUMBER *x, int64_t count)
{
    switch (function) {
    case SIGMOID: EACH x[e] = NAME(logistic)(x[e]); break;
    case TANH_: EACH x[e] = TANH(x[e]); break;
    }
}
