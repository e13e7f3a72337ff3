// One token through attention with a cache of its own.
//
// A unit of work is a block of columns of the cache and the queries that share its keys: so a long text keeps
// every thread busy, and its keys and values are read once. Each block has a softmax of its own; they are put
// together as in Flash-Decoding (Dao et al. 2023), in the order of blocks, which are counted from the first
// column that is seen.
#pragma once

#include "decode_rows.h"

namespace BHASA_ISA {

// The columns that a token sees, with itself the last; -slope times the distance is added to a score.
struct Seen {
  int64_t first, count, blocks;

  explicit Seen(const DecodeAttention& m) {
    count = (m.past < *m.length ? m.past : *m.length) + 1;
    first = m.column + 1 - count;
    blocks = (count + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK;
  }
};

// A block's sum of values, weighted by exp(score - largest), and after it `largest` and the weights' sum.
INLINE float* partial_of(const DecodeAttention& m, const Seen& seen, int64_t head, int64_t block) {
  return m.partial + (head * seen.blocks + block) * (m.head_width + 2);
}

// Cosines (head_width / 2), then sines of the token's angles: RoFormer (Su et al. 2021), eq. 15.
INLINE void turn(const DecodeAttention& m, float* angles) {
  const int64_t half = m.head_width / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float angle = static_cast<float>(*m.length) * m.frequency[i];
    angles[i] = std::cos(angle);
    angles[half + i] = std::sin(angle);
  }
}

// Numbers i of a head as real and half + i as imaginary parts, turned by angle i.
INLINE void rotate(float* head, const float* angles, int64_t half, Part part) {
  for_each(part.last - part.first, [&](int64_t k, int lanes) {
    const int64_t i = part.first + k;
    const Vec real = load(head + i, lanes), imaginary = load(head + half + i, lanes);
    const Vec cosine = load(angles + i, lanes), sine = load(angles + half + i, lanes);
    store(head + i, fused(real, cosine, -(imaginary * sine)), lanes);
    store(head + half + i, fused(imaginary, cosine, real * sine), lanes);
  });
}

// Queries, or keys, to place(head). A thread has both numbers of a pair that is turned together.
template <typename F>
INLINE void project_heads(const DecodeAttention& m, const float* weight, const float* bias, int64_t heads,
                          const float* angles, const Worker& worker, F place) {
  const int64_t half = m.head_width / 2;
  by_heads(worker.part(heads * half), half, [&](int64_t head, Part part) {
    for (int64_t first = head * m.head_width, k = 0; k < 2; ++k, first += half)
      project(weight + first * worker.width, bias ? bias + first : nullptr, worker.own, worker.width, part,
              place(head) + k * half);
    if (m.frequency) rotate(place(head), angles, half, part);
  });
}

INLINE void project_all(const DecodeAttention& m, const Worker& worker) {
  float* angles = worker.own + worker.width;
  if (m.frequency) turn(m, angles);
  const auto column_of = [&](float* cache, int64_t head) {
    return cache + (head * m.capacity + m.column) * m.head_width;
  };
  project_heads(m, m.q_proj, m.q_bias, m.heads, angles, worker,
                [&](int64_t head) { return m.q + head * m.head_width; });
  project_heads(m, m.k_proj, m.k_bias, m.kv_heads, angles, worker,
                [&](int64_t head) { return column_of(m.keys, head); });
  multiply(m.v_proj, worker.own, worker.width, worker.part(m.kv_heads * m.head_width),
           [&](int64_t row, float value) {
             column_of(m.values, row / m.head_width)[row % m.head_width] = value + bias_of(m.v_bias, row);
           });
}

// Scores to exp(score - largest); returns the largest and their sum.
INLINE void weigh(float* scores, int64_t count, float* most, float* total) {
  *most = scores[0];
  for (int64_t i = 1; i < count; ++i) *most = std::fmax(*most, scores[i]);
  for_each(count, [&](int64_t i, int lanes) {
    store(scores + i, exponential(load(scores + i, lanes) - *most), lanes);
  });
  *total = sum(sum_over(count, [&](int64_t i, int lanes) { return load(scores + i, lanes); }));
}

// One head's query and one block of columns, whose first is `keys` and `values`; `distance` is that column's.
INLINE void attend(const DecodeAttention& m, int64_t head, const float* keys, const float* values,
                   int64_t count, int64_t distance, float* partial) {
  float scores[ATTENTION_BLOCK];
  const float scale = 1.0f / std::sqrt(static_cast<float>(m.head_width));
  const float slope = m.slopes ? m.slopes[head] : 0.0f;
  multiply(keys, m.q + head * m.head_width, m.head_width, {0, count},
           [&](int64_t i, float product) { scores[i] = product * scale - slope * (distance - i); });
  weigh(scores, count, partial + m.head_width, partial + m.head_width + 1);
  for_each(m.head_width, [&](int64_t i, int lanes) {
    Vec total[4]{};
    for (int64_t column = 0; column < count; ++column) {
      Vec& part = total[column % 4];
      part = fused(splat(scores[column]), load(values + column * m.head_width + i, lanes), part);
    }
    store(partial + i, (total[0] + total[1]) + (total[2] + total[3]), lanes);
  });
}

INLINE void attend_all(const DecodeAttention& m, const Seen& seen, const Worker& worker) {
  const int64_t units = m.kv_heads * seen.blocks, sharing = m.heads / m.kv_heads;
  const int64_t end = units * (worker.thread + 1) / worker.threads;
  for (int64_t unit = units * worker.thread / worker.threads; unit < end; ++unit) {
    const int64_t group = unit / seen.blocks, block = unit % seen.blocks, first = block * ATTENTION_BLOCK;
    const int64_t count = seen.count - first < ATTENTION_BLOCK ? seen.count - first : ATTENTION_BLOCK;
    const int64_t place = (group * m.capacity + seen.first + first) * m.head_width;
    for (int64_t head = group * sharing; head < (group + 1) * sharing; ++head)
      attend(m, head, m.keys + place, m.values + place, count, seen.count - 1 - first,
             partial_of(m, seen, head, block));
  }
}

// The blocks of one head put together.
INLINE void combine(const DecodeAttention& m, const Seen& seen, int64_t head, float* to) {
  float most = -INFINITY, total = 0.0f;
  for (int64_t block = 0; block < seen.blocks; ++block)
    most = std::fmax(most, partial_of(m, seen, head, block)[m.head_width]);
  for_each(m.head_width, [&](int64_t i, int lanes) { store(to + i, Vec{}, lanes); });
  for (int64_t block = 0; block < seen.blocks; ++block) {
    const float* partial = partial_of(m, seen, head, block);
    const float share = std::exp(partial[m.head_width] - most);
    total += share * partial[m.head_width + 1];
    for_each(m.head_width, [&](int64_t i, int lanes) {
      store(to + i, fused(splat(share), load(partial + i, lanes), load(to + i, lanes)), lanes);
    });
  }
  for_each(m.head_width, [&](int64_t i, int lanes) { store(to + i, load(to + i, lanes) / total, lanes); });
}

INLINE void mix(const DecodeAttention& m, const Worker& worker) {
  const Seen seen(m);
  project_all(m, worker);
#pragma omp barrier
  attend_all(m, seen, worker);
#pragma omp barrier
  for (int64_t head = 0; head < m.heads; ++head) combine(m, seen, head, worker.own + head * m.head_width);
  if (worker.thread == 0) ++*m.length;
  add_to_residual(m.o_proj, m.o_bias, worker.own, m.heads * m.head_width, worker);
}

}  // namespace BHASA_ISA
