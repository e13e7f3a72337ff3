// What Python calls: each kernel under its name, in the best version that this processor runs.
#include <cstring>

#include "kernels.h"

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
