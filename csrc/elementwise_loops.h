// What the elementwise loops of one CPU level offer: a table of functions on contiguous runs. See elementwise_loops.inc.
#pragma once

#include <cstdint>

namespace rushlight {

constexpr std::int64_t kLoopBlock = 2048;  // elements; a block of results stays in the first cache
// Results of this many bytes are written past the caches, which they would only empty.
constexpr std::int64_t kStreamBytes = std::int64_t{16} << 20;

// One operand; the result has its type.
#define RUSHLIGHT_UNARY(X)                                                                                     \
  X(neg) X(abs) X(sign) X(square) X(sqrt) X(rsqrt) X(reciprocal) X(floor) X(ceil) X(trunc) X(round) X(frac)    \
  X(exp) X(expm1) X(log) X(log1p) X(sin) X(cos) X(tan) X(tanh) X(sigmoid) X(logsigmoid) X(erf) X(relu)         \
  X(gelu) X(gelu_tanh) X(silu) X(mish) X(softplus) X(elu) X(leaky_relu) X(clamp) X(hardsigmoid) X(hardswish)   \
  X(softsign) X(tanhshrink) X(softshrink) X(hardshrink) X(threshold) X(cube) X(inverse_square)

// One operand; the result is boolean.
#define RUSHLIGHT_TEST(X) X(isnan) X(isinf) X(isfinite)

// Two operands of the result's type. The second may be a number.
#define RUSHLIGHT_BINARY(X)                                                                                    \
  X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) X(fmax) X(fmin) X(hypot) X(mul_add) X(relu_backward)       \
  X(sigmoid_backward) X(tanh_backward) X(gelu_backward) X(gelu_tanh_backward) X(silu_backward)                 \
  X(mish_backward) X(logsigmoid_backward) X(softplus_backward) X(elu_backward) X(leaky_relu_backward)          \
  X(hardtanh_backward) X(clamp_backward) X(hardsigmoid_backward) X(hardswish_backward) X(hardshrink_backward)  \
  X(threshold_backward)

// Two operands; the result is boolean.
#define RUSHLIGHT_COMPARE(X) X(eq) X(ne) X(lt) X(le) X(gt) X(ge)

#define RUSHLIGHT_NAME(name) name,
enum class Unary { RUSHLIGHT_UNARY(RUSHLIGHT_NAME) count };
enum class Test { RUSHLIGHT_TEST(RUSHLIGHT_NAME) count };
enum class Binary { RUSHLIGHT_BINARY(RUSHLIGHT_NAME) count };
enum class Compare { RUSHLIGHT_COMPARE(RUSHLIGHT_NAME) count };
#undef RUSHLIGHT_NAME

// Which operands are runs of n elements, and which a single one for all of them.
enum Mode { kBoth, kSecondSingle, kFirstSingle };

// params: up to three numbers (slope, limits ...). The result may lie where an operand lies. `stream`: write it past the
// caches; it must then lie elsewhere, aligned to 64 bytes.
using UnaryLoop = void (*)(const void* x, void* out, std::int64_t n, const double* params, bool stream);
using BinaryLoop = void (*)(const void* x, const void* y, void* out, std::int64_t n, Mode mode, const double* params, bool stream);
using WhereLoop = void (*)(const std::uint8_t* test, const void* x, const void* y, void* out, std::int64_t n, bool single_x,
                           bool single_y);

// The last index is 0 for float, 1 for double (and 2 for int64, where it is there).
struct ElementwiseLoops {
  UnaryLoop unary[static_cast<int>(Unary::count)][2];
  UnaryLoop test[static_cast<int>(Test::count)][2];
  BinaryLoop binary[static_cast<int>(Binary::count)][2];
  BinaryLoop compare[static_cast<int>(Compare::count)][3];
  BinaryLoop rest[3][3];     // fmod, remainder, floor_divide of float and int64
  BinaryLoop integer[3];     // add, sub, mul of int64
  BinaryLoop mask_scale[2];  // the second operand is bytes
  WhereLoop where[4];        // for elements of 1, 2, 4, 8 bytes
  UnaryLoop copy;            // bytes
};

const ElementwiseLoops& elementwise_loops();  // of this machine's level

}  // namespace rushlight
