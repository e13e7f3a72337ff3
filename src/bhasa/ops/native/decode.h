// One token through a whole model, one text at a time: token id in, logits out, the state changed in place.
//
// At this size a step is bound by how fast weights can be read, so it is one parallel region in which every
// thread reads its own rows of each matrix from the first to the last; between phases that need each other's
// results there is a barrier.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include "decode_attention.h"
#include "decode_mamba.h"
#include "decode_mamba2.h"
#include "decode_mlp.h"
#include "decode_rows.h"
#include "products.h"

namespace BHASA_ISA {

template <typename Mixer>
void mix_as(const void* mixer, const Worker& worker) {
  mix(*static_cast<const Mixer*>(mixer), worker);
}

INLINE void decode_layer(const DecodeLayer& layer, const Worker& worker) {
  norm_residual(layer.norm, worker);
  switch (layer.kind) {
    case DECODE_MAMBA: mix_as<DecodeMamba>(layer.mixer, worker); break;
    case DECODE_MAMBA2: mix_as<DecodeMamba2>(layer.mixer, worker); break;
    case DECODE_ATTENTION: mix_as<DecodeAttention>(layer.mixer, worker); break;
    case DECODE_MLP: mix_as<DecodeMlp>(layer.mixer, worker); break;
  }
  if (layer.mlp) {
    norm_residual(layer.mlp_norm, worker);
    mix_as<DecodeMlp>(layer.mlp, worker);
  }
}

// Below this many bytes one thread is done before others are through the barriers: two to four a layer.
constexpr int64_t ALONE = 4 << 20;

INLINE int64_t bytes_read(const DecodeArguments& a) {
  int64_t bytes = a.weight_bytes;
  for (int64_t i = 0; i < a.depth; ++i)
    if (a.layers[i].kind == DECODE_ATTENTION) {
      const auto& m = *static_cast<const DecodeAttention*>(a.layers[i].mixer);
      bytes += 2 * sizeof(float) * m.kv_heads * m.past * m.head_width;
    }
  return bytes;
}

// This thread's number and how many there are; a build without OpenMP has one.
#ifdef _OPENMP
INLINE int thread_number() { return omp_get_thread_num(); }
INLINE int thread_count() { return omp_get_num_threads(); }
#else
INLINE int thread_number() { return 0; }
INLINE int thread_count() { return 1; }
#endif

void decode_step(const DecodeArguments& a) {
  for_each(a.width, [&](int64_t i, int lanes) {
    store(a.residual + i, load(a.embeddings + a.token * a.width + i, lanes), lanes);
  });
#pragma omp parallel if (bytes_read(a) > ALONE)
  {
    const FlushDenormals flush;
    const Scratch own(1, padded(a.own));
    const Worker worker{thread_number(), thread_count(), a.width, a.residual, own.data};
    for (int64_t layer = 0; layer < a.depth; ++layer) decode_layer(a.layers[layer], worker);
    norm_residual(a.norm, worker);
    project(a.head, nullptr, worker.own, a.width, worker.part(a.vocabulary), a.logits);
  }
}

}  // namespace BHASA_ISA
