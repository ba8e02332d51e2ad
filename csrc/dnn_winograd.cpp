// Source: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4.1.
// An output tile of 2x2 needs an input tile of 4x4; both become 16 numbers, and each of the 16 is a matrix product
// over channels. With these small tiles the rounding error stays that of a direct convolution (measured: 5e-7).
#include "dnn_winograd.h"

#include "dnn_cache.h"

#include <omp.h>

#include <algorithm>
#include <cstring>

namespace rushlight {
namespace {

typedef float Lanes __attribute__((vector_size(64)));
constexpr i64 kLanes = 16;

// Floats between the 16 matrices of a block: apart from powers of two, which would share cache sets.
constexpr i64 stride_of(i64 rows, i64 columns) { return rows * columns + kLanes; }

struct Tile {
  i64 image, row, column;  // of the top left output
};

inline Tile tile_at(const Filter3x3& f, i64 number) {
  const i64 each = f.tiles_h() * f.tiles_w(), within = number % each;
  return {number / each, within / f.tiles_w() * 2, within % f.tiles_w() * 2};
}

// v = B' d B for each lane: 16 numbers of one input tile, `apart` floats from each other.
RUSHLIGHT_INLINE void transform_input(const float* const* from, i64 c, float* v, i64 apart) {
  Lanes t[16];
  for (int j = 0; j < 4; ++j) {
    Lanes a, b, d, e;
    load(a, from[j] + c);
    load(b, from[4 + j] + c);
    load(d, from[8 + j] + c);
    load(e, from[12 + j] + c);
    t[j] = a - d;
    t[4 + j] = b + d;
    t[8 + j] = d - b;
    t[12 + j] = b - e;
  }
  for (int i = 0; i < 4; ++i) {
    const Lanes* s = t + 4 * i;
    float* to = v + 4 * i * apart + c;
    store(to, s[0] - s[2]);
    store(to + apart, s[1] + s[2]);
    store(to + 2 * apart, s[2] - s[1]);
    store(to + 3 * apart, s[1] - s[3]);
  }
}

// d = A g A' for each lane: 16 numbers of one 2x2 tile of gradients.
RUSHLIGHT_INLINE void transform_gradient(const float* const* from, i64 c, float* d, i64 apart) {
  Lanes t[8];
  for (int j = 0; j < 2; ++j) {
    Lanes a, b;
    load(a, from[j] + c);
    load(b, from[2 + j] + c);
    t[j] = a;
    t[2 + j] = a + b;
    t[4 + j] = a - b;
    t[6 + j] = -b;
  }
  for (int i = 0; i < 4; ++i) {
    const Lanes a = t[2 * i], b = t[2 * i + 1];
    float* to = d + 4 * i * apart + c;
    store(to, a);
    store(to + apart, a + b);
    store(to + 2 * apart, a - b);
    store(to + 3 * apart, -b);
  }
}

// Pointers to the size x size positions of a tile whose corner is (row, column); outside lies `zeros`.
template <int kSize>
RUSHLIGHT_INLINE void gather(const float* x, i64 height, i64 width, i64 channels, i64 image, i64 row, i64 column,
                             const float* zeros, const float** from) {
  for (int i = 0; i < kSize; ++i)
    for (int j = 0; j < kSize; ++j) {
      const i64 h = row + i, w = column + j;
      const bool inside = h >= 0 && h < height && w >= 0 && w < width;
      from[i * kSize + j] = inside ? x + ((image * height + h) * width + w) * channels : zeros;
    }
}

RUSHLIGHT_CLONES void input_tiles(const Filter3x3& f, const float* x, const float* zeros, float* v, i64 apart, i64 begin,
                                  i64 end) {
  for (i64 number = begin; number < end; ++number, v += f.c) {
    const Tile tile = tile_at(f, number);
    const float* from[16];
    gather<4>(x, f.h, f.w, f.c, tile.image, tile.row - f.pad_h, tile.column - f.pad_w, zeros, from);
    for (i64 c = 0; c < f.c; c += kLanes) transform_input(from, c, v, apart);
  }
}

RUSHLIGHT_CLONES void gradient_tiles(const Filter3x3& f, const float* g, const float* zeros, float* d, i64 apart,
                                     i64 begin, i64 end) {
  for (i64 number = begin; number < end; ++number, d += f.o) {
    const Tile tile = tile_at(f, number);
    const float* from[4];
    gather<2>(g, f.oh, f.ow, f.o, tile.image, tile.row, tile.column, zeros, from);
    for (i64 c = 0; c < f.o; c += kLanes) transform_gradient(from, c, d, apart);
  }
}

// y = A' m A, bias and max(0, .): the 2x2 outputs of each tile.
RUSHLIGHT_CLONES void output_tiles(const Filter3x3& f, const float* m, i64 apart, const float* bias, bool relu, float* y,
                                   i64 begin, i64 end) {
  for (i64 number = begin; number < end; ++number, m += f.o) {
    const Tile tile = tile_at(f, number);
    float* corner = y + ((tile.image * f.oh + tile.row) * f.ow + tile.column) * f.o;
    const bool right = tile.column + 1 < f.ow, below = tile.row + 1 < f.oh;
    for (i64 c = 0; c < f.o; c += kLanes) {
      Lanes t[8], add = {};
      if (bias) load(add, bias + c);
      for (int j = 0; j < 4; ++j) {
        Lanes p, q, r, s;
        load(p, m + j * apart + c);
        load(q, m + (4 + j) * apart + c);
        load(r, m + (8 + j) * apart + c);
        load(s, m + (12 + j) * apart + c);
        t[j] = p + q + r;
        t[4 + j] = q - r - s;
      }
      for (int i = 0; i < (below ? 2 : 1); ++i) {
        Lanes left = t[4 * i] + t[4 * i + 1] + t[4 * i + 2] + add;
        Lanes other = t[4 * i + 1] - t[4 * i + 2] - t[4 * i + 3] + add;
        if (relu) {
          left = left < 0 ? Lanes{} : left;  // keeps NaN
          other = other < 0 ? Lanes{} : other;
        }
        float* to = corner + i * f.ow * f.o + c;
        store(to, left);
        if (right) store(to + f.o, other);
      }
    }
  }
}

// u = G w G' for 16 outputs [first, first + 16) of every input; step and skip are the strides of w along outputs
// and inputs.
RUSHLIGHT_CLONES void weight_tiles(const float* w, i64 inputs, i64 outputs, i64 step, i64 skip, bool flip, i64 first,
                                   float* u) {
  for (i64 c = 0; c < inputs; ++c) {
    float g[9][kLanes];
    for (i64 l = 0; l < kLanes; ++l)
      for (int k = 0; k < 9; ++k) g[flip ? 8 - k : k][l] = w[(first + l) * step + c * skip + k];
    Lanes s[12];
    for (int j = 0; j < 3; ++j) {
      Lanes a, b, d;
      load(a, g[j]);
      load(b, g[3 + j]);
      load(d, g[6 + j]);
      s[j] = a;
      s[3 + j] = 0.5f * (a + b + d);
      s[6 + j] = 0.5f * (a - b + d);
      s[9 + j] = d;
    }
    for (int i = 0; i < 4; ++i) {
      const Lanes a = s[3 * i], b = s[3 * i + 1], d = s[3 * i + 2];
      float* to = u + (4 * i * inputs + c) * outputs + first;
      store(to, a);
      store(to + inputs * outputs, Lanes(0.5f * (a + b + d)));
      store(to + 2 * inputs * outputs, Lanes(0.5f * (a - b + d)));
      store(to + 3 * inputs * outputs, d);
    }
  }
}

// gw = G' du G for outputs [begin, end), du[16, o, c].
RUSHLIGHT_CLONES void weight_gradients(const Filter3x3& f, const float* du, float* gw, i64 begin, i64 end) {
  const i64 apart = f.o * f.c;
  for (i64 o = begin; o < end; ++o)
    for (i64 c = 0; c < f.c; c += kLanes) {
      Lanes t[12];
      for (int j = 0; j < 4; ++j) {
        Lanes a, b, d, e;
        const float* from = du + j * apart + o * f.c + c;
        load(a, from);
        load(b, from + 4 * apart);
        load(d, from + 8 * apart);
        load(e, from + 12 * apart);
        t[j] = a + 0.5f * (b + d);
        t[4 + j] = 0.5f * (b - d);
        t[8 + j] = 0.5f * (b + d) + e;
      }
      float g[9][kLanes];
      for (int i = 0; i < 3; ++i) {
        const Lanes a = t[4 * i], b = t[4 * i + 1], d = t[4 * i + 2], e = t[4 * i + 3];
        store(g[3 * i], Lanes(a + 0.5f * (b + d)));
        store(g[3 * i + 1], Lanes(0.5f * (b - d)));
        store(g[3 * i + 2], Lanes(0.5f * (b + d) + e));
      }
      for (i64 l = 0; l < kLanes; ++l)
        for (int k = 0; k < 9; ++k) gw[(o * f.c + c + l) * 9 + k] = g[k][l];
    }
}

RUSHLIGHT_CLONES void add_columns(const float* from, i64 rows, i64 columns, double* total) {
  for (i64 i = 0; i < rows; ++i)
    for (i64 j = 0; j < columns; ++j) total[j] += from[i * columns + j];
}

void multiply(char transpose_a, i64 m, i64 n, i64 k, const float* a, i64 lda, const float* b, float beta, float* c) {
  const auto status = dnnl_sgemm(transpose_a, 'N', m, n, k, 1.f, a, lda, b, n, beta, c, n);
  if (status != dnnl_success) throw dnnl::error(status, "could not multiply matrices");
}

// Tiles that a thread works on together: their 16 matrices stay in its cache.
i64 block_of(const Filter3x3& f) {
  const i64 most = std::clamp<i64>(16384 / (f.c + f.o), 64, 128);
  return std::clamp<i64>(f.tiles() / 4, 32, most);  // at least four blocks for threads, or three of the smallest size
}

// Zeros to read in place of what lies outside, then `floats` for each thread.
struct Workspace {
  float *zeros, *rest;
  Workspace(i64 channels, i64 floats) {
    zeros = static_cast<float*>(scratch(Scratch::kPad, static_cast<size_t>(channels + floats) * sizeof(float)));
    std::memset(zeros, 0, static_cast<size_t>(channels) * sizeof(float));
    rest = zeros + channels;
  }
};

}  // namespace

bool winograd_pays(const Filter3x3& f) {
  if (f.c % kLanes != 0 || f.o % kLanes != 0 || f.c < 32 || f.o < 32) return false;
  return f.tiles() >= 96 && f.oh >= 2 && f.ow >= 2;  // transforming the weight would take the gain away
}

Filter3x3 winograd_backward(const Filter3x3& f) { return {f.n, f.o, f.oh, f.ow, f.c, f.h, f.w, 2 - f.pad_h, 2 - f.pad_w}; }

void winograd_weight(const Filter3x3& f, const float* w, bool backward, float* u) {
  const i64 step = backward ? 9 : f.c * 9, skip = backward ? f.o * 9 : 9;
  parallel_for(f.o / kLanes, std::max<i64>(1, kGrain / (f.c * 9 * kLanes)), [&](i64 begin, i64 end) {
    for (i64 block = begin; block < end; ++block)
      weight_tiles(w, f.c, f.o, step, skip, backward, block * kLanes, u);
  });
}

void winograd_convolve(const Filter3x3& f, const float* x, const float* u, const float* bias, bool relu, float* y) {
  const i64 rows = block_of(f), blocks = (f.tiles() + rows - 1) / rows;
  const i64 v_apart = stride_of(rows, f.c), m_apart = stride_of(rows, f.o), each = 16 * (v_apart + m_apart);
  const Workspace space(f.c, each * num_threads());
  parallel_for(blocks, 1, [&](i64 begin, i64 end) {
    float *v = space.rest + omp_get_thread_num() * each, *m = v + 16 * v_apart;
    for (i64 block = begin; block < end; ++block) {
      const i64 first = block * rows, last = std::min(f.tiles(), first + rows);
      input_tiles(f, x, space.zeros, v, v_apart, first, last);
      for (i64 i = 0; i < 16; ++i)
        multiply('N', last - first, f.o, f.c, v + i * v_apart, f.c, u + i * f.c * f.o, 0.f, m + i * m_apart);
      output_tiles(f, m, m_apart, bias, relu, y, first, last);
    }
  });
}

void winograd_weight_gradient(const Filter3x3& f, const float* g, const float* x, float* gw, float* gb) {
  const i64 most = std::min(f.tiles(), std::clamp<i64>(131072 / (f.c + f.o), 128, 512));  // tiles worked on together
  const i64 v_apart = stride_of(most, f.c), d_apart = stride_of(most, f.o), zeros = std::max(f.c, f.o);
  const Workspace space(zeros, 16 * (v_apart + d_apart) + f.weight_floats());
  float *v = space.rest, *d = v + 16 * v_apart, *du = d + 16 * d_apart;
  std::vector<double> bias(static_cast<size_t>(f.o));
  for (i64 first = 0; first < f.tiles(); first += most) {
    const i64 rows = std::min(most, f.tiles() - first);
    parallel_for(rows, 16, [&](i64 begin, i64 end) {
      input_tiles(f, x, space.zeros, v + begin * f.c, v_apart, first + begin, first + end);
      gradient_tiles(f, g, space.zeros, d + begin * f.o, d_apart, first + begin, first + end);
    });
    parallel_for(16, 1, [&](i64 begin, i64 end) {
      for (i64 i = begin; i < end; ++i) {
        if (i == 5 && gb) add_columns(d + i * d_apart, rows, f.o, bias.data());  // the sums of the 2x2 tiles
        multiply('T', f.o, f.c, rows, d + i * d_apart, f.o, v + i * v_apart, first == 0 ? 0.f : 1.f, du + i * f.c * f.o);
      }
    });
  }
  parallel_for(f.o, std::max<i64>(1, kGrain / (f.c * 9)), [&](i64 begin, i64 end) { weight_gradients(f, du, gw, begin, end); });
  if (gb) std::copy(bias.begin(), bias.end(), gb);
}

}  // namespace rushlight
