// One token through a whole model, one text at a time: token id in, logits out, the state changed in place.
//
// At this size a step is bound by how fast weights can be read, so it is one parallel region in which every
// thread reads its own rows of each matrix from the first to the last; between phases that need each other's
// results there is a barrier. A row's product is summed by one thread in an order of its own, whatever rows
// are computed beside it, so any number of threads gives the same bits.
#pragma once

#include <cmath>
#include <memory>
#include <omp.h>
#include <type_traits>

#include "arguments.h"
#include "rows.h"
#include "vector.h"

namespace BHASA_ISA {

// Rows [first, last) of a matrix, or channels: what one thread computes.
struct Part {
  int64_t first, last;
};

// Whole cache lines of results for each thread.
INLINE Part part_of(int64_t rows, int thread, int threads) {
  const int64_t groups = (rows + MAX_LANES - 1) / MAX_LANES;
  const int64_t last = groups * (thread + 1) / threads * MAX_LANES;
  return {groups * thread / threads * MAX_LANES, last < rows ? last : rows};
}

// Calls f(row, count) with the rows of a part, by fours while there are four: sums side by side hide the
// time that each addition takes.
template <typename F>
INLINE void by_fours(Part part, F f) {
  int64_t row = part.first;
  for (; row + 4 <= part.last; row += 4) f(row, std::integral_constant<int, 4>{});
  for (; row < part.last; ++row) f(row, std::integral_constant<int, 1>{});
}

// write(row, product of the row and x) for rows of a (rows, width) matrix. Rows are read one after another:
// from memory one long stream is faster than several, with or without prefetching (22 GB/s against 16).
template <typename F>
INLINE void multiply(const float* weight, const float* x, int64_t width, Part part, F write) {
  by_fours(part, [&](int64_t row, auto count) {
    constexpr int ROWS = count;
    Vec total[ROWS];
    for (int k = 0; k < ROWS; ++k) {
      const float* from = weight + (row + k) * width;
      total[k] = sum_over(width, [&](int64_t i, int lanes) { return load(from + i, lanes) * load(x + i, lanes); });
    }
    float products[ROWS];
    sums<ROWS>(total, products);
    for (int k = 0; k < ROWS; ++k) write(row + k, products[k]);
  });
}

// Shifts the input x of the convolution into the state; the new x is the output.
INLINE void convolve(const DecodeArguments& a, const DecodeLayer& layer, Part part) {
  const int64_t past = a.taps - 1;
  for (int64_t channel = part.first; channel < part.last; ++channel) {
    const float* weight = layer.conv + channel * a.taps;
    float* state = layer.conv_state + channel * past;
    const float now = a.x[channel];
    float total = layer.conv_bias ? layer.conv_bias[channel] : 0.0f;
    for (int64_t tap = 0; tap < past; ++tap) {
      total += weight[tap] * state[tap];
      state[tap] = tap + 1 < past ? state[tap + 1] : now;
    }
    a.x[channel] = total + weight[past] * now;
  }
  for_each(part.last - part.first, [&](int64_t i, int lanes) {
    float* x = a.x + part.first + i;
    const Vec v = load(x, lanes);
    store(x, v * sigmoid(v), lanes);
  });
}

// One step of the recurrence, in which lanes are states: x becomes C h.
INLINE void recur(const DecodeArguments& a, const DecodeLayer& layer, Part part) {
  const float *B = a.projected + a.rank, *C = B + a.states;
  by_fours(part, [&](int64_t channel, auto count) {
    constexpr int ROWS = count;
    Vec total[ROWS]{};
    for_each(a.states, [&](int64_t s, int lanes) {
      const Vec b = load(B + s, lanes), c = load(C + s, lanes);
#pragma GCC unroll 4
      for (int k = 0; k < ROWS; ++k) {
        const int64_t place = (channel + k) * a.states + s;
        const float dt = a.dt[channel + k];
        const Vec A = load(layer.A + place, lanes);
        Vec decay;
        exp2_products<1>(splat(dt * LOG2_E), &A, &decay);
        const Vec h = fused(decay, load(layer.ssm_state + place, lanes), dt * a.x[channel + k] * b);
        store(layer.ssm_state + place, h, lanes);
        total[k] = fused(h, c, total[k]);
      }
    });
    sums<ROWS>(total, a.y + channel);
  });
}

// Step sizes, recurrence, skip and gate.
INLINE void scan_step(const DecodeArguments& a, const DecodeLayer& layer, Part part) {
  multiply(layer.dt_proj, a.projected, a.rank, part,
           [&](int64_t row, float value) { a.dt[row] = value + layer.dt_bias[row]; });
  for_each(part.last - part.first, [&](int64_t i, int lanes) {
    float* dt = a.dt + part.first + i;
    store(dt, softplus(load(dt, lanes)), lanes);
  });
  recur(a, layer, part);
  for_each(part.last - part.first, [&](int64_t i, int lanes) {
    const int64_t channel = part.first + i;
    const Vec z = load(a.z + channel, lanes);
    const Vec y = fused(load(layer.D + channel, lanes), load(a.x + channel, lanes), load(a.y + channel, lanes));
    store(a.y + channel, y * z * sigmoid(z), lanes);
  });
}

// Every thread makes the whole row for itself: it is short, and a barrier is not free.
INLINE void norm_residual(const DecodeArguments& a, const float* weight, float* normed) {
  const Vec squares = sum_over(a.width, [&](int64_t i, int lanes) {
    const Vec v = load(a.residual + i, lanes);
    return v * v;
  });
  const float scale = 1.0f / std::sqrt(sum(squares) / a.width + a.eps);
  for_each(a.width, [&](int64_t i, int lanes) {
    store(normed + i, load(a.residual + i, lanes) * scale * load(weight + i, lanes), lanes);
  });
}

INLINE float bias_of(const float* bias, int64_t row) { return bias ? bias[row] : 0.0f; }

// One layer; `normed` is this thread's own. The residual is whole before and after.
void decode_layer(const DecodeArguments& a, const DecodeLayer& layer, int thread, int threads, float* normed) {
  const Part channels = part_of(a.channels, thread, threads);
  norm_residual(a, layer.norm, normed);
  multiply(layer.in_proj, normed, a.width, channels,
           [&](int64_t row, float value) { a.x[row] = value + bias_of(layer.in_bias, row); });
  multiply(layer.in_proj + a.channels * a.width, normed, a.width, channels, [&](int64_t row, float value) {
    a.z[row] = value + bias_of(layer.in_bias, a.channels + row);
  });
  convolve(a, layer, channels);
#pragma omp barrier
  multiply(layer.x_proj, a.x, a.channels, part_of(a.rank + 2 * a.states, thread, threads),
           [&](int64_t row, float value) { a.projected[row] = value; });
#pragma omp barrier
  scan_step(a, layer, channels);
#pragma omp barrier
  multiply(layer.out_proj, a.y, a.channels, part_of(a.width, thread, threads), [&](int64_t row, float value) {
    a.residual[row] += value + bias_of(layer.out_bias, row);
  });
#pragma omp barrier
}

// Below this many bytes of weights one thread is done before others are through the barriers: four a layer.
constexpr int64_t ALONE = 4 << 20;

INLINE int64_t weight_bytes(const DecodeArguments& a) {
  const int64_t projected = a.rank + 2 * a.states;
  const int64_t layer = a.channels * (3 * a.width + projected + a.rank + a.states + a.taps);
  return sizeof(float) * (a.depth * layer + a.vocabulary * a.width);
}

void decode_step(const DecodeArguments& a) {
  for_each(a.width, [&](int64_t i, int lanes) {
    store(a.residual + i, load(a.embeddings + a.token * a.width + i, lanes), lanes);
  });
#pragma omp parallel if (weight_bytes(a) > ALONE)
  {
    const FlushDenormals flush;
    const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    const std::unique_ptr<float[]> normed(new float[a.width]);
    for (int64_t layer = 0; layer < a.depth; ++layer)
      decode_layer(a, a.layers[layer], thread, threads, normed.get());
    norm_residual(a, a.norm, normed.get());
    multiply(a.head, normed.get(), a.width, part_of(a.vocabulary, thread, threads),
             [&](int64_t row, float value) { a.logits[row] = value; });
  }
}

}  // namespace BHASA_ISA
