/* The interpreter as the library has it: many frames of many streams, for one kind of numbers and
   processor.  Before this file are defined NUMBER, UNSIGNED and WEIGHT, and PLAY and MULTIPLY, the
   names of what it gives. */

#include "variants.h"
#include "play.c"

/* Whether every input of so many frames is in its range. */
static int in_range(const struct machine *m, const int64_t *x, place_t frames)
{
    const struct port *port = m->ports, *end = port + m->network->reads;
    for (; port < end; x += port->length, port++) {
        int64_t lowest = 0, highest = 0; /* every format holds 0 */
        for (const int64_t *row = x; row < x + frames * m->network->inputs;
             row += m->network->inputs)
            for (place_t i = 0; i < port->length; i++) {
                lowest = row[i] < lowest ? row[i] : lowest;
                highest = row[i] > highest ? row[i] : highest;
            }
        if (lowest < port->low || port->high < highest)
            return 0;
    }
    return 1;
}

int PLAY(void *const *buffers, const int64_t *x, int64_t *y, ptrdiff_t time, ptrdiff_t streams)
{
    void *const *b = buffers;
    const struct machine m = {b[0], b[1], b[2],  b[3],  b[4],  b[5],  b[6], b[7],
                              b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]};
    const struct network *net = m.network;
    if (x != NULL && !in_range(&m, x, time * streams))
        return 0;
    for (place_t first = 0; first < streams; first += net->side) {
        NUMBER *memory = m.memory + first * net->memory;
        if (x == NULL)
            restart(&m, memory);
        for (place_t t = 0; t < time; t++)
            frame(&m, memory, x + (t * streams + first) * net->inputs,
                  y + (t * streams + first) * net->outputs, least(net->side, streams - first));
    }
    return 1;
}

void MULTIPLY(const void *weights, const void *data, void *sums, ptrdiff_t pairs, ptrdiff_t results,
              ptrdiff_t side)
{
    DOTS(weights, NULL, data, 2 * pairs * side, sums, ROWS * side, pairs, results, ROWS,
         side);
}
