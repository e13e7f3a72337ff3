// The selective scan, forward and backward, fused with softplus, skip and gate.
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

constexpr int BLOCK = 4;  // states computed side by side

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

// The steps of one chunk made anew: h[t] is the state before step t, y[t] the output before the gate.
template <int N>
struct Recomputed {
  Vec h[CHUNK + 1][N ? N : MAX_STATES], decay[CHUNK][N ? N : MAX_STATES], A[N ? N : MAX_STATES];
  Vec y[CHUNK], dy[CHUNK], du[CHUNK], ddecay[CHUNK];
  Inputs in;
};

// As `advance`, keeping what backward needs.
template <int K>
INLINE void advance_anew(Vec dt, Vec u, bool forget, const Vec* A, const float* B, const float* C, const Vec* h,
                         Vec* decay, Vec* next, Vec& y) {
  exp2_products<K>(dt, A, decay);
  if (forget)
    for (int k = 0; k < K; ++k) decay[k] = Vec{};
  for (int k = 0; k < K; ++k) next[k] = decay[k] * h[k] + u * B[k];
  Vec part = next[0] * C[0];
  for (int k = 1; k < K; ++k) part += next[k] * C[k];
  y += part;
}

template <int N>
void recompute_chunk(const Tile& tile, int64_t start, int steps, Recomputed<N>& r) {
  const Unit& unit = tile.unit;
  const ScanArguments& a = unit.a;
  const int n = N ? N : static_cast<int>(a.states);
  const Vec* saved = unit.saved(start / CHUNK, tile.tile);
  tile.load_A(r.A, n);
  for (int s = 0; s < n; ++s) r.h[0][s] = saved[s];
  r.in.read(tile, start, steps);
  for (int t = 0; t < steps; ++t) {
    const float *B = unit.step(a.B, start + t), *C = unit.step(a.C, start + t);
    const bool forget = unit.forget(start + t);
    const Vec dt = r.in.dt[t], u = r.in.u[t];
    Vec y = tile.D * r.in.x[t];
    int s = 0;
    for (; s + BLOCK <= n; s += BLOCK)
      advance_anew<BLOCK>(dt, u, forget, r.A + s, B + s, C + s, &r.h[t][s], &r.decay[t][s], &r.h[t + 1][s], y);
    for (; s < n; ++s)
      advance_anew<1>(dt, u, forget, r.A + s, B + s, C + s, &r.h[t][s], &r.decay[t][s], &r.h[t + 1][s], y);
    r.y[t] = y;
  }
}

// The gradient of the output before the gate, and that of the gate.
template <int N>
void backward_gate(const Tile& tile, int64_t start, int steps, Recomputed<N>& r) {
  const ScanArguments& a = tile.unit.a;
  for (int t = 0; t < steps; ++t) {
    const Vec dy = tile.read(a.y, start + t);
    r.dy[t] = dy;
    if (!a.z.data) continue;
    const Vec z = tile.read(a.z, start + t), gate = sigmoid(z);
    r.dy[t] = dy * z * gate;
    tile.write(a.dz, start + t, dy * r.y[t] * gate * (1.0f + z * (1.0f - gate)));
  }
}

// What backward carries from step to step, for one tile.
template <int N>
struct Gradients {
  Vec dh[N ? N : MAX_STATES], dA[N ? N : MAX_STATES], dD, ddt_bias;
};

// dB and dC of a few steps: (steps, n) sums over the tiles so far, one number per lane.
constexpr int FEW = 4;
template <int N>
struct LaneSums {
  Vec dB[FEW][N ? N : MAX_STATES], dC[FEW][N ? N : MAX_STATES];
};

// Back through STEPS steps from `first` of the chunk, state by state: what is summed over the steps or handed
// from one to the next stays in registers.
template <int STEPS, int N>
void backward_steps(const Unit& unit, int64_t start, int first, Recomputed<N>& r, LaneSums<N>& sums,
                    Gradients<N>& g) {
  const ScanArguments& a = unit.a;
  const int n = N ? N : static_cast<int>(a.states);
  const float *B[STEPS], *C[STEPS];
  Vec du[STEPS], ddecay[STEPS];
  for (int t = 0; t < STEPS; ++t) {
    B[t] = unit.step(a.B, start + first + t);
    C[t] = unit.step(a.C, start + first + t);
    du[t] = ddecay[t] = Vec{};
  }
  for (int s = 0; s < n; ++s) {
    Vec dh = g.dh[s], dA = Vec{};
    const Vec A = r.A[s];
#pragma GCC unroll 8
    for (int t = STEPS - 1; t >= 0; --t) {
      const int here = first + t;
      dh += r.dy[here] * C[t][s];
      sums.dC[t][s] += r.dy[here] * r.h[here + 1][s];
      sums.dB[t][s] += dh * r.in.u[here];
      du[t] += dh * B[t][s];
      dh *= r.decay[here][s];
      const Vec dexponent = dh * r.h[here][s];  // of dt A
      ddecay[t] += dexponent * A;
      dA += dexponent * r.in.dt[here];
    }
    g.dh[s] = dh;
    g.dA[s] += dA;
  }
  for (int t = 0; t < STEPS; ++t) {
    r.du[first + t] = du[t];
    r.ddecay[first + t] = ddecay[t];
  }
}

// The gradients of a chunk's inputs from those of u = dt x and of the decays.
template <int N>
void backward_inputs(const Tile& tile, int64_t start, int steps, const Recomputed<N>& r, Gradients<N>& g) {
  const ScanArguments& a = tile.unit.a;
  Vec dD{}, ddt_bias{};
  for (int t = 0; t < steps; ++t) {
    const Vec ddt = (r.du[t] * r.in.x[t] + r.ddecay[t] * (1.0f / LOG2_E)) * sigmoid(r.in.raw_dt[t]);
    tile.write(a.ddt, start + t, ddt);
    tile.write(a.dx, start + t, r.dy[t] * tile.D + r.du[t] * r.in.dt[t]);
    ddt_bias += ddt;
    dD += r.dy[t] * r.in.x[t];
  }
  g.ddt_bias += ddt_bias;  // sums of chunks are added, not steps: long sums of small numbers lose digits
  g.dD += dD;
}

template <int STEPS, int N>
void backward_group(const Unit& unit, int64_t start, int first, Recomputed<N>* r, Gradients<N>* g) {
  const ScanArguments& a = unit.a;
  const int n = N ? N : static_cast<int>(a.states);
  LaneSums<N> sums;
  for (int t = 0; t < STEPS; ++t)
    for (int s = 0; s < n; ++s) sums.dB[t][s] = sums.dC[t][s] = Vec{};
  for (int tile = 0; tile < unit.tiles(); ++tile)
    backward_steps<STEPS>(unit, start, first, r[tile], sums, g[tile]);
  const int64_t place = ((unit.group * a.batch + unit.row) * a.length + start + first) * n;
  for (int t = 0; t < STEPS; ++t)
    for (int s = 0; s < n; ++s) {
      a.dB[place + t * n + s] = sum(sums.dB[t][s]);
      a.dC[place + t * n + s] = sum(sums.dC[t][s]);
    }
}

template <int N>
void backward_chunk(const Unit& unit, int64_t start, int steps, Recomputed<N>* r, Gradients<N>* g) {
  for (int tile = 0; tile < unit.tiles(); ++tile) {
    recompute_chunk(Tile(unit, tile), start, steps, r[tile]);
    backward_gate(Tile(unit, tile), start, steps, r[tile]);
  }
  int left = steps;
  for (; left >= FEW; left -= FEW) backward_group<FEW>(unit, start, left - FEW, r, g);
  for (; left > 0; --left) backward_group<1>(unit, start, left - 1, r, g);
  for (int tile = 0; tile < unit.tiles(); ++tile)
    backward_inputs(Tile(unit, tile), start, steps, r[tile], g[tile]);
}

template <int N>
void backward_unit(const Unit& unit, Recomputed<N>* r) {
  const ScanArguments& a = unit.a;
  const int n = N ? N : static_cast<int>(a.states), tiles = unit.tiles();
  Gradients<N> g[TILES]{};
  for (int tile = 0; tile < tiles; ++tile)
    load_states(g[tile].dh, a.final_state + unit.state(tile), n, unit.lanes(tile));
  for (int64_t start = (a.length - 1) / CHUNK * CHUNK; start >= 0; start -= CHUNK)
    backward_chunk(unit, start, static_cast<int>(start + CHUNK < a.length ? CHUNK : a.length - start), r, g);
  for (int tile = 0; tile < tiles; ++tile) {
    const int lanes = unit.lanes(tile);
    store_states(a.dinitial_state + unit.state(tile), g[tile].dh, n, lanes);
    store_states(a.dA + unit.state(tile), g[tile].dA, n, lanes);
    store(a.dD + unit.row * a.channels + unit.channel(tile), g[tile].dD, lanes);
    store(a.ddt_bias + unit.row * a.channels + unit.channel(tile), g[tile].ddt_bias, lanes);
  }
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

template <int N>
void scan_backward_units(const ScanArguments& a) {
  const int64_t groups = (a.channels + SCAN_GROUP - 1) / SCAN_GROUP;
#pragma omp parallel
  {
    const FlushDenormals flush;
    auto* r = new Recomputed<N>[TILES];
#pragma omp for schedule(dynamic)
    for (int64_t unit = 0; unit < a.batch * groups; ++unit) backward_unit(Unit{a, unit / groups, unit % groups}, r);
    delete[] r;
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

void scan_backward(const ScanArguments& a) {
  switch (a.states) {
    case 4: return scan_backward_units<4>(a);
    case 8: return scan_backward_units<8>(a);
    case 16: return scan_backward_units<16>(a);
    default: return scan_backward_units<0>(a);
  }
}

}  // namespace BHASA_ISA
