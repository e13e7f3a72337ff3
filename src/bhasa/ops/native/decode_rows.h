// What the layers of a decoding step share: who computes which rows, and operations on rows.
//
// Every thread reads its own rows of each matrix. A row's product is summed by one thread in an order of its
// own, whatever rows are computed beside it, so any number of threads gives the same bits.
#pragma once

#include <cmath>
#include <type_traits>

#include "arguments.h"
#include "rows.h"
#include "vector.h"

namespace BHASA_ISA {

// Rows [first, last) of a matrix, or channels: what one thread computes.
struct Part {
  int64_t first, last;
};

// One of the threads that compute a step together. A mixer finds its normed input at the start of `own` and
// adds to the residual, which is whole before and after it.
struct Worker {
  int64_t thread, threads;
  int64_t width;                  // of the residual
  float* residual;                // everybody's
  float* own;                     // this thread's alone

  // Whole cache lines of results for each thread.
  MEMBER_INLINE Part part(int64_t rows) const {
    const int64_t groups = (rows + MAX_LANES - 1) / MAX_LANES;
    const int64_t last = groups * (thread + 1) / threads * MAX_LANES;
    return {groups * thread / threads * MAX_LANES, last < rows ? last : rows};
  }
};

// Calls f(row, count) with the rows of a part, by fours while there are four: sums side by side hide the
// time that each addition takes.
template <typename F>
INLINE void by_fours(Part part, F f) {
  int64_t row = part.first;
  for (; row + 4 <= part.last; row += 4) f(row, std::integral_constant<int, 4>{});
  for (; row < part.last; ++row) f(row, std::integral_constant<int, 1>{});
}

// Calls f(head, its rows of the part) where every `size` rows are a head; those count from its first one.
template <typename F>
INLINE void by_heads(Part part, int64_t size, F f) {
  for (int64_t row = part.first; row < part.last;) {
    const int64_t head = row / size, end = (head + 1) * size < part.last ? (head + 1) * size : part.last;
    f(head, Part{row - head * size, end - head * size});
    row = end;
  }
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

INLINE float bias_of(const float* bias, int64_t row) { return bias ? bias[row] : 0.0f; }

// to = weight x + bias. One function for all matrices: by itself its loops have all registers, and rows are
// so short that adding a bias of nothing would be felt.
static __attribute__((noinline)) void project(const float* weight, const float* bias, const float* x,
                                              int64_t width, Part part, float* to) {
  if (bias) multiply(weight, x, width, part, [&](int64_t row, float value) { to[row] = value + bias[row]; });
  else multiply(weight, x, width, part, [&](int64_t row, float value) { to[row] = value; });
}

// What a mixer ends with: its output projection onto the residual.
INLINE void add_to_residual(const float* weight, const float* bias, const float* x, int64_t width,
                            const Worker& worker) {
  multiply(weight, x, width, worker.part(worker.width),
           [&](int64_t row, float value) { worker.residual[row] += value + bias_of(bias, row); });
#pragma omp barrier
}

// to = x weight / sqrt(mean(x^2) + eps).
INLINE void rms_normed(const DecodeNorm& norm, const float* x, const float* weight, int64_t width,
                       float* to) {
  const Vec squares = sum_over(width, [&](int64_t i, int lanes) {
    const Vec v = load(x + i, lanes);
    return v * v;
  });
  const float scale = 1.0f / std::sqrt(sum(squares) / width + norm.eps);
  for_each(width, [&](int64_t i, int lanes) {
    store(to + i, load(x + i, lanes) * scale * load(weight + i, lanes), lanes);
  });
}

INLINE void layer_normed(const DecodeNorm& norm, const float* x, int64_t width, float* to) {
  const float mean = sum(sum_over(width, [&](int64_t i, int lanes) { return load(x + i, lanes); })) / width;
  for_each(width, [&](int64_t i, int lanes) { store(to + i, load(x + i, lanes) - mean, lanes); });
  const Vec squares = sum_over(width, [&](int64_t i, int lanes) {
    const Vec v = load(to + i, lanes);
    return v * v;
  });
  const float scale = 1.0f / std::sqrt(sum(squares) / width + norm.eps);
  for_each(width, [&](int64_t i, int lanes) {
    const Vec weight = load(norm.weight + i, lanes), bias = load(norm.bias + i, lanes);
    store(to + i, fused(load(to + i, lanes) * scale, weight, bias), lanes);
  });
}

// Every thread makes the whole row for itself: it is short, and a barrier is not free.
INLINE void norm_residual(const DecodeNorm& norm, const Worker& worker) {
  if (norm.bias) layer_normed(norm, worker.residual, worker.width, worker.own);
  else rms_normed(norm, worker.residual, norm.weight, worker.width, worker.own);
}

// Shifts the input x of a convolution into the state (channels, taps - 1); the new x is the output.
INLINE void convolve(const float* weights, const float* bias, float* states, int64_t taps, float* inputs,
                     Part part) {
  const int64_t past = taps - 1;
  for (int64_t channel = part.first; channel < part.last; ++channel) {
    const float* weight = weights + channel * taps;
    float* state = states + channel * past;
    const float now = inputs[channel];
    float total = bias_of(bias, channel);
    for (int64_t tap = 0; tap < past; ++tap) {
      total += weight[tap] * state[tap];
      state[tap] = tap + 1 < past ? state[tap + 1] : now;
    }
    inputs[channel] = total + weight[past] * now;
  }
  for_each(part.last - part.first, [&](int64_t i, int lanes) {
    float* x = inputs + part.first + i;
    const Vec v = load(x, lanes);
    store(x, v * sigmoid(v), lanes);
  });
}

}  // namespace BHASA_ISA
