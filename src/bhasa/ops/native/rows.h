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

// y = x weight / sqrt(mean(x^2) + eps); keeps the reciprocal root of each row.
void rms_norm_forward(const NormArguments& a) {
  for_row_blocks(a.rows, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const float* x = a.x + row * a.width;
      float* y = a.y + row * a.width;
      const Vec squares = sum_over(a.width, [&](int64_t i, int lanes) {
        const Vec v = load(x + i, lanes);
        return v * v;
      });
      const float scale = 1.0f / std::sqrt(sum(squares) / a.width + a.eps);
      a.scale[row] = scale;
      for_each(a.width, [&](int64_t i, int lanes) {
        store(y + i, load(x + i, lanes) * scale * load(a.weight + i, lanes), lanes);
      });
    }
  });
}

// With n = x scale: dx = scale (dy weight - n mean(dy weight n)), dweight = sum over rows of dy n.
void rms_norm_backward(const NormArguments& a) {
  for_row_blocks(a.rows, [&](int64_t block, int64_t first, int64_t last) {
    float* dweight = a.dweight + block * a.width;
    for_each(a.width, [&](int64_t i, int lanes) { store(dweight + i, Vec{}, lanes); });
    for (int64_t row = first; row < last; ++row) {
      const float *x = a.x + row * a.width, *dy = a.y + row * a.width, scale = a.scale[row];
      float* dx = a.dx + row * a.width;
      const float mean = sum(sum_over(a.width, [&](int64_t i, int lanes) {
                           return load(dy + i, lanes) * load(a.weight + i, lanes) * load(x + i, lanes);
                         })) * scale / a.width;
      for_each(a.width, [&](int64_t i, int lanes) {
        const Vec normed = load(x + i, lanes) * scale, d = load(dy + i, lanes);
        store(dx + i, (d * load(a.weight + i, lanes) - normed * mean) * scale, lanes);
        store(dweight + i, load(dweight + i, lanes) + d * normed, lanes);
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
