// One token through a Mamba-1 mixer.
#pragma once

#include "decode_rows.h"

namespace BHASA_ISA {

// One step of the recurrence, in which lanes are states: y = C h.
INLINE void recur(const DecodeMamba& m, Part part) {
  const float *B = m.projected + m.rank, *C = B + m.states;
  by_fours(part, [&](int64_t channel, auto count) {
    constexpr int ROWS = count;
    Vec total[ROWS]{};
    for_each(m.states, [&](int64_t s, int lanes) {
      const Vec b = load(B + s, lanes), c = load(C + s, lanes);
#pragma GCC unroll 4
      for (int k = 0; k < ROWS; ++k) {
        const int64_t place = (channel + k) * m.states + s;
        const float dt = m.dt[channel + k];
        const Vec A = load(m.A + place, lanes);
        Vec decay;
        exp2_products<1>(splat(dt * LOG2_E), &A, &decay);
        const Vec h = fused(decay, load(m.ssm_state + place, lanes), dt * m.x[channel + k] * b);
        store(m.ssm_state + place, h, lanes);
        total[k] = fused(h, c, total[k]);
      }
    });
    sums<ROWS>(total, m.y + channel);
  });
}

// Step sizes, recurrence, skip and gate.
INLINE void scan_step(const DecodeMamba& m, Part part) {
  project(m.dt_proj, m.dt_bias, m.projected, m.rank, part, m.dt);
  for_each(part.last - part.first, [&](int64_t i, int lanes) {
    float* dt = m.dt + part.first + i;
    store(dt, softplus(load(dt, lanes)), lanes);
  });
  recur(m, part);
  for_each(part.last - part.first, [&](int64_t i, int lanes) {
    const int64_t channel = part.first + i;
    const Vec z = load(m.z + channel, lanes);
    const Vec y = fused(load(m.D + channel, lanes), load(m.x + channel, lanes), load(m.y + channel, lanes));
    store(m.y + channel, y * z * sigmoid(z), lanes);
  });
}

INLINE void mix(const DecodeMamba& m, const Worker& worker) {
  const Part channels = worker.part(m.channels);
  const float* z_bias = m.in_bias ? m.in_bias + m.channels : nullptr;
  project(m.in_proj, m.in_bias, worker.own, worker.width, channels, m.x);
  project(m.in_proj + m.channels * worker.width, z_bias, worker.own, worker.width, channels, m.z);
  convolve(m.conv, m.conv_bias, m.conv_state, m.taps, m.x, channels);
#pragma omp barrier
  project(m.x_proj, nullptr, m.x, m.channels, worker.part(m.rank + 2 * m.states), m.projected);
#pragma omp barrier
  scan_step(m, channels);
#pragma omp barrier
  add_to_residual(m.out_proj, m.out_bias, m.y, m.channels, worker);
}

}  // namespace BHASA_ISA
