// The selective scan, fused with softplus, skip and gate: forward, and what `scan_backward.h` shares with it.
//
//     dt = softplus(dt + dt_bias)
//     h[t] = exp(dt[t] A) h[t-1] + dt[t] x[t] B[t]         n numbers per channel
//     y[t] = (C[t] h[t] + D x[t]) silu(z[t])
//
// Lanes of a vector are neighbouring channels. Work is split over (batch, group of channels) and nothing
// else, so any number of threads gives the same bits. Forward keeps the state before every CHUNK steps;
// backward recomputes the steps of a chunk from it. Sums over channels (dB, dC) are made per group, sums
// over rows of the batch (dA, dD, dt_bias) per row; the caller adds them in order.
#pragma once

#include "arguments.h"
#include "vector.h"

namespace BHASA_ISA {

constexpr int CHUNK = SCAN_CHUNK;
constexpr int TILES = SCAN_GROUP / LANES;  // vectors of channels in a group

// One unit of work: a row of the batch and a group of its channels.
struct Unit {
  const ScanArguments& a;
  int64_t row, group;

  int64_t channel(int tile) const { return group * SCAN_GROUP + tile * LANES; }
  int lanes(int tile) const {
    const int64_t left = a.channels - channel(tile);
    return left >= LANES ? LANES : left > 0 ? static_cast<int>(left) : 0;
  }
  int tiles() const {
    int count = 0;
    while (count < TILES && lanes(count)) ++count;
    return count;
  }
  float* step(const Sequence& s, int64_t t) const {
    return s.data + row * s.batch_stride + t * s.time_stride;
  }
  bool forget(int64_t t) const { return a.keep && !a.keep[row * a.length + t]; }
  // The vectors of state saved before a chunk.
  Vec* saved(int64_t chunk, int tile) const {
    const int64_t chunks = (a.length + CHUNK - 1) / CHUNK;
    const int64_t padded = (a.channels + MAX_LANES - 1) / MAX_LANES * MAX_LANES;
    const int64_t place = (row * chunks + chunk) * padded + channel(tile);
    return reinterpret_cast<Vec*>(a.saved + place * a.states);
  }
  int64_t state(int tile) const { return (row * a.channels + channel(tile)) * a.states; }
};

// (lanes, n) numbers in memory to n vectors, and back.
INLINE void load_states(Vec* to, const float* from, int n, int lanes) {
  for (int s = 0; s < n; ++s) {
    to[s] = Vec{};
    for (int lane = 0; lane < lanes; ++lane) to[s][lane] = from[lane * n + s];
  }
}

INLINE void store_states(float* to, const Vec* from, int n, int lanes) {
  for (int lane = 0; lane < lanes; ++lane)
    for (int s = 0; s < n; ++s) to[lane * n + s] = from[s][lane];
}

// A tile is one vector of channels, a chunk up to CHUNK steps. Its work is done in passes over the steps, each
// of independent iterations or one short recurrence: a processor overlaps them only if they stand apart.
struct Tile {
  const Unit& unit;
  int tile, lanes;
  int64_t channel;
  Vec D, dt_bias;

  Tile(const Unit& unit, int tile)
      : unit(unit), tile(tile), lanes(unit.lanes(tile)), channel(unit.channel(tile)),
        D(load(unit.a.D + channel, lanes)),
        dt_bias(unit.a.dt_bias ? load(unit.a.dt_bias + channel, lanes) : Vec{}) {}

  Vec read(const Sequence& s, int64_t t) const { return load(unit.step(s, t) + channel, lanes); }
  void write(const Sequence& s, int64_t t, Vec value) const { store(unit.step(s, t) + channel, value, lanes); }
  // A times log2(e), so that decays are powers of two.
  void load_A(Vec* A, int n) const {
    load_states(A, unit.a.A + channel * n, n, lanes);
    for (int s = 0; s < n; ++s) A[s] *= LOG2_E;
  }
};

// What comes into the recurrence of a tile's chunk.
struct Inputs {
  Vec x[CHUNK], raw_dt[CHUNK], dt[CHUNK], u[CHUNK];

  void read(const Tile& tile, int64_t start, int steps) {
    const ScanArguments& a = tile.unit.a;
    for (int t = 0; t < steps; ++t) {
      x[t] = tile.read(a.x, start + t);
      raw_dt[t] = tile.read(a.dt, start + t) + tile.dt_bias;
      dt[t] = softplus(raw_dt[t]);
      u[t] = dt[t] * x[t];
    }
  }
};

constexpr int BLOCK = 4;  // states that forward computes side by side

// One step of K states; adds their part of the output.
template <int K>
INLINE void advance(Vec dt, Vec u, const Vec* A, const float* B, const float* C, Vec* h, Vec& y) {
  Vec decay[K];
  exp2_products<K>(dt, A, decay);
  for (int k = 0; k < K; ++k) h[k] = decay[k] * h[k] + u * B[k];
  Vec part = h[0] * C[0];
  for (int k = 1; k < K; ++k) part += h[k] * C[k];
  y += part;
}

// N is the number of states where the compiler should know it, else 0.
template <int N>
void forward_chunk(const Tile& tile, int64_t start, int steps, Vec* h) {
  const Unit& unit = tile.unit;
  const ScanArguments& a = unit.a;
  const int n = N ? N : static_cast<int>(a.states);
  Vec A[N ? N : MAX_STATES], y[CHUNK];
  Inputs in;
  tile.load_A(A, n);
  in.read(tile, start, steps);
  for (int t = 0; t < steps; ++t) {
    const float *B = unit.step(a.B, start + t), *C = unit.step(a.C, start + t);
    if (unit.forget(start + t))
      for (int s = 0; s < n; ++s) h[s] = Vec{};
    Vec sum = tile.D * in.x[t];
    int s = 0;
    for (; s + BLOCK <= n; s += BLOCK) advance<BLOCK>(in.dt[t], in.u[t], A + s, B + s, C + s, h + s, sum);
    for (; s < n; ++s) advance<1>(in.dt[t], in.u[t], A + s, B + s, C + s, h + s, sum);
    y[t] = sum;
  }
  for (int t = 0; t < steps; ++t) {
    const Vec z = a.z.data ? tile.read(a.z, start + t) : Vec{};
    tile.write(a.y, start + t, a.z.data ? y[t] * z * sigmoid(z) : y[t]);
  }
}

template <int N>
void forward_unit(const Unit& unit) {
  const ScanArguments& a = unit.a;
  const int n = N ? N : static_cast<int>(a.states), tiles = unit.tiles();
  Vec h[TILES][N ? N : MAX_STATES];
  for (int tile = 0; tile < tiles; ++tile)
    load_states(h[tile], a.initial_state + unit.state(tile), n, unit.lanes(tile));
  for (int64_t start = 0; start < a.length; start += CHUNK) {
    const int steps = static_cast<int>(start + CHUNK < a.length ? CHUNK : a.length - start);
    for (int tile = 0; tile < tiles; ++tile) {
      if (a.saved)
        for (int s = 0; s < n; ++s) unit.saved(start / CHUNK, tile)[s] = h[tile][s];
      forward_chunk<N>(Tile(unit, tile), start, steps, h[tile]);
    }
  }
  for (int tile = 0; tile < tiles; ++tile)
    store_states(a.final_state + unit.state(tile), h[tile], n, unit.lanes(tile));
}

template <int N>
void scan_forward_units(const ScanArguments& a) {
  const int64_t groups = (a.channels + SCAN_GROUP - 1) / SCAN_GROUP;
#pragma omp parallel for schedule(dynamic)
  for (int64_t unit = 0; unit < a.batch * groups; ++unit) {
    const FlushDenormals flush;
    forward_unit<N>(Unit{a, unit / groups, unit % groups});
  }
}

void scan_forward(const ScanArguments& a) {
  switch (a.states) {
    case 4: return scan_forward_units<4>(a);
    case 8: return scan_forward_units<8>(a);
    case 16: return scan_forward_units<16>(a);
    default: return scan_forward_units<0>(a);
  }
}

}  // namespace BHASA_ISA
