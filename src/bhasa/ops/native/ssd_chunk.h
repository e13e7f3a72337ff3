// What both directions of `ssd.h` are made of: units of work, spans of their steps, and scratch for one span.
#pragma once

#include "arguments.h"
#include "products.h"
#include "rows.h"
#include "vector.h"

namespace BHASA_ISA {

constexpr int BLOCKS = SSD_CHUNK / LANES;  // vectors of a chunk's steps

// One unit of work: a row of the batch and some heads of a group.
struct HeadsOfGroup {
  const SsdArguments& a;
  int64_t row, group, block, first, end;

  HeadsOfGroup(const SsdArguments& a, int64_t unit) : a(a) {
    const int64_t per_group = a.heads / a.groups, blocks = (per_group + SSD_HEADS - 1) / SSD_HEADS;
    row = unit / (a.groups * blocks);
    group = unit / blocks % a.groups;
    block = unit % blocks;
    first = group * per_group + block * SSD_HEADS;
    end = first + SSD_HEADS < (group + 1) * per_group ? first + SSD_HEADS : (group + 1) * per_group;
  }
  static int64_t count(const SsdArguments& a) {
    const int64_t per_group = a.heads / a.groups;
    return a.batch * a.groups * ((per_group + SSD_HEADS - 1) / SSD_HEADS);
  }
  float* step(const Sequence& s, int64_t t) const {
    return s.data + row * s.batch_stride + t * s.time_stride;
  }
};

// Some steps of a unit. `rows` is the number of steps padded: what is added has dt = 0, x = B = C = 0.
struct Span {
  const HeadsOfGroup& unit;
  int64_t start;
  int steps, rows;

  Span(const HeadsOfGroup& unit, int64_t start)
      : unit(unit), start(start),
        steps(static_cast<int>(unit.a.length - start < SSD_CHUNK ? unit.a.length - start : SSD_CHUNK)),
        rows(padded(steps)) {}

  void read(const Sequence& s, int64_t column, int64_t width, const Matrix& to) const {
    for (int t = 0; t < rows; ++t) {
      const float* from = unit.step(s, start + t) + column;
      for_each(width, [&](int64_t i, int lanes) {
        store(to.row(t) + i, t < steps ? load(from + i, lanes) : Vec{});
      });
    }
  }
  void write(const Sequence& s, int64_t column, int64_t width, const Matrix& from) const {
    for (int t = 0; t < steps; ++t) {
      float* to = unit.step(s, start + t) + column;
      for_each(width, [&](int64_t i, int lanes) { store(to + i, load(from.row(t) + i), lanes); });
    }
  }
};

// f(place) for each vector of a row of scratch.
template <typename F>
INLINE void across(int width, F f) {
  for (int i = 0; i < width; i += LANES) f(i);
}

INLINE IntVec lane_numbers() {
  IntVec numbers;
  for (int i = 0; i < LANES; ++i) numbers[i] = i;
  return numbers;
}

// The step sizes of one head over a span, and what follows from its decays.
struct Decays {
  float dt[SSD_CHUNK], decay[SSD_CHUNK], since[SSD_CHUNK], until[SSD_CHUNK];
  float taken[SSD_CHUNK];  // of x (outer) B into the state at the end: until dt
  float through;  // of the whole span

  void read(const Span& span, int64_t head) {
    const HeadsOfGroup& unit = span.unit;
    const float A = unit.a.A[head];
    for (int t = 0; t < span.rows; ++t)
      dt[t] = t < span.steps ? unit.step(unit.a.dt, span.start + t)[head] : 0.0f;
    across(span.rows, [&](int t) { store(decay + t, exponential(load(dt + t) * A)); });
    const uint8_t* keep = unit.a.keep ? unit.a.keep + unit.row * unit.a.length + span.start : nullptr;
    through = 1.0f;
    for (int t = 0; t < span.rows; ++t) {
      if (keep && t < span.steps && !keep[t]) decay[t] = 0.0f;
      since[t] = through *= decay[t];
    }
  }
  // f(i, j, between[i, j]) for each row i and its vectors j up to i, 0 above the diagonal; then what follows from its last row.
  template <typename F>
  MEMBER_INLINE void between(int rows, F f) {
    Vec products[BLOCKS]{};
    for (int i = 0; i < rows; ++i)
      for (int v = 0; v <= i / LANES; ++v) {
        const Vec diagonal = lane_numbers() == i - v * LANES ? splat(1.0f) : Vec{};
        products[v] = products[v] * decay[i] + diagonal;
        f(i, v * LANES, products[v]);
      }
    for (int v = 0; v < rows / LANES; ++v) {
      store(until + v * LANES, products[v]);
      store(taken + v * LANES, products[v] * load(dt + v * LANES));
    }
  }
};

// What both directions compute in, for one thread. Widths are padded; a state is (n, p).
struct Workspace {
  const SsdArguments& a;
  const int p, n;
  Scratch B, C, B_by_state, CB;  // of a group: (steps, n), (n, steps), (steps, steps)
  Scratch x;                     // of a head: (steps, p)
  Decays decays;

  explicit Workspace(const SsdArguments& a)
      : a(a), p(padded(a.width)), n(padded(a.states)), B(SSD_CHUNK, n), C(SSD_CHUNK, n),
        B_by_state(n, SSD_CHUNK), CB(SSD_CHUNK, SSD_CHUNK), x(SSD_CHUNK, p) {}

  void read_group(const Span& span) {
    span.read(a.B, span.unit.group * a.states, a.states, B);
    span.read(a.C, span.unit.group * a.states, a.states, C);
    transpose(B, span.rows, n, B_by_state);
    product<COLUMNS_TO_ROW, false>(CB, span.rows, span.rows, as_is(C), B_by_state, n);
  }
  void read_head(const Span& span, int64_t head) {
    span.read(a.x, head * a.width, a.width, x);
    decays.read(span, head);
  }
  // The caller's (p, n) numbers of a head.
  Matrix state_of(float* states, int64_t row, int64_t head) const {
    return {states + (row * a.heads + head) * a.width * a.states, static_cast<int>(a.states)};
  }
  void read_state(float* from, int64_t row, int64_t head, const Matrix& to) const {
    std::memset(to.data, 0, sizeof(float) * n * p);  // the padding too: 0 times NaN is NaN
    transpose(state_of(from, row, head), static_cast<int>(a.width), static_cast<int>(a.states), to);
  }
  void write_state(float* to, int64_t row, int64_t head, const Matrix& from) const {
    transpose(from, static_cast<int>(a.states), static_cast<int>(a.width), state_of(to, row, head));
  }
  // The state at the start of a span, as forward left it for backward.
  Matrix saved(const Span& span, int64_t head) const {
    const int64_t chunks = (a.length + SSD_CHUNK - 1) / SSD_CHUNK;
    const int64_t place = (span.unit.row * a.heads + head) * chunks + span.start / SSD_CHUNK;
    return {a.saved + place * n * p, p};
  }
};

}  // namespace BHASA_ISA
