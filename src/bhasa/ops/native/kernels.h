// The table of kernels that each instruction set fills.
#pragma once

#include "arguments.h"

struct Kernels {
  int lanes;
  void (*scan_forward)(const ScanArguments&);
  void (*scan_backward)(const ScanArguments&);
  void (*ssd_forward)(const SsdArguments&);
  void (*ssd_backward)(const SsdArguments&);
  void (*conv_forward)(const ConvArguments&);
  void (*conv_backward)(const ConvArguments&);
  void (*rms_norm_forward)(const NormArguments&);
  void (*rms_norm_backward)(const NormArguments&);
  void (*softmax_gather)(const SoftmaxArguments&);
  void (*softmax_gradient)(const SoftmaxArguments&);
  void (*decode_step)(const DecodeArguments&);
};

extern const Kernels portable_kernels;
#if defined(BHASA_X86)
extern const Kernels avx2_kernels, avx512_kernels;
#endif
