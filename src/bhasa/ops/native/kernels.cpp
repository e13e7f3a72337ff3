// Every kernel, for one instruction set: compiled once for each, with BHASA_ISA as its name.
#include "kernels.h"

#include "conv.h"
#include "decode.h"
#include "rows.h"
#include "scan_backward.h"
#include "ssd.h"

#define KERNELS_(isa) isa##_kernels
#define KERNELS(isa) KERNELS_(isa)

extern const Kernels KERNELS(BHASA_ISA) = {
    BHASA_ISA::LANES,
    BHASA_ISA::scan_forward,
    BHASA_ISA::scan_backward,
    BHASA_ISA::ssd_forward,
    BHASA_ISA::ssd_backward,
    BHASA_ISA::conv_forward,
    BHASA_ISA::conv_backward,
    BHASA_ISA::rms_norm_forward,
    BHASA_ISA::rms_norm_backward,
    BHASA_ISA::softmax_gather,
    BHASA_ISA::softmax_gradient,
    BHASA_ISA::decode_step,
};
