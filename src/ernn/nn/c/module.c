/* The Python module `ernn.nn._loops`: runs the loops of loops.c, in the variant that suits the
   processor, without Python's lock.  _loops.pyi says what its functions take. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "loops.h"

#define THREADS 16 /* at most */

#define DECLARE(here)                                                                              \
    extern loop_function here##_single_forward, here##_single_backward, here##_double_forward,     \
        here##_double_backward;                                                                    \
    extern move_function here##_single_move, here##_double_move;                                   \
    static const struct variant here = {                                                           \
        #here,                                                                                     \
        {{here##_single_forward, here##_single_backward},                                          \
         {here##_double_forward, here##_double_backward}},                                         \
        {here##_single_move, here##_double_move},                                                  \
    };

/* For single and double precision, the loops there and back. */
struct variant {
    const char *name;
    loop_function *loops[2][2];
    move_function *move[2];
};

DECLARE(plain)
#ifdef X86
DECLARE(avx2)
DECLARE(avx512)
#endif

static const struct variant *const variants[] = {
    &plain,
#ifdef X86
    &avx2,
    &avx512,
#endif
};

/* How many of them run here. */
static int count(void)
{
    int found = 1;
#ifdef X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        found = 2;
    if (found == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        found = 3;
#endif
    return found;
}

static const struct variant *chosen;

/* choose(name) */
static PyObject *choose(PyObject *self, PyObject *args)
{
    const char *name;
    if (!PyArg_ParseTuple(args, "s", &name))
        return NULL;
    for (int i = 0; i < count(); i++)
        if (strcmp(variants[i]->name, name) == 0) {
            chosen = variants[i];
            Py_RETURN_NONE;
        }
    return PyErr_Format(PyExc_ValueError, "this processor does not run %s", name);
}

static PyObject *names(PyObject *self, PyObject *none)
{
    PyObject *found = PyTuple_New(count());
    for (int i = 0; found != NULL && i < count(); i++)
        PyTuple_SET_ITEM(found, i, PyUnicode_FromString(variants[i]->name));
    return found;
}

struct worker {
    loop_function *loop;
    const struct pass *pass;
    const struct span *span;
    struct team *team;
    int me;
};

static void *work(void *argument)
{
    const struct worker *one = argument;
    while (__atomic_load_n(&one->team->size, __ATOMIC_ACQUIRE) == 0)
        sched_yield(); /* until it is known how many there are */
    one->loop(one->pass, one->span, one->team, one->me);
    return NULL;
}

/* In `threads` threads, or as many of them as there can be. */
static void run_together(loop_function *loop, const struct pass *pass, const struct span *span,
                         int threads)
{
    struct team team = {0, 0, 0};
    struct worker workers[THREADS];
    pthread_t others[THREADS];
    int size = 1;
    for (int me = 0; me < threads; me++)
        workers[me] = (struct worker){loop, pass, span, &team, me};
    while (size < threads && pthread_create(others + size, NULL, work, workers + size) == 0)
        size++;
    __atomic_store_n(&team.size, size, __ATOMIC_RELEASE);
    work(workers);
    for (int me = 1; me < size; me++)
        pthread_join(others[me], NULL);
}

static PyObject *run(PyObject *self, PyObject *args)
{
    int wide, back, threads;
    long long pass;
    struct span span;
    if (!PyArg_ParseTuple(args, "ppLLLLLi", &wide, &back, &pass, &span.stage, &span.last,
                          &span.first, &span.behind, &threads))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    run_together(chosen->loops[wide][back], (void *)(intptr_t)pass, &span,
                 threads < THREADS ? threads : THREADS);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

static PyObject *move(PyObject *self, PyObject *args)
{
    int wide;
    long long table, to, of;
    if (!PyArg_ParseTuple(args, "pLLL", &wide, &table, &to, &of))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    chosen->move[wide]((void *)(intptr_t)table, (void *)(intptr_t)to, (void *)(intptr_t)of);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"names", names, METH_NOARGS, NULL},
    {"choose", choose, METH_VARARGS, NULL},
    {"run", run, METH_VARARGS, NULL},
    {"move", move, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {.m_base = PyModuleDef_HEAD_INIT,
                                    .m_name = "_loops",
                                    .m_size = 0,
                                    .m_methods = methods};

PyMODINIT_FUNC PyInit__loops(void)
{
    chosen = variants[count() - 1];
    return PyModuleDef_Init(&module);
}
