// Recurrent layers: the loop over time of one layer in one direction.
//
// Steps are rows of packed arrays: those of step t follow those of step t - 1, one for each sample that is still there.
// Samples don't depend on each other, so each thread runs the whole loop for samples of its own; where there are too
// few, threads share the units of each step instead. Neither changes a result.
#include <omp.h>

#include <algorithm>
#include <cstring>

#include "dnn_cache.h"
#include "levels.h"
#include "rnn_loops.h"

namespace rushlight {

RUSHLIGHT_LEVELS(RnnLoops, rnn_table)

namespace {

const RnnKernels<float>& kernels(float) { return RUSHLIGHT_PICK(rnn_table).floats; }
const RnnKernels<double>& kernels(double) { return RUSHLIGHT_PICK(rnn_table).doubles; }

i64 gate_count(Cell cell) { return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1; }

// A matrix packed for products, of `groups` x `units` columns: a vector of each group in turn.
template <class T> class Packed {
 public:
  Packed(i64 groups, i64 units) : k_(kernels(T{})), groups_(groups), units_(units) {
    for (i64 first = 0; first < units; first += k_.lanes)
      for (i64 group = 0; group < groups; ++group) add(group * units + first, std::min(k_.lanes, units - first));
    while (count() % k_.panel) add(0, 0);
  }

  // Element (k, column) is w[k * down + column * across].
  void fill(Scratch where, const T* w, i64 depth, i64 down, i64 across) {
    depth_ = depth;
    panels_ = static_cast<T*>(scratch(where, sizeof(T) * static_cast<size_t>(count() * k_.lanes * depth)));
    k_.pack(w, depth, down, across, columns(), panels_);
  }
  bool filled() const { return panels_ != nullptr; }

  // c (+)= a times the columns of units [from, to), of which `from` (and `to`, before the end) begins a panel.
  void multiply(const T* a, i64 rows, i64 from, i64 to, T* c, bool add) const {
    const i64 first = from / k_.lanes * groups_, last = to == units_ ? count() : to / k_.lanes * groups_;
    k_.multiply(a, depth_, rows, depth_, panels_, columns(), first, last, c, groups_ * units_, add);
  }

 private:
  void add(i64 at, i64 lanes) {
    at_.push_back(at);
    lanes_.push_back(lanes);
  }
  i64 count() const { return static_cast<i64>(at_.size()); }
  Columns columns() const { return {at_.data(), lanes_.data(), count()}; }

  const RnnKernels<T>& k_;
  i64 groups_, units_, depth_ = 0;
  std::vector<i64> at_, lanes_;
  T* panels_ = nullptr;
};

struct Shape {
  Cell cell;
  i64 steps, batch, hidden, out, total;  // `out`: the size of the hidden state, smaller than `hidden` after a projection
  bool reverse;
  const i64* sizes;
  std::vector<i64> offsets;  // the first row of each step
  i64 gates() const { return gate_count(cell) * hidden; }
};

// What one thread works on: samples, and units of their states.
struct Share {
  i64 row, row_end, unit, unit_end;
};

// Where to cut the samples into pieces that have about the same number of steps each.
i64 cut(const Shape& s, i64 piece, i64 pieces) {
  if (piece == pieces) return s.batch;
  i64 done = 0, row = 0;
  for (i64 length = s.steps; row < s.batch && done * pieces < s.total * piece; ++row) {
    while (length > 0 && s.sizes[length - 1] <= row) --length;
    done += length;
  }
  return row;
}

// body(share, wait) in threads; `wait` returns when all threads that share units have come to it.
template <class Body> void in_shares(const Shape& s, i64 block, const Body& body) {
  const i64 products = s.batch * s.gates() * s.out, blocks = (s.hidden + block - 1) / block, threads = num_threads();
  const bool by_rows = s.batch >= 4 * threads && products * s.steps >= (1 << 17);
  const bool by_units = !by_rows && s.batch < 4 * threads && s.out == s.hidden && blocks > 1 && products >= (1 << 16);
  if (threads == 1 || !(by_rows || by_units)) return body(Share{0, s.batch, 0, s.hidden}, [] {});
#pragma omp parallel num_threads(static_cast<int>(by_units ? std::min(threads, blocks) : threads))
  {
    const i64 me = omp_get_thread_num(), all = omp_get_num_threads();
    if (by_rows) {
      body(Share{cut(s, me, all), cut(s, me + 1, all), 0, s.hidden}, [] {});
    } else {
      const i64 from = blocks * me / all * block, to = std::min(s.hidden, blocks * (me + 1) / all * block);
      body(Share{0, s.batch, from, to}, [] {
#pragma omp barrier
      });
    }
  }
}

template <class T> void copy(T* to, const T* from, i64 n) { std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T)); }
template <class T> void add(T* to, const T* from, i64 n) {
  for (i64 i = 0; i < n; ++i) to[i] += from[i];
}

// -- forward -------------------------------------------------------------------------------------------------------

template <class T> struct Forward {
  const Shape& s;
  const Packed<T>&inputs, &weights, &projection;
  const T *x, *bias;  // where the gates are computed here: they are in L2 then
  i64 features;
  T *gates, *from_hidden;  // rows of gates of all steps, and of one step where they are not added at once
  const T* b_hn;
  T *h, *c, *y, *h_before, *extra, *full;
  bool kept;  // the gates of all steps; else there are those of one

  template <class Wait> void run(const Share& share, const Wait& wait) const {
    for (i64 i = 0; i < s.steps; ++i) {
      const i64 t = s.reverse ? s.steps - 1 - i : i, end = std::min(share.row_end, s.sizes[t]);
      if (end <= share.row) {
        if (s.reverse) continue;
        break;
      }
      step(s.offsets[static_cast<size_t>(t)], share, end, wait);
    }
  }

  template <class Wait> void step(i64 offset, const Share& share, i64 end, const Wait& wait) const {
    const i64 rows = end - share.row, width = s.gates(), first = offset + share.row;
    const bool apart = s.cell == Cell::gru;
    T* h_rows = h + share.row * s.out;
    T* g = gates + (kept ? first : share.row) * width;
    if (inputs.filled()) {
      for (i64 r = 0; r < rows; ++r) start_row(g + r * width, share);
      inputs.multiply(x + first * features, rows, share.unit, share.unit_end, g, true);
    }
    T* products = apart ? from_hidden + share.row * width : g;
    if (weights.filled()) weights.multiply(h_rows, rows, share.unit, share.unit_end, products, !apart);
    wait();  // the others read the state until here
    for (i64 r = share.row; r < end; ++r) unit_row(offset + r, r, share);
    if (projection.filled()) {
      projection.multiply(full + first * s.hidden, rows, 0, s.out, h_rows, false);
      copy(y + first * s.out, h_rows, rows * s.out);
    }
    wait();
  }

  void start_row(T* row, const Share& share) const {
    for (i64 at = share.unit; at < s.gates(); at += s.hidden)
      for (i64 i = at; i < at + share.unit_end - share.unit; ++i) row[i] = bias ? bias[i] : T(0);
  }

  void unit_row(i64 at, i64 r, const Share& share) const {
    const i64 n = share.unit_end - share.unit;
    Row<T> row{};
    row.gates = gates + (kept ? at : r) * s.gates();
    row.gh = from_hidden ? from_hidden + r * s.gates() : nullptr;
    row.bias = b_hn;
    row.c = c ? c + r * s.hidden : nullptr;
    row.h = full ? full + at * s.hidden : h + r * s.out;
    row.y = full ? row.h : y + at * s.out;
    row.extra = extra ? extra + at * s.hidden : nullptr;
    if (h_before && full)
      copy(h_before + at * s.out, h + r * s.out, s.out);
    else if (h_before)
      copy(h_before + at * s.out + share.unit, h + r * s.out + share.unit, n);
    kernels(T{}).forward(s.cell, row, s.hidden, share.unit, share.unit_end);
  }
};

// -- backward ------------------------------------------------------------------------------------------------------

template <class T> struct Backward {
  const Shape& s;
  const Packed<T>&weights, &projection;
  const T *gy, *gates, *extra, *h_before;
  T *dh, *dc, *to_input, *to_hidden, *to_output, *full;  // `full`: one step's gradients before the projection

  template <class Wait> void run(const Share& share, const Wait& wait) const {
    for (i64 i = 0; i < s.steps; ++i) {
      const i64 t = s.reverse ? i : s.steps - 1 - i, end = std::min(share.row_end, s.sizes[t]);
      if (end <= share.row) {
        if (!s.reverse) continue;
        break;
      }
      step(s.offsets[static_cast<size_t>(t)], share, end, wait);
    }
  }

  template <class Wait> void step(i64 offset, const Share& share, i64 end, const Wait& wait) const {
    const i64 rows = end - share.row, first = offset + share.row, n = share.unit_end - share.unit;
    T* dh_rows = dh + share.row * s.out;
    if (gy && full) {
      add(dh_rows, gy + first * s.out, rows * s.out);
    } else if (gy) {
      for (i64 r = 0; r < rows; ++r)
        add(dh_rows + r * s.out + share.unit, gy + (first + r) * s.out + share.unit, n);
    }
    if (full) {
      copy(to_output + first * s.out, dh_rows, rows * s.out);
      projection.multiply(dh_rows, rows, 0, s.hidden, full + share.row * s.hidden, false);
    }
    for (i64 r = share.row; r < end; ++r) unit_row(offset + r, r, share);
    wait();  // a state's gradient needs those of all gates
    const bool apart = s.cell == Cell::gru;
    if (weights.filled())
      weights.multiply((apart ? to_hidden : to_input) + first * s.gates(), rows, share.unit, full ? s.out : share.unit_end,
                       dh_rows, apart);
  }

  void unit_row(i64 at, i64 r, const Share& share) const {
    Row<T> row{};
    row.gates = const_cast<T*>(gates) + at * s.gates();
    row.extra = const_cast<T*>(extra) + (extra ? at * s.hidden : 0);
    row.before = h_before + at * s.out;
    row.h = full ? full + r * s.hidden : dh + r * s.out;
    row.c = dc ? dc + r * s.hidden : nullptr;
    row.to_input = to_input + at * s.gates();
    row.to_hidden = to_hidden ? to_hidden + at * s.gates() : nullptr;
    kernels(T{}).backward(s.cell, row, s.hidden, share.unit, share.unit_end);
  }
};

// -- from Python: arrays are C-ordered and of one type, which the caller has seen to -----------------------------------

template <class T> T* optional(nb::handle a) { return a.is_none() ? nullptr : data<T>(a); }

nb::object array_or_none(bool wanted, i64 rows, i64 columns, int type) {
  const npy_intp dims[2] = {rows, columns};
  return wanted ? new_array(2, dims, type, false) : nb::none();
}

// `total` rows of `width` gates.
Shape shape_of(int cell, i64 total, i64 width, nb::handle h, nb::handle sizes, bool reverse) {
  const Cell kind = static_cast<Cell>(cell);
  Shape s{kind, dim(sizes, 0), dim(h, 0), width / gate_count(kind), dim(h, 1), total, reverse, data<i64>(sizes), {}};
  i64 offset = 0;
  for (i64 t = 0; t < s.steps; offset += s.sizes[t++]) s.offsets.push_back(offset);
  return s;
}

// Gates are given, or else computed of x, w_ih and bias; they become what was activated, h and c the last states.
// `from_hidden`: for one step, instead of w_hh.
nb::object rnn_forward(int cell, nb::object gates, nb::handle x, nb::handle w_ih, nb::handle bias, nb::handle h, nb::handle c,
                       nb::handle w_hh, nb::handle from_hidden, nb::handle b_hn, nb::handle w_hr, nb::handle sizes,
                       bool reverse, bool keep) {
  const bool given = !gates.is_none();
  const Shape s = shape_of(cell, dim(given ? gates : x, 0), dim(given ? nb::handle(gates) : w_ih, given ? 1 : 0), h, sizes, reverse);
  const i64 hidden = s.hidden;
  const int type = PyArray_TYPE(array(h));
  const bool projected = !w_hr.is_none(), more = s.cell == Cell::lstm || s.cell == Cell::gru;
  if (!given) gates = array_or_none(true, keep ? s.total : s.batch, s.gates(), type);
  nb::object y = array_or_none(true, s.total, s.out, type), h_before = array_or_none(keep, s.total, s.out, type);
  nb::object extra = array_or_none(keep && more, s.total, hidden, type);
  nb::object full = array_or_none(projected, s.total, hidden, type);
  return for_floats(h, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    Packed<T> inputs(gate_count(s.cell), hidden), weights(gate_count(s.cell), hidden), projection(1, s.out);
    const i64 features = given ? 0 : dim(x, 1);
    if (!given) inputs.fill(Scratch::kPad, data<T>(w_ih), features, 1, features);
    if (!w_hh.is_none()) weights.fill(Scratch::kFirst, data<T>(w_hh), s.out, 1, s.out);
    if (projected) projection.fill(Scratch::kSecond, data<T>(w_hr), hidden, 1, hidden);
    T* apart = optional<T>(from_hidden);
    if (s.cell != Cell::gru && apart) add(data<T>(gates), apart, s.total * s.gates());
    if (s.cell == Cell::gru && !apart)
      apart = static_cast<T*>(scratch(Scratch::kResult, sizeof(T) * static_cast<size_t>(s.batch * s.gates())));
    const Forward<T> forward{s, inputs, weights, projection, optional<T>(x), optional<T>(bias), features, data<T>(gates),
                             apart, optional<T>(b_hn), data<T>(h), optional<T>(c), data<T>(y), optional<T>(h_before),
                             optional<T>(extra), optional<T>(full), given || keep};
    const RnnKernels<T>& k = kernels(zero);
    in_shares(s, k.lanes * k.panel, [&](const Share& share, const auto& wait) { forward.run(share, wait); });
    return nb::make_tuple(y, gates, h_before, extra, full);
  });
}

// dh and dc become the gradients of the first states; without w_hh, dh lacks what comes through it.
nb::object rnn_backward(int cell, nb::handle gy, nb::handle dh, nb::handle dc, nb::handle gates, nb::handle h_before,
                        nb::handle extra, nb::handle w_hh, nb::handle w_hr, nb::handle sizes, bool reverse) {
  const Shape s = shape_of(cell, dim(gates, 0), dim(gates, 1), dh, sizes, reverse);
  const i64 hidden = s.hidden;
  const int type = PyArray_TYPE(array(gates));
  const bool projected = !w_hr.is_none();
  nb::object to_input = array_or_none(true, s.total, s.gates(), type);
  nb::object to_hidden = array_or_none(s.cell == Cell::gru, s.total, s.gates(), type);
  nb::object to_output = array_or_none(projected, s.total, s.out, type);
  return for_floats(gates, [&](auto zero) -> nb::object {
    using T = decltype(zero);
    Packed<T> weights(1, s.out), projection(1, hidden);
    if (!w_hh.is_none()) weights.fill(Scratch::kFirst, data<T>(w_hh), s.gates(), s.out, 1);
    T* full = nullptr;
    if (projected) {
      projection.fill(Scratch::kSecond, data<T>(w_hr), s.out, hidden, 1);
      full = static_cast<T*>(scratch(Scratch::kResult, sizeof(T) * static_cast<size_t>(s.batch * hidden)));
    }
    const Backward<T> backward{s, weights, projection, optional<T>(gy), data<T>(gates), optional<T>(extra), data<T>(h_before),
                               data<T>(dh), optional<T>(dc), data<T>(to_input), optional<T>(to_hidden), optional<T>(to_output),
                               full};
    const RnnKernels<T>& k = kernels(zero);
    in_shares(s, k.lanes * k.panel, [&](const Share& share, const auto& wait) { backward.run(share, wait); });
    return nb::make_tuple(to_input, to_hidden, to_output);
  });
}

}  // namespace

void bind_rnn(nb::module_& m) {
  m.def("rnn_forward", &rnn_forward, nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg().none(),
        nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg(),
        nb::arg(), nb::arg());
  m.def("rnn_backward", &rnn_backward, nb::arg(), nb::arg().none(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(),
        nb::arg().none(), nb::arg().none(), nb::arg().none(), nb::arg(), nb::arg());
}

}  // namespace rushlight
