// One token through a gated MLP.
#pragma once

#include "decode_rows.h"

namespace BHASA_ISA {

INLINE void mix(const DecodeMlp& m, const Worker& worker) {
  const Part inner = worker.part(m.inner);
  project(m.fc1, nullptr, worker.own, worker.width, inner, m.y);
  project(m.fc1 + m.inner * worker.width, nullptr, worker.own, worker.width, inner, m.gate);
  for_each(inner.last - inner.first, [&](int64_t i, int lanes) {
    const Vec gate = load(m.gate + inner.first + i, lanes);
    float* y = m.y + inner.first + i;
    store(y, load(y, lanes) * gate * sigmoid(gate), lanes);
  });
#pragma omp barrier
  add_to_residual(m.fc2, nullptr, m.y, m.inner, worker);
}

}  // namespace BHASA_ISA
