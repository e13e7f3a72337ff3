// The causal depthwise convolution with its SiLU, forward and backward.
//
//     pre[t] = bias + sum over k of weight[k] x[t - (taps - 1) + k],     y[t] = silu(pre[t])
//
// Inputs before the first step are rows of `before`, which belong to segment 0; a tap that reaches into
// another segment counts as zero. Work is split over (batch, group of channels), as in the scan, and done
// in chunks of steps, one vector of channels after the other, with the last inputs in registers.
#pragma once

#include "arguments.h"
#include "vector.h"

namespace BHASA_ISA {

constexpr int CONV_CHUNK = 64;

// A row of the batch, and `steps` steps of it from `start`.
struct Steps {
  const ConvArguments& a;
  int64_t row, start;
  int steps;
  int reach[CONV_CHUNK];  // how many steps back the segment of each step goes, at most taps - 1

  Steps(const ConvArguments& a, int64_t row, int64_t start)
      : a(a), row(row), start(start),
        steps(static_cast<int>(a.length - start < CONV_CHUNK ? a.length - start : CONV_CHUNK)) {
    for (int t = 0; t < steps; ++t) {
      reach[t] = a.segment_ids ? 0 : static_cast<int>(a.taps - 1);
      while (reach[t] < a.taps - 1 && segment(t - reach[t] - 1) == segment(t)) ++reach[t];
    }
  }
  int64_t segment(int t) const { return start + t >= 0 ? a.segment_ids[row * a.length + start + t] : 0; }
  float* at(const Sequence& s, int t, int64_t channel) const {
    return s.data + row * s.batch_stride + (start + t) * s.time_stride + channel;
  }
  int64_t earlier(int t, int64_t channel) const {
    return (row * (a.taps - 1) + a.taps - 1 + start + t) * a.channels + channel;
  }
  // The inputs of a step, and their gradient; a step of the earlier state if t lies before the first one.
  const float* input(int t, int64_t channel) const {
    return start + t >= 0 ? at(a.x, t, channel) : a.before + earlier(t, channel);
  }
  float* dinput(int t, int64_t channel) const {
    return start + t >= 0 ? at(a.dx, t, channel) : a.dbefore + earlier(t, channel);
  }
};

// The weights of one vector of channels by how far back they reach, and the inputs that lie there.
// K is the number of taps where the compiler should know it, else 0.
template <int K>
struct Window {
  Vec weight[K ? K : MAX_TAPS], x[K ? K : MAX_TAPS], bias{};
  int taps;

  Window(const Steps& chunk, int64_t channel, int lanes) : taps(K ? K : static_cast<int>(chunk.a.taps)) {
    const ConvArguments& a = chunk.a;
    if (a.bias) bias = load(a.bias + channel, lanes);
    for (int back = 0; back < taps; ++back) {
      weight[back] = load(a.weight + (taps - 1 - back) * a.channels + channel, lanes);
      x[back] = back ? load(chunk.input(-back, channel), lanes) : Vec{};
    }
  }
  // Take in the next input; the sum before the SiLU.
  MEMBER_INLINE Vec next(Vec input, int reach) {
    x[0] = input;
    Vec pre = bias + weight[0] * x[0];
    for (int back = 1; back < (K ? K : taps); ++back)
      if (back <= reach) pre += weight[back] * x[back];
    return pre;
  }
};

// Move what lies `back` steps behind one step to what will.
template <int K>
INLINE void age(Vec* values, int taps) {
  for (int back = (K ? K : taps) - 1; back > 0; --back) values[back] = values[back - 1];
}

template <int K>
void conv_forward_tile(const Steps& chunk, int64_t channel, int lanes) {
  Window<K> window(chunk, channel, lanes);
  for (int t = 0; t < chunk.steps; ++t) {
    const Vec pre = window.next(load(chunk.at(chunk.a.x, t, channel), lanes), chunk.reach[t]);
    store(chunk.at(chunk.a.y, t, channel), pre * sigmoid(pre), lanes);
    age<K>(window.x, window.taps);
  }
}

// The gradient of an input is complete when the last step that uses it has been seen, so that of the last
// taps - 1 inputs is kept in registers, and in memory from chunk to chunk.
template <int K>
void conv_backward_tile(const Steps& chunk, int64_t channel, int lanes) {
  const ConvArguments& a = chunk.a;
  Window<K> window(chunk, channel, lanes);
  const int taps = K ? K : window.taps, last = taps - 1;
  Vec dx[K ? K : MAX_TAPS]{}, dweight[K ? K : MAX_TAPS]{}, dbias{};
  for (int back = 1; back < taps; ++back) dx[back] = load(chunk.dinput(-back, channel), lanes);
  for (int t = 0; t < chunk.steps; ++t) {
    const int reach = chunk.reach[t];
    const Vec pre = window.next(load(chunk.at(a.x, t, channel), lanes), reach), gate = sigmoid(pre);
    const Vec dpre = load(chunk.at(a.y, t, channel), lanes) * gate * (1.0f + pre * (1.0f - gate));
    dbias += dpre;
    dx[0] = Vec{};
    for (int back = 0; back < taps; ++back)
      if (back <= reach) {
        dx[back] += window.weight[back] * dpre;
        dweight[back] += window.x[back] * dpre;
      }
    store(chunk.dinput(t - last, channel), dx[last], lanes);
    age<K>(window.x, taps);
    age<K>(dx, taps);
  }
  for (int back = 1; back < taps; ++back) store(chunk.dinput(chunk.steps - back, channel), dx[back], lanes);
  // Sums of chunks are added, not steps: long sums of small numbers lose digits.
  add(a.dbias + chunk.row * a.channels + channel, dbias, lanes);
  for (int back = 0; back < taps; ++back)
    add(a.dweight + (chunk.row * taps + last - back) * a.channels + channel, dweight[back], lanes);
}

template <void (*compute)(const Steps&, int64_t, int)>
void conv_units(const ConvArguments& a) {
  const int64_t groups = (a.channels + CONV_GROUP - 1) / CONV_GROUP;
#pragma omp parallel for schedule(dynamic)
  for (int64_t unit = 0; unit < a.batch * groups; ++unit) {
    const FlushDenormals flush;
    const int64_t first = unit % groups * CONV_GROUP;
    const int64_t end = first + CONV_GROUP < a.channels ? first + CONV_GROUP : a.channels;
    for (int64_t start = 0; start < a.length; start += CONV_CHUNK) {
      const Steps chunk(a, unit / groups, start);
      for (int64_t channel = first; channel < end; channel += LANES)
        compute(chunk, channel, end - channel < LANES ? static_cast<int>(end - channel) : LANES);
    }
  }
}

void conv_forward(const ConvArguments& a) {
  a.taps == 4 ? conv_units<conv_forward_tile<4>>(a) : conv_units<conv_forward_tile<0>>(a);
}

void conv_backward(const ConvArguments& a) {
  a.taps == 4 ? conv_units<conv_backward_tile<4>>(a) : conv_units<conv_backward_tile<0>>(a);
}

}  // namespace BHASA_ISA
