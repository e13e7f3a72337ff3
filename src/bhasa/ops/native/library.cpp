// What Python calls: each kernel under its name, in the best version that this processor runs.
#include <cstring>

#include "kernels.h"

#ifndef BHASA_SOURCES
#error "compile with -DBHASA_SOURCES, the digest that `sources.py` computes"
#endif

namespace {

struct Version {
  const char* name;
  const Kernels& kernels;
  bool runs;
};

const Version* versions(int* count) {
#if defined(BHASA_X86)
  static const Version all[] = {
      {"avx512", avx512_kernels,
       __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")},
      {"avx2", avx2_kernels, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
      {"portable", portable_kernels, true},
  };
#else
  static const Version all[] = {{"portable", portable_kernels, true}};
#endif
  *count = sizeof all / sizeof *all;
  return all;
}

const Version* chosen = nullptr;

}  // namespace

#define PUBLIC extern "C" __attribute__((visibility("default")))

// Choose a version by name, or the best one for an empty name. Returns its name, or null if there is none.
PUBLIC const char* bhasa_choose(const char* name) {
  int count;
  const Version* all = versions(&count);
  for (int i = 0; i < count; ++i)
    if (all[i].runs && (!*name || !std::strcmp(name, all[i].name))) return (chosen = all + i)->name;
  return nullptr;
}

// The version in use.
PUBLIC const char* bhasa_current() { return chosen ? chosen->name : nullptr; }

// The digest of the sources that this library was compiled from.
PUBLIC const char* bhasa_sources() { return BHASA_SOURCES; }

// The size of a structure of `arguments.h`, or 0 for an unknown name.
PUBLIC int64_t bhasa_size_of(const char* structure) {
#define SIZE_OF(name) \
  if (!std::strcmp(structure, #name)) return sizeof(name);
  SIZE_OF(Sequence)
  SIZE_OF(ScanArguments)
  SIZE_OF(SsdArguments)
  SIZE_OF(ConvArguments)
  SIZE_OF(NormArguments)
  SIZE_OF(SoftmaxArguments)
  SIZE_OF(DecodeNorm)
  SIZE_OF(DecodeMamba)
  SIZE_OF(DecodeMamba2)
  SIZE_OF(DecodeAttention)
  SIZE_OF(DecodeMlp)
  SIZE_OF(DecodeLayer)
  SIZE_OF(DecodeArguments)
  return 0;
}

#define KERNEL(name, Arguments) \
  PUBLIC void bhasa_##name(const Arguments* arguments) { chosen->kernels.name(*arguments); }
KERNEL(scan_forward, ScanArguments)
KERNEL(scan_backward, ScanArguments)
KERNEL(ssd_forward, SsdArguments)
KERNEL(ssd_backward, SsdArguments)
KERNEL(conv_forward, ConvArguments)
KERNEL(conv_backward, ConvArguments)
KERNEL(rms_norm_forward, NormArguments)
KERNEL(rms_norm_backward, NormArguments)
KERNEL(softmax_gather, SoftmaxArguments)
KERNEL(softmax_gradient, SoftmaxArguments)
KERNEL(decode_step, DecodeArguments)
