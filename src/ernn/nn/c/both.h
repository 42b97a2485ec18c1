/* The loops for both types of numbers, on one kind of processor: before this file is defined
   HERE(name), a name with the processor's. */

#include <math.h>
#include <sched.h>
#include <string.h>

#include "loops.h"

#define STRIP 1024 /* numbers that are worked on together, which stay in the first level cache */

/* Goes on when all of the team are here. */
static void meet(struct team *team)
{
    if (team->size == 1)
        return;
    const int meeting = __atomic_load_n(&team->meeting, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&team->arrived, 1, __ATOMIC_ACQ_REL) == team->size) {
        __atomic_store_n(&team->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&team->meeting, meeting + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int turns = 0; __atomic_load_n(&team->meeting, __ATOMIC_ACQUIRE) == meeting; turns++)
        if (turns > 2000) /* somebody else may need the core */
            sched_yield();
}

/* Number `start` of frame t, or a thread's strip. */
struct where {
    int64_t t, start, strip;
};

static inline int64_t at(const struct place *place, struct where w)
{
    const int64_t frame = ((w.t + place->ahead) & place->mask) * place->frame;
    return place->base + frame + (place->strip ? w.strip : w.start);
}

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t tiles_of(int64_t count, int64_t size) { return (count + size - 1) / size; }

struct share {
    int64_t first, behind;
};

/* One's share of `count` things, but for the last one's a multiple of `grain`. */
static struct share share(int64_t count, int64_t grain, const struct team *team, int me)
{
    const int64_t grains = tiles_of(count, grain);
    const int64_t first = grains * me / team->size * grain;
    const int64_t behind = grains * (me + 1) / team->size * grain;
    return (struct share){first, least(behind, count)};
}

#define NUMBER float
#define SINGLE 1
#define FLOOR floorf
#define NAME(name) HERE(single_##name)
#include "loops.c"
#undef NUMBER
#undef SINGLE
#undef FLOOR
#undef NAME
#undef LANES
#undef N
#undef EACH
#undef IN
#undef OUT
#undef ROWS
#undef WIDE
#undef DEEP
#undef FRAMES

#define NUMBER double
#define SINGLE 0
#define FLOOR floor
#define NAME(name) HERE(double_##name)
#include "loops.c"
