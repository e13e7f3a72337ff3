// One token through a Mamba-2 mixer.
#pragma once

#include "decode_rows.h"

namespace BHASA_ISA {

// Step sizes within their limits, and what each head's state is multiplied by.
INLINE void step_sizes(const DecodeMamba2& m, Part heads) {
  for_each(heads.last - heads.first, [&](int64_t i, int lanes) {
    const int64_t head = heads.first + i;
    const Vec raw = load(m.dt + head, lanes) + load(m.dt_bias + head, lanes);
    const Vec dt = minimum(splat(m.dt_max), maximum(splat(m.dt_min), softplus(raw)));
    store(m.dt + head, dt, lanes);
    store(m.decay + head, exponential(dt * load(m.A + head, lanes)), lanes);
  });
}

// One step of the recurrence of a head's channels, in which lanes are states, its skip and its gate.
INLINE void recur(const DecodeMamba2& m, int64_t head, Part part) {
  const int64_t group = head / (m.heads / m.groups), first = head * m.head_width;
  const float *B = m.x + m.heads * m.head_width + group * m.states, *C = B + m.groups * m.states;
  const Vec decay = splat(m.decay[head]);
  by_fours({first + part.first, first + part.last}, [&](int64_t channel, auto count) {
    constexpr int ROWS = count;
    Vec total[ROWS]{};
    for_each(m.states, [&](int64_t s, int lanes) {
      const Vec b = load(B + s, lanes), c = load(C + s, lanes);
#pragma GCC unroll 4
      for (int k = 0; k < ROWS; ++k) {
        float* state = m.ssm_state + (channel + k) * m.states + s;
        const Vec h = fused(decay, load(state, lanes), m.dt[head] * m.x[channel + k] * b);
        store(state, h, lanes);
        total[k] = fused(h, c, total[k]);
      }
    });
    sums<ROWS>(total, m.y + channel);
  });
}

// Skip and gate of a head's channels.
INLINE void gate(const DecodeMamba2& m, int64_t head, Part part) {
  const int64_t first = head * m.head_width + part.first;
  for_each(part.last - part.first, [&](int64_t i, int lanes) {
    const int64_t channel = first + i;
    const Vec z = load(m.z + channel, lanes);
    const Vec y = fused(splat(m.D[head]), load(m.x + channel, lanes), load(m.y + channel, lanes));
    store(m.y + channel, y * z * sigmoid(z), lanes);
  });
}

INLINE void mix(const DecodeMamba2& m, const Worker& worker) {
  const int64_t channels = m.heads * m.head_width, convolved = channels + 2 * m.groups * m.states;
  const Part heads = worker.part(m.heads), inputs = worker.part(convolved);
  const auto from = [&](int64_t first, Part part, float* to) {
    const float* bias = m.in_bias ? m.in_bias + first : nullptr;
    project(m.in_proj + first * worker.width, bias, worker.own, worker.width, part, to);
  };
  from(0, worker.part(channels), m.z);
  from(channels, inputs, m.x);
  from(channels + convolved, heads, m.dt);
  convolve(m.conv, m.conv_bias, m.conv_state, m.taps, m.x, inputs);
  step_sizes(m, heads);
#pragma omp barrier
  by_heads(worker.part(channels), m.head_width, [&](int64_t head, Part part) {
    recur(m, head, part);
    gate(m, head, part);
  });
#pragma omp barrier
  const int64_t group = channels / m.groups;
  for (int64_t first = 0; first < channels; first += group)
    rms_normed(m.norm, m.y + first, m.norm.weight + first, group, worker.own + first);
  add_to_residual(m.out_proj, m.out_bias, worker.own, channels, worker);
}

}  // namespace BHASA_ISA
