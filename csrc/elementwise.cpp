// Elementwise kernels: operands of one floating-point type, dense in any order of axes or broadcast along them. Those of
// 16 bits are widened a block at a time; where operands are broadcast, kernel.cpp widens them as a whole.
#include "elementwise_loops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include <nanobind/stl/string.h>

#include "arena.h"
#include "fusion.h"
#include "kernel.h"
#include "layout.h"
#include "levels.h"
#include "lowprec.h"
#include "pool.h"
#include "special.h"
#include "walk.h"

namespace rushlight {

RUSHLIGHT_LEVELS(ElementwiseLoops, elementwise_table)
const ElementwiseLoops& elementwise_loops() {
  static const ElementwiseLoops& table = RUSHLIGHT_PICK(elementwise_table);
  return table;
}

namespace {

constexpr int kTypes[3] = {NPY_FLOAT, NPY_DOUBLE, NPY_INT64};
constexpr npy_intp kItems[3] = {4, 8, 8};

// -- one operand ------------------------------------------------------------------------------------------

// The float32 loop on operands of 16 bits, a block at a time; results have 16 bits too where they are numbers.
void low_unary(UnaryLoop loop, int low, bool numbers, const char* x, char* out, std::int64_t n, const double* params) {
  alignas(64) float block[kLowBlock];
  for (std::int64_t i = 0; i < n; i += kLowBlock) {
    const std::int64_t count = std::min(kLowBlock, n - i);
    low_loops().widen[low](reinterpret_cast<const std::uint16_t*>(x) + i, block, count);
    loop(block, numbers ? reinterpret_cast<char*>(block) : out + i, count, params, false);
    if (numbers) low_loops().narrow[low](block, reinterpret_cast<std::uint16_t*>(out) + i, count);
  }
}

PyObject* run_unary(UnaryLoop loop, PyArrayObject* x, PyObject* out, int type, const double* params) {
  const int low = low_kind(x);
  const bool numbers = type != NPY_BOOL;
  if (low >= 0 && numbers) type = PyArray_TYPE(x);
  if (!dense(x)) {  // then a dense copy is changed in place
    if (out && out != Py_None) return nullptr;
    PyArrayObject* copy = reinterpret_cast<PyArrayObject*>(PyArray_NewCopy(x, NPY_KEEPORDER));
    if (!copy) return nullptr;
    PyObject* result = run_unary(loop, copy, type == PyArray_TYPE(copy) ? done(copy) : nullptr, type, params);
    Py_DECREF(copy);
    return result;
  }
  bool fresh;
  PyArrayObject* o = target(out, x, type, fresh);
  if (!o || (!fresh && clobbers(o, x))) return give_up(o);
  const char* from = PyArray_BYTES(x);
  const npy_intp item = PyArray_ITEMSIZE(x);
  if (arenas_in_use() && low < 0) note_unary(loop, params, from, PyArray_BYTES(o), PyArray_SIZE(x), item, PyArray_ITEMSIZE(o));
  run_flat(PyArray_SIZE(x), PyArray_ITEMSIZE(o), PyArray_BYTES(o), fresh,
           [=](std::int64_t begin, char* to, std::int64_t count, bool stream) {
             if (low >= 0)
               low_unary(loop, low, numbers, from + begin * item, to, count, params);
             else
               loop(from + begin * item, to, count, params, stream);
           });
  return done(o);
}

// The first operand where native code covers it, and the kind of the loops for it in `kind`: float32's for 16 bits.
PyArrayObject* float_operand(PyObject* o, int& kind) {
  PyArrayObject* x = as_array(o);
  if (!x) return nullptr;
  if ((kind = float_kind(x)) < 0 && low_kind(x) >= 0) kind = 0;
  return kind >= 0 && readable(x) && PyArray_NDIM(x) <= kMaxDims ? x : nullptr;
}

// Numbers at places first .. first + count; an absent one keeps its default.
bool read_params(const Call& call, int first, int count, double* params) {
  for (int i = 0; i < count; ++i) {
    PyObject* o = call[first + i];
    if (o && !number(o, params[i])) return false;
  }
  return true;
}

// The place of `out`: the last parameter.
PyObject* out_of(const Call& call) { return call[call.kernel.out]; }

struct Defaults {
  int count;
  double values[3];
};

// Numbers that follow the operands in the call, and their defaults, by name of the kernel.
const std::unordered_map<std::string, Defaults>& parameter_table() {
  static const auto* const table = new std::unordered_map<std::string, Defaults>{
      {"softplus", {2, {1, 20, 0}}},          {"softplus_backward", {2, {1, 20, 0}}},
      {"elu", {3, {1, 1, 1}}},                {"elu_backward", {3, {1, 1, 1}}},
      {"leaky_relu", {1, {0.01, 0, 0}}},      {"leaky_relu_backward", {1, {0.01, 0, 0}}},
      {"softshrink", {1, {0.5, 0, 0}}},       {"hardshrink", {1, {0.5, 0, 0}}},
      {"hardshrink_backward", {1, {0.5, 0, 0}}}, {"threshold", {2, {0, 0, 0}}},
      {"threshold_backward", {1, {0, 0, 0}}}, {"hardtanh_backward", {2, {-1, 1, 0}}},
      {"mul_add", {1, {1, 0, 0}}},
  };
  return *table;
}

Defaults defaults_of(const std::string& name) {
  const auto found = parameter_table().find(name);
  return found == parameter_table().end() ? Defaults{0, {0, 0, 0}} : found->second;
}

std::vector<Defaults>& defaults_by_option() {
  static auto* const list = new std::vector<Defaults>;
  return *list;
}

PyObject* unary_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x) return nullptr;
  const UnaryLoop loop = elementwise_loops().unary[call.kernel.op][kind];
  const Defaults& defaults = defaults_by_option()[static_cast<std::size_t>(call.kernel.option)];
  double params[3] = {defaults.values[0], defaults.values[1], defaults.values[2]};
  if (defaults.count && !read_params(call, 1, defaults.count, params)) return nullptr;
  return run_unary(loop, x, out_of(call), kTypes[kind], params);
}

PyObject* test_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x) return nullptr;
  const double params[3] = {};
  return run_unary(elementwise_loops().test[call.kernel.op][kind], x, out_of(call), NPY_BOOL, params);
}

// -- functions of libm and its like, element by element ------------------------------------------------------

template <class T, double (*F)(double)> void special_loop(const void* x, void* out, std::int64_t n, const double*, bool) {
  const T* a = static_cast<const T*>(x);
  T* o = static_cast<T*>(out);
  for (std::int64_t i = 0; i < n; ++i) o[i] = static_cast<T>(F(static_cast<double>(a[i])));
}

enum Special { kErfc, kErfinv, kLgamma, kDigamma, kTrigamma, kErfcx, kLogNdtr, kNdtri };

constexpr UnaryLoop kSpecial[][2] = {
    {special_loop<float, erfc_of>, special_loop<double, erfc_of>},
    {special_loop<float, erfinv_of<1>>, special_loop<double, erfinv_of<2>>},
    {special_loop<float, lgamma_of>, special_loop<double, lgamma_of>},
    {special_loop<float, digamma_of>, special_loop<double, digamma_of>},
    {special_loop<float, trigamma_of>, special_loop<double, trigamma_of>},
    {special_loop<float, erfcx_of>, special_loop<double, erfcx_of>},
    {special_loop<float, log_ndtr_of>, special_loop<double, log_ndtr_of>},
    {special_loop<float, ndtri_of>, special_loop<double, ndtri_of>},
};

PyObject* special_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x) return nullptr;
  const double params[3] = {};
  return run_unary(kSpecial[call.kernel.op][kind], x, out_of(call), kTypes[kind], params);
}

UnaryLoop unary(Unary op, int kind) { return elementwise_loops().unary[static_cast<int>(op)][kind]; }

// clamp, hardtanh (limits -1 and 1 by default) and relu6 (limits 0 and 6).
enum Limits { kNone, kUnit, kSix };

PyObject* clamp_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x) return nullptr;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double limits[3][2] = {{-infinity, infinity}, {-1, 1}, {0, 6}};
  double params[3] = {limits[call.kernel.option][0], limits[call.kernel.option][1], 0};
  for (int i = 0; i < 2 && call.kernel.option != kSix; ++i) {
    PyObject* o = call[i + 1];
    if (o && o != Py_None && (!number(o, params[i]) || std::isnan(params[i]))) return nullptr;
  }
  return run_unary(unary(Unary::clamp, kind), x, out_of(call), kTypes[kind], params);
}

PyObject* celu_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  double params[3] = {1, 1, 1};
  if (!x || !read_params(call, 1, 1, params)) return nullptr;
  params[2] = 1 / params[0];
  return run_unary(unary(Unary::elu, kind), x, out_of(call), kTypes[kind], params);
}

PyObject* selu_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x) return nullptr;
  const double params[3] = {1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1};
  return run_unary(unary(Unary::elu, kind), x, out_of(call), kTypes[kind], params);
}

// Whether the argument `approximate` asks for the tanh form; false in `known` where it is something else.
bool approximate_tanh(PyObject* text, bool& known) {
  known = true;
  if (!text) return false;
  if (PyUnicode_Check(text)) {
    if (PyUnicode_CompareWithASCIIString(text, "tanh") == 0) return true;
    if (PyUnicode_CompareWithASCIIString(text, "none") == 0) return false;
  }
  known = false;
  return false;
}

PyObject* gelu_attempt(const Call& call) {
  int kind = -1;
  bool known;
  PyArrayObject* x = float_operand(call[0], kind);
  const bool approximate = approximate_tanh(call[1], known);
  if (!x || !known) return nullptr;
  const double params[3] = {};
  return run_unary(unary(approximate ? Unary::gelu_tanh : Unary::gelu, kind), x, out_of(call), kTypes[kind], params);
}

// -- two operands -----------------------------------------------------------------------------------------

union Scalar {
  std::uint16_t h;
  float f;
  double d;
  std::int64_t i;
};

// A Python number as an element of a kind; false where it is none, or loses something as an int64.
bool scalar_of(PyObject* o, int kind, Scalar& s) {
  if (kind == 2) {
    if (!PyLong_CheckExact(o)) return false;
    int overflow;
    s.i = PyLong_AsLongLongAndOverflow(o, &overflow);
    return !overflow;
  }
  double value;
  if (!number(o, value)) return false;
  if (kind == 0)
    s.f = static_cast<float>(value);
  else
    s.d = value;
  return true;
}

// The element of an array without axes, in the loop's type.
const void* single_of(PyArrayObject* a, int low, Scalar& s) {
  if (low < 0) return PyArray_DATA(a);
  low_loops().widen[low](static_cast<const std::uint16_t*>(PyArray_DATA(a)), &s.f, 1);
  return &s;
}

// Sorts out the operands of x, y: arrays of one kind, or one array and one number.
PyObject* apply(const BinaryLoop* loops, int kinds, const Call& call, bool to_bool, const double* params) {
  PyArrayObject *x = as_array(call[0]), *y = as_array(call[1]);
  PyArrayObject* first = x ? x : y;
  if (!first || !call[0] || !call[1]) return nullptr;
  const int low = low_kind(first);
  int kind = low >= 0 ? 0 : float_kind(first);
  if (kind < 0 && PyArray_TYPE(first) == NPY_INT64) kind = 2;
  if (kind < 0 || kind >= kinds || !loops[kind] || !readable(first) || PyArray_NDIM(first) > kMaxDims) return nullptr;
  const npy_intp item = PyArray_ITEMSIZE(first);
  const int type = to_bool ? NPY_BOOL : PyArray_TYPE(first);
  const Pair p(loops[kind], params, item, item, to_bool ? 1 : item, low);
  Scalar s;
  PyObject* out = out_of(call);
  if (x && y) {
    if (low >= 0 && PyArray_TYPE(y) == NPY_FLOAT && PyArray_NDIM(y) == 0 && dense(x))  // a number, not rounded to 16 bits
      return run_single(p, x, PyArray_DATA(y), kSecondSingle, out, type);
    if (PyArray_TYPE(x) != PyArray_TYPE(y) || !readable(y) || PyArray_NDIM(y) > kMaxDims) return nullptr;
    if (PyArray_NDIM(y) == 0 && PyArray_NDIM(x) > 0 && dense(x)) return run_single(p, x, single_of(y, low, s), kSecondSingle, out, type);
    if (PyArray_NDIM(x) == 0 && PyArray_NDIM(y) > 0 && dense(y)) return run_single(p, y, single_of(x, low, s), kFirstSingle, out, type);
    return run_binary(p, x, y, out, type);
  }
  if (!scalar_of(x ? call[1] : call[0], kind, s)) return nullptr;
  return run_single(p, first, &s, x ? kSecondSingle : kFirstSingle, out, type);
}

PyObject* binary_attempt(const Call& call) {
  const Defaults& defaults = defaults_by_option()[static_cast<std::size_t>(call.kernel.option)];
  double params[3] = {defaults.values[0], defaults.values[1], defaults.values[2]};
  if (defaults.count && !read_params(call, 2, defaults.count, params)) return nullptr;
  return apply(elementwise_loops().binary[call.kernel.op], 2, call, false, params);
}

// add, sub, mul, which are native on int64 too.
PyObject* arithmetic_attempt(const Call& call) {
  const ElementwiseLoops& all = elementwise_loops();
  const BinaryLoop loops[3] = {all.binary[call.kernel.op][0], all.binary[call.kernel.op][1], all.integer[call.kernel.option]};
  const double params[3] = {};
  return apply(loops, 3, call, false, params);
}

// Whether integers are divided by something that may be 0, which the reference kernel reports.
bool divides_by_zero(PyObject* o) {
  PyArrayObject* y = as_array(o);
  if (!y) return PyLong_CheckExact(o) && PyObject_IsTrue(o) != 1;
  if (PyArray_TYPE(y) != NPY_INT64) return false;
  if (!PyArray_IS_C_CONTIGUOUS(y) || !readable(y)) return true;
  const std::int64_t* v = static_cast<const std::int64_t*>(PyArray_DATA(y));
  return std::find(v, v + PyArray_SIZE(y), 0) != v + PyArray_SIZE(y);
}

// fmod, remainder and floor_divide of float32 (and of 16 bits, by it) and int64.
PyObject* rest_attempt(const Call& call) {
  PyArrayObject *x = as_array(call[0]), *y = as_array(call[1]), *first = x ? x : y;
  if (!first || !call[1] || (PyArray_TYPE(first) == NPY_INT64 && divides_by_zero(call[1]))) return nullptr;
  const double params[3] = {};
  return apply(elementwise_loops().rest[call.kernel.op], 3, call, false, params);
}

PyObject* compare_attempt(const Call& call) {
  const double params[3] = {};
  return apply(elementwise_loops().compare[call.kernel.op], 3, call, true, params);
}

PyObject* clamp_backward_attempt(const Call& call) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double params[3] = {-infinity, infinity, 0};
  for (int i = 0; i < 2; ++i) {
    PyObject* o = call[i + 2];
    if (o && o != Py_None && !number(o, params[i])) return nullptr;
  }
  return apply(elementwise_loops().binary[static_cast<int>(Binary::clamp_backward)], 2, call, false, params);
}

PyObject* gelu_backward_attempt(const Call& call) {
  bool known;
  const Binary op = approximate_tanh(call[2], known) ? Binary::gelu_tanh_backward : Binary::gelu_backward;
  const double params[3] = {};
  return known ? apply(elementwise_loops().binary[static_cast<int>(op)], 2, call, false, params) : nullptr;
}

// Powers with these exponents are products and roots, as in PyTorch; the others are NumPy's.
PyObject* pow_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject* x = float_operand(call[0], kind);
  if (!x || !call[1]) return nullptr;
  double exponent;
  PyArrayObject* y = as_array(call[1]);
  if (y) {
    if (PyArray_NDIM(y) || PyArray_TYPE(y) != PyArray_TYPE(x) || float_kind(y) < 0 || !readable(y)) return nullptr;
    exponent = kind == 0 ? *static_cast<float*>(PyArray_DATA(y)) : *static_cast<double*>(PyArray_DATA(y));
  } else if (!number(call[1], exponent)) {
    return nullptr;
  }
  constexpr struct {
    double exponent;
    Unary op;
  } known[] = {{2, Unary::square},      {3, Unary::cube},   {0.5, Unary::sqrt},
               {-1, Unary::reciprocal}, {-0.5, Unary::rsqrt}, {-2, Unary::inverse_square}};
  const double params[3] = {};
  for (const auto& k : known)
    if (k.exponent == exponent) return run_unary(unary(k.op, kind), x, out_of(call), kTypes[kind], params);
  return nullptr;
}

PyObject* mask_scale_attempt(const Call& call) {
  int kind = -1;
  PyArrayObject *x = float_operand(call[0], kind), *mask = as_array(call[1]);
  double params[3] = {1, 0, 0};
  if (!x || !mask || PyArray_ITEMSIZE(mask) != 1 || !call[2] || !number(call[2], params[0])) return nullptr;
  const npy_intp item = PyArray_ITEMSIZE(x);
  const Pair p(elementwise_loops().mask_scale[kind], params, item, 1, item, low_kind(x));
  if (!same_shape(x, mask)) return nullptr;
  return run_binary(p, x, mask, out_of(call), PyArray_TYPE(x));
}

// -- where and copy -----------------------------------------------------------------------------------------

// A branch of `where`: an array laid out as the test, or a single element.
bool where_branch(PyObject* o, PyArrayObject* test, int kind, int low, Scalar& s, const char*& from, bool& single) {
  PyArrayObject* a = as_array(o);
  single = !a || PyArray_NDIM(a) == 0;
  if (!a) {
    from = reinterpret_cast<const char*>(&s);
    if (!scalar_of(o, kind, s)) return false;
    if (low >= 0) {
      const float value = s.f;
      low_loops().narrow[low](&value, &s.h, 1);
    }
    return true;
  }
  from = PyArray_BYTES(a);
  return readable(a) && (single || (same_shape(a, test) && dense(a) && same_order(a, test)));
}

PyObject* where_attempt(const Call& call) {
  PyArrayObject *test = as_array(call[0]), *x = as_array(call[1]), *y = as_array(call[2]);
  PyArrayObject* typed = x ? x : y;
  if (!test || !typed || PyArray_TYPE(test) != NPY_BOOL || !dense(test) || (x && y && PyArray_TYPE(x) != PyArray_TYPE(y))) return nullptr;
  const int type = PyArray_TYPE(typed);
  const int low = low_kind(type);
  int kind = low >= 0 ? 0 : float_kind(typed);
  if (kind < 0 && type == NPY_INT64) kind = 2;
  if (kind < 0) return nullptr;
  Scalar sx, sy;
  const char *px, *py;
  bool single_x, single_y, fresh;
  if (!where_branch(call[1], test, kind, low, sx, px, single_x) || !where_branch(call[2], test, kind, low, sy, py, single_y)) return nullptr;
  if (out_of(call) && out_of(call) != Py_None) return nullptr;
  PyArrayObject* o = target(nullptr, test, type, fresh);
  if (!o) return nullptr;
  const npy_intp item = PyArray_ITEMSIZE(typed);
  const WhereLoop loop = elementwise_loops().where[item == 2 ? 1 : item == 4 ? 2 : 3];
  const std::uint8_t* bytes = static_cast<const std::uint8_t*>(PyArray_DATA(test));
  if (PyArray_SIZE(o))
    run_flat(PyArray_SIZE(o), item, PyArray_BYTES(o), false, [=](std::int64_t begin, char* to, std::int64_t count, bool) {
      loop(bytes + begin, px + (single_x ? 0 : begin * item), py + (single_y ? 0 : begin * item), to, count, single_x, single_y);
    });
  return done(o);
}

PyObject* copy_attempt(const Call& call) {
  PyArrayObject *to = as_array(call[0]), *from = as_array(call[1]);
  if (!to || !from || !PyArray_ISWRITEABLE(to) || PyArray_NDIM(to) > kMaxDims) return nullptr;
  if (!readable(to) || !readable(from) || PyDataType_REFCHK(PyArray_DESCR(to))) return nullptr;
  if (PyArray_TYPE(to) != PyArray_TYPE(from)) return convert(to, from) ? Py_NewRef(call[0]) : nullptr;
  if (same_shape(to, from) && dense(to) && dense(from) && same_order(to, from) && !overlap(to, from)) {
    const char* source = PyArray_BYTES(from);
    const UnaryLoop loop = elementwise_loops().copy;
    run_flat(PyArray_NBYTES(to), 1, PyArray_BYTES(to), true, [=](std::int64_t begin, char* into, std::int64_t count, bool stream) {
      loop(source + begin, into, count, nullptr, stream);
    });
  } else if (PyArray_CopyInto(to, from) < 0) {
    return nullptr;
  }
  return Py_NewRef(call[0]);
}

// -- the module ---------------------------------------------------------------------------------------------

struct Entry {
  Attempt attempt;
  int op, option;
};

const std::unordered_map<std::string, Entry>& entries() {
  static const auto* const table = [] {
    auto* t = new std::unordered_map<std::string, Entry>;
    auto with_defaults = [](const char* name) {
      defaults_by_option().push_back(defaults_of(name));
      return static_cast<int>(defaults_by_option().size()) - 1;
    };
#define ENTRY(name) (*t)[#name] = {unary_attempt, static_cast<int>(Unary::name), with_defaults(#name)};
    RUSHLIGHT_UNARY(ENTRY)
#undef ENTRY
#define ENTRY(name) (*t)[#name] = {test_attempt, static_cast<int>(Test::name), 0};
    RUSHLIGHT_TEST(ENTRY)
#undef ENTRY
#define ENTRY(name) (*t)[#name] = {binary_attempt, static_cast<int>(Binary::name), with_defaults(#name)};
    RUSHLIGHT_BINARY(ENTRY)
#undef ENTRY
#define ENTRY(name) (*t)[#name] = {compare_attempt, static_cast<int>(Compare::name), 0};
    RUSHLIGHT_COMPARE(ENTRY)
#undef ENTRY
    (*t)["add"] = {arithmetic_attempt, static_cast<int>(Binary::add), 0};
    (*t)["sub"] = {arithmetic_attempt, static_cast<int>(Binary::sub), 1};
    (*t)["mul"] = {arithmetic_attempt, static_cast<int>(Binary::mul), 2};
    (*t)["fmod"] = {rest_attempt, 0, 0};
    (*t)["remainder"] = {rest_attempt, 1, 0};
    (*t)["floor_divide"] = {rest_attempt, 2, 0};
    (*t)["sgn"] = (*t)["sign"];
    (*t)["erfc"] = {special_attempt, kErfc, 0};
    (*t)["erfinv"] = {special_attempt, kErfinv, 0};
    (*t)["lgamma"] = {special_attempt, kLgamma, 0};
    (*t)["digamma"] = {special_attempt, kDigamma, 0};
    (*t)["trigamma"] = {special_attempt, kTrigamma, 0};
    (*t)["erfcx"] = {special_attempt, kErfcx, 0};
    (*t)["log_ndtr"] = {special_attempt, kLogNdtr, 0};
    (*t)["ndtri"] = {special_attempt, kNdtri, 0};
    (*t)["clamp"] = {clamp_attempt, 0, kNone};
    (*t)["hardtanh"] = {clamp_attempt, 0, kUnit};
    (*t)["relu6"] = {clamp_attempt, 0, kSix};
    (*t)["celu"] = {celu_attempt, 0, 0};
    (*t)["selu"] = {selu_attempt, 0, 0};
    (*t)["gelu"] = {gelu_attempt, 0, 0};
    (*t)["gelu_backward"] = {gelu_backward_attempt, 0, 0};
    (*t)["clamp_backward"] = {clamp_backward_attempt, 0, 0};
    (*t)["pow"] = {pow_attempt, 0, 0};
    (*t)["mask_scale"] = {mask_scale_attempt, 0, 0};
    (*t)["where"] = {where_attempt, 0, 0};
    (*t)["copy"] = {copy_attempt, 0, 0};
    (*t)["cast"] = {cast_attempt, 0, 0};
    for (const char* internal : {"gelu_tanh", "gelu_tanh_backward", "cube", "inverse_square"}) t->erase(internal);
    return t;
  }();
  return *table;
}

// The native form of a reference kernel; where there is none, that kernel with 16-bit operands widened by native code.
nb::object elementwise(nb::object reference) {
  const auto found = entries().find(nb::cast<std::string>(reference.attr("__name__")));
  if (found == entries().end()) return make_kernel(nullptr, 0, 0, reference, true, true);
  const bool converts = found->second.attempt == copy_attempt || found->second.attempt == cast_attempt;
  return make_kernel(found->second.attempt, found->second.op, found->second.option, reference, true, !converts);
}

}  // namespace

void bind_elementwise(nb::module_& m) {
  m.def("elementwise", &elementwise, nb::arg("reference"), "The native form of a reference kernel, where there is one.");
}

}  // namespace rushlight
