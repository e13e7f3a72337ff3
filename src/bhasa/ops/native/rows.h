// Operations on the rows of a matrix: RMSNorm with its backward, and softmax cross-entropy.
//
// Work is split over blocks of ROW_BLOCK rows. What is summed over rows (the gradient of RMSNorm's weight) is
// summed per block and added by the caller in the order of blocks.
#pragma once

#include <cmath>

#include "arguments.h"
#include "vector.h"

namespace BHASA_ISA {

// Sum over a row of f(place, lanes); four sums side by side, so that additions need not wait.
template <typename F>
INLINE Vec sum_over(int64_t width, F f) {
  Vec part[4]{};
  int64_t i = 0;
  for (; i + 4 * LANES <= width; i += 4 * LANES)
    for (int k = 0; k < 4; ++k) part[k] += f(i + k * LANES, LANES);
  for (; i < width; i += LANES) part[0] += f(i, width - i < LANES ? static_cast<int>(width - i) : LANES);
  return (part[0] + part[1]) + (part[2] + part[3]);
}

template <typename F>
INLINE void for_each(int64_t width, F f) {
  int64_t i = 0;
  for (; i + LANES <= width; i += LANES) f(i, LANES);
  if (i < width) f(i, static_cast<int>(width - i));
}

template <typename F>
void for_row_blocks(int64_t rows, F f) {
  const int64_t blocks = (rows + ROW_BLOCK - 1) / ROW_BLOCK;
#pragma omp parallel for schedule(static)
  for (int64_t block = 0; block < blocks; ++block) {
    const FlushDenormals flush;
    const int64_t first = block * ROW_BLOCK;
    f(block, first, first + ROW_BLOCK < rows ? first + ROW_BLOCK : rows);
  }
}

// What one group of a row is normalised from: x, or x silu(z).
struct NormInput {
  const float *x, *z;

  MEMBER_INLINE NormInput(const NormArguments& a, int64_t row, int64_t group)
      : x(a.x + (row * a.groups + group) * a.width),
        z(a.z ? a.z + row * a.z_stride + group * a.width : nullptr) {}
  MEMBER_INLINE Vec operator()(int64_t i, int lanes) const {
    const Vec v = load(x + i, lanes);
    if (!z) return v;
    const Vec gate = load(z + i, lanes);
    return v * gate * sigmoid(gate);
  }
};

// y = v weight / sqrt(mean(v^2) + eps), v being the input; keeps the reciprocal root of each group.
void rms_norm_forward(const NormArguments& a) {
  for_row_blocks(a.rows, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t unit = first * a.groups; unit < last * a.groups; ++unit) {
      const NormInput input(a, unit / a.groups, unit % a.groups);
      const float* weight = a.weight + unit % a.groups * a.width;
      float* y = a.y + unit * a.width;
      const Vec squares = sum_over(a.width, [&](int64_t i, int lanes) {
        const Vec v = input(i, lanes);
        store(y + i, v, lanes);
        return v * v;
      });
      const float scale = a.scale[unit] = 1.0f / std::sqrt(sum(squares) / a.width + a.eps);
      for_each(a.width, [&](int64_t i, int lanes) {
        store(y + i, load(y + i, lanes) * scale * load(weight + i, lanes), lanes);
      });
    }
  });
}

// With n = v scale: dv = scale (dy weight - n mean(dy weight n)), dweight = sum over rows of dy n; and with
// v = x silu(z): dx = dv silu(z), dz = dv x silu'(z).
void rms_norm_backward(const NormArguments& a) {
  for_row_blocks(a.rows, [&](int64_t block, int64_t first, int64_t last) {
    float* dweights = a.dweight + block * a.groups * a.width;
    for_each(a.groups * a.width, [&](int64_t i, int lanes) { store(dweights + i, Vec{}, lanes); });
    for (int64_t unit = first * a.groups; unit < last * a.groups; ++unit) {
      const NormInput input(a, unit / a.groups, unit % a.groups);
      const int64_t column = unit % a.groups * a.width;
      const float *weight = a.weight + column, *dy = a.y + unit * a.width, scale = a.scale[unit];
      float *dx = a.dx + unit * a.width, *dweight = dweights + column;
      const float mean = sum(sum_over(a.width, [&](int64_t i, int lanes) {
                           const Vec v = input(i, lanes);
                           store(dx + i, v, lanes);  // until it is overwritten
                           return load(dy + i, lanes) * load(weight + i, lanes) * v;
                         })) * scale / a.width;
      for_each(a.width, [&](int64_t i, int lanes) {
        const Vec normed = load(dx + i, lanes) * scale, d = load(dy + i, lanes);
        const Vec dv = (d * load(weight + i, lanes) - normed * mean) * scale;
        store(dweight + i, load(dweight + i, lanes) + d * normed, lanes);
        if (!input.z) return store(dx + i, dv, lanes);
        const Vec z = load(input.z + i, lanes), open = sigmoid(z);
        store(dx + i, dv * z * open, lanes);
        store(a.dz + unit * a.width + i, dv * load(input.x + i, lanes) * (open + z * open * (1.0f - open)), lanes);
      });
    }
  });
}

// One block of columns of the logits: brings the row's largest logit and sum of exponentials up to date,
// and picks the target's logit if it lies here.
void softmax_gather(const SoftmaxArguments& a) {
  for_row_blocks(a.rows, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const float* logits = a.logits + row * a.columns;
      Vec most = splat(-INFINITY);
      for_each(a.columns, [&](int64_t i, int lanes) {
        Vec v = load(logits + i, lanes);
        for (int lane = lanes; lane < LANES; ++lane) v[lane] = -INFINITY;
        most = maximum(most, v);
      });
      const float before = a.largest[row], now = std::fmax(before, largest(most));
      const Vec exponentials = sum_over(a.columns, [&](int64_t i, int lanes) {
        Vec e = exponential(load(logits + i, lanes) - now);
        for (int lane = lanes; lane < LANES; ++lane) e[lane] = 0.0f;
        return e;
      });
      a.total[row] = a.total[row] * std::exp(before - now) + sum(exponentials);
      a.largest[row] = now;
      const int64_t target = a.targets[row] - a.first_column;
      if (target >= 0 && target < a.columns) a.target_logit[row] = logits[target];
    }
  });
}

// Logits to the gradient of the loss, in place: softmax less one at the target; zero where nothing is asked.
void softmax_gradient(const SoftmaxArguments& a) {
  for_row_blocks(a.rows, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      float* logits = a.logits + row * a.columns;
      const float now = a.largest[row], share = a.targets[row] < 0 ? 0.0f : 1.0f / a.total[row];
      for_each(a.columns, [&](int64_t i, int lanes) {
        store(logits + i, exponential(load(logits + i, lanes) - now) * share, lanes);
      });
      const int64_t target = a.targets[row] - a.first_column;
      if (target >= 0 && target < a.columns) logits[target] -= 1.0f;
    }
  });
}

}  // namespace BHASA_ISA
