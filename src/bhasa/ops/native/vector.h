// A vector of floats and the functions of it that the kernels need, for the instruction set that this
// translation unit is compiled for. Arithmetic is the compiler's own on vector types, so the portable
// version becomes NEON or SSE by itself; only rounding and scaling by powers of two are worth intrinsics.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 takes its own undefined vectors for a mistake
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace BHASA_ISA {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef int32_t IntVec __attribute__((vector_size(4 * LANES)));
typedef float Unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define MEMBER_INLINE inline __attribute__((always_inline))

INLINE Vec splat(float value) { return value - Vec{}; }
INLINE Vec load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
INLINE void store(float* to, Vec value) { *reinterpret_cast<Unaligned*>(to) = value; }

// The first `lanes` floats; the others are zero.
INLINE Vec load(const float* from, int lanes) {
  if (lanes == LANES) return load(from);
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps((1 << lanes) - 1, from);
#else
  Vec value{};
  for (int i = 0; i < lanes; ++i) value[i] = from[i];
  return value;
#endif
}

INLINE void store(float* to, Vec value, int lanes) {
  if (lanes == LANES) return store(to, value);
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(to, (1 << lanes) - 1, value);
#else
  for (int i = 0; i < lanes; ++i) to[i] = value[i];
#endif
}

INLINE void add(float* to, Vec value, int lanes) { store(to, load(to, lanes) + value, lanes); }

// If either is NaN the second is the result, so a clamped value comes second and stays NaN.
#if defined(__AVX512F__)
INLINE Vec maximum(Vec a, Vec b) { return _mm512_max_ps(a, b); }
INLINE Vec minimum(Vec a, Vec b) { return _mm512_min_ps(a, b); }
#elif defined(__AVX2__)
INLINE Vec maximum(Vec a, Vec b) { return _mm256_max_ps(a, b); }
INLINE Vec minimum(Vec a, Vec b) { return _mm256_min_ps(a, b); }
#else
INLINE Vec maximum(Vec a, Vec b) { return a > b ? a : b; }
INLINE Vec minimum(Vec a, Vec b) { return a < b ? a : b; }
#endif
INLINE IntVec bits(Vec value) { return reinterpret_cast<IntVec>(value); }
INLINE Vec from_bits(IntVec value) { return reinterpret_cast<Vec>(value); }

// Lanes are added in a fixed order: halves down to four, then those.
typedef float Four __attribute__((vector_size(16)));
INLINE Four sum_to_four(Vec value) {
  Four part[LANES / 4];
  std::memcpy(part, &value, sizeof part);
  for (int width = LANES / 8; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) part[i] += part[i + width];
  return part[0];
}

INLINE float sum(Vec value) {
  const Four part = sum_to_four(value);
  return (part[0] + part[2]) + (part[1] + part[3]);
}

// The sums of ROWS vectors, one or four, each the same as by itself.
template <int ROWS>
INLINE void sums(const Vec* values, float* to) {
  if (ROWS == 1) {
    to[0] = sum(values[0]);
    return;
  }
  Four part[4], pairs[2];
  for (int k = 0; k < 4; ++k) part[k] = sum_to_four(values[k]);
  for (int k = 0; k < 2; ++k)
    pairs[k] = __builtin_shufflevector(part[2 * k], part[2 * k + 1], 0, 4, 1, 5) +
               __builtin_shufflevector(part[2 * k], part[2 * k + 1], 2, 6, 3, 7);
  const Four result = __builtin_shufflevector(pairs[0], pairs[1], 0, 1, 4, 5) +
                      __builtin_shufflevector(pairs[0], pairs[1], 2, 3, 6, 7);
  std::memcpy(to, &result, sizeof result);
}

INLINE float largest(Vec value) {
  float result = value[0];
  for (int i = 1; i < LANES; ++i) result = value[i] > result ? value[i] : result;
  return result;
}

// a b + c, rounded once where the machine can.
INLINE Vec fused(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

// Round to the nearest whole number.
INLINE Vec nearest(Vec value) {
#if defined(__AVX512F__)
  return _mm512_roundscale_ps(value, 0);
#elif defined(__AVX2__)
  return _mm256_round_ps(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const Vec big = splat(12582912.0f);  // 1.5 * 2^23: what is added below it is rounded away
  const Vec rounded = (value + big) - big;
  const Vec size = value < 0.0f ? -value : value;
  return size < 4194304.0f ? rounded : value;
#endif
}

// value * 2^whole for value near 1 and whole numbers <= 127; what is too small becomes about zero.
INLINE Vec scale(Vec value, Vec whole) {
#if defined(__AVX512F__)
  return _mm512_scalef_ps(value, whole);
#else
  const IntVec exponent = __builtin_convertvector(maximum(splat(-126.0f), whole), IntVec);
  return from_bits(bits(value) + (exponent << 23));
#endif
}

constexpr float LOG2_E = 1.44269504088896341f;

// 2^f for |f| <= 1/2, K vectors in step with each other: a processor can only look a few instructions ahead,
// so chains of dependent ones must stand side by side. A minimax polynomial whose constant is exactly 1, so
// that a tiny step decays exactly; its relative error is below 2e-9, far under the rounding of the result.
template <int K>
INLINE void exp2_fraction(const Vec* f, Vec* p) {
  constexpr float coefficients[] = {1.3398874481197122e-3f, 9.6184373599314758e-3f, 5.5503324709525827e-2f,
                                    2.4022647913602424e-1f, 6.9314720285514553e-1f, 1.0f};
  for (int k = 0; k < K; ++k) p[k] = splat(1.5353361480879344e-4f);
#pragma GCC unroll 6
  for (float coefficient : coefficients)
#pragma GCC unroll 16
    for (int k = 0; k < K; ++k) p[k] = p[k] * f[k] + coefficient;
}

// 2^(a b[k]), products <= 127. A product is not rounded before its whole part is taken off.
template <int K>
INLINE void exp2_products(Vec a, const Vec* b, Vec* result) {
  Vec whole[K], f[K];
#pragma GCC unroll 16
  for (int k = 0; k < K; ++k) whole[k] = nearest(a * b[k]);
#pragma GCC unroll 16
  for (int k = 0; k < K; ++k) f[k] = fused(a, b[k], -whole[k]);
  exp2_fraction<K>(f, result);
#pragma GCC unroll 16
  for (int k = 0; k < K; ++k) result[k] = scale(result[k], whole[k]);
}

// e^value, clamped where it would overflow.
INLINE Vec exponential(Vec value) {
  // ln 2 in two parts: the first has few bits, so `whole` times it is exact.
  const Vec clamped = minimum(splat(88.0f), maximum(splat(-104.0f), value));
  const Vec whole = nearest(clamped * LOG2_E);
  const Vec f = ((clamped - whole * 0.693359375f) + whole * 2.12194440e-4f) * LOG2_E;
  Vec p;
  exp2_fraction<1>(&f, &p);
  return scale(p, whole);
}

INLINE Vec sigmoid(Vec value) { return 1.0f / (1.0f + exponential(-value)); }

// log(1 + e), 0 <= e <= 1: atanh series of e / (2 + e), whose square is at most 1/9.
INLINE Vec log1p_unit(Vec e) {
  const Vec s = e / (2.0f + e);
  const Vec s2 = s * s;
  Vec p = splat(1.0f / 13);
  p = p * s2 + 1.0f / 11;
  p = p * s2 + 1.0f / 9;
  p = p * s2 + 1.0f / 7;
  p = p * s2 + 1.0f / 5;
  p = p * s2 + 1.0f / 3;
  return 2.0f * s + 2.0f * s * s2 * p;
}

INLINE Vec softplus(Vec value) {
  const Vec size = value < 0.0f ? -value : value;
  return maximum(Vec{}, value) + log1p_unit(exponential(-size));
}

// States decay towards zero for ever; numbers below 1e-38 would be computed in microcode, so they count
// as zero while a kernel runs. Other processors than x86 are not slowed down by them.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#else
  FlushDenormals() {}
#endif
};

}  // namespace BHASA_ISA
