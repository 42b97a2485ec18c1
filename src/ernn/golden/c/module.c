/* The Python module `ernn.golden._play`: hands buffers to a variant of the interpreter, without
   Python's lock.  _play.pyi says what its functions take. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "variants.h"

#define BUFFERS (TABLES + ROOMS)

static int always(void) { return 1; }

#if defined(X86)
static int has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}
#endif

/* The slowest first. */
static const struct variant {
    const char *name;
    int (*runs_here)(void);
    play_function *play;
    multiply_function *multiply;
} variants[] = {
    {"wide", always, play_wide, multiply_wide},
    {"narrow", always, play_narrow, multiply_narrow},
#if defined(X86)
    {"narrow, AVX2", has_avx2, play_avx2, multiply_avx2},
    {"narrow, AVX-512", has_avx512, play_avx512, multiply_avx512},
#endif
};

static const struct variant *variant_of(const char *name)
{
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (strcmp(variants[i].name, name) == 0 && variants[i].runs_here())
            return variants + i;
    PyErr_Format(PyExc_ValueError, "this processor does not run %s", name);
    return NULL;
}

static PyObject *variant_names(PyObject *self, PyObject *none)
{
    PyObject *names = PyList_New(0);
    for (size_t i = 0; names != NULL && i < sizeof variants / sizeof *variants; i++) {
        if (!variants[i].runs_here())
            continue;
        PyObject *name = PyUnicode_FromString(variants[i].name);
        if (name == NULL || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

/* play(variant, buffers, frames, outputs, streams) */
static PyObject *play(PyObject *self, PyObject *args)
{
    const char *name;
    PyObject *buffers, *ends[2];
    Py_ssize_t streams;
    if (!PyArg_ParseTuple(args, "sO!OOn", &name, &PyTuple_Type, &buffers, &ends[0], &ends[1],
                          &streams))
        return NULL;
    const struct variant *variant = variant_of(name);
    if (variant == NULL)
        return NULL;
    if (PyTuple_GET_SIZE(buffers) != BUFFERS)
        return PyErr_Format(PyExc_ValueError, "there must be %d buffers", BUFFERS);

    const int restarts = ends[0] == Py_None, wanted = BUFFERS + (restarts ? 0 : 2);
    Py_buffer views[BUFFERS + 2];
    void *at[BUFFERS];
    int had = 0, done = -1;
    for (; had < wanted; had++) {
        PyObject *from = had < BUFFERS ? PyTuple_GET_ITEM(buffers, had) : ends[had - BUFFERS];
        const int writes = had >= TABLES && had != BUFFERS; /* all but tables and frames */
        if (PyObject_GetBuffer(from, views + had,
                               PyBUF_C_CONTIGUOUS | (writes ? PyBUF_WRITABLE : 0)) < 0)
            goto release;
        if (had < BUFFERS)
            at[had] = views[had].buf;
    }
    const Py_buffer *x = restarts ? NULL : views + BUFFERS;
    Py_BEGIN_ALLOW_THREADS;
    done = variant->play(at, restarts ? NULL : x->buf, restarts ? NULL : x[1].buf,
                         restarts ? 0 : x->shape[0], streams);
    Py_END_ALLOW_THREADS;
release:
    while (had--)
        PyBuffer_Release(views + had);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

/* multiply(variant, weights, data, sums, pairs, results, side, times) */
static PyObject *multiply(PyObject *self, PyObject *args)
{
    const char *name;
    Py_buffer weights, data, sums;
    Py_ssize_t pairs, results, side, times;
    if (!PyArg_ParseTuple(args, "sy*y*w*nnnn", &name, &weights, &data, &sums, &pairs, &results,
                          &side, &times))
        return NULL;
    const struct variant *variant = variant_of(name);
    const Py_ssize_t tile = 2 * pairs * ROWS * weights.itemsize;
    for (Py_ssize_t n = 0; variant != NULL && n < times; n++)
        for (Py_ssize_t from = 0; from + tile <= weights.len; from += tile)
            variant->multiply((const char *)weights.buf + from, data.buf, sums.buf, pairs, results,
                              side);
    PyBuffer_Release(&weights);
    PyBuffer_Release(&data);
    PyBuffer_Release(&sums);
    if (variant == NULL)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"variants", variant_names, METH_NOARGS, NULL},
    {"play", play, METH_VARARGS, NULL},
    {"multiply", multiply, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_play", .m_size = -1,
                                    .m_methods = methods};

PyMODINIT_FUNC PyInit__play(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made != NULL &&
        (PyModule_AddIntMacro(made, LANES) < 0 || PyModule_AddIntMacro(made, ROWS) < 0 ||
         PyModule_AddIntMacro(made, WIDTH) < 0 || PyModule_AddIntMacro(made, SIDE) < 0 ||
         PyModule_AddIntMacro(made, ENTRIES) < 0))
        Py_CLEAR(made);
    return made;
}
