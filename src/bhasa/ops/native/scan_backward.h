// The selective scan, backward: a chunk of steps of one vector of channels at a time, from the last to the first,
// and of that a few states at a time, made anew from the state that forward saved.
#pragma once

#include <memory>

#include "scan.h"

namespace BHASA_ISA {

// What backward knows of a tile's chunk besides its states.
struct Chunk {
  Inputs in;
  Vec y[CHUNK], gate[CHUNK];                // the output before the gate, and the sigmoid of z
  Vec dy[CHUNK], du[CHUNK], ddecay[CHUNK];  // gradients: of y, of u = dt x, and of the exponents' dt
  int64_t start;
  int steps;
};

// K states of a chunk made anew: h[t] is the state before step t. Few states at a time stay in the first cache.
template <int K>
struct Recomputed {
  Vec h[CHUNK + 1][K], decay[CHUNK][K];
};

// What backward carries from step to step, for one tile.
struct Gradients {
  Vec dh[MAX_STATES], dA[MAX_STATES], dD, ddt_bias;
};

// dB and dC of a chunk's steps: sums over the tiles so far, one number per lane.
struct LaneSums {
  Vec dB[MAX_STATES][CHUNK], dC[MAX_STATES][CHUNK];
};

// One thread's memory for backward.
struct ScanMemory {
  Chunk chunk;
  Gradients g[TILES];
  LaneSums sums;
  Vec A[MAX_STATES];
};

template <int K>
void recompute(const Tile& tile, int first, const Vec* A, Chunk& c, Recomputed<K>& r) {
  const Unit& unit = tile.unit;
  const Vec* saved = unit.saved(c.start / CHUNK, tile.tile) + first;
  for (int k = 0; k < K; ++k) r.h[0][k] = saved[k];
  for (int t = 0; t < c.steps; ++t) {
    const float *B = unit.step(unit.a.B, c.start + t) + first, *C = unit.step(unit.a.C, c.start + t) + first;
    exp2_products<K>(c.in.dt[t], A + first, r.decay[t]);
    if (unit.forget(c.start + t))
      for (int k = 0; k < K; ++k) r.decay[t][k] = Vec{};
    for (int k = 0; k < K; ++k) r.h[t + 1][k] = r.decay[t][k] * r.h[t][k] + c.in.u[t] * B[k];
    Vec part = r.h[t + 1][0] * C[0];
    for (int k = 1; k < K; ++k) part += r.h[t + 1][k] * C[k];
    c.y[t] += part;
  }
}

// The inputs of a tile's chunk, and the gradient of its output before the gate.
void begin_chunk(const Tile& tile, Chunk& c) {
  const ScanArguments& a = tile.unit.a;
  c.in.read(tile, c.start, c.steps);
  for (int t = 0; t < c.steps; ++t) {
    c.y[t] = tile.D * c.in.x[t];
    c.du[t] = c.ddecay[t] = Vec{};
    c.dy[t] = tile.read(a.y, c.start + t);
    if (!a.z.data) continue;
    const Vec z = tile.read(a.z, c.start + t);
    c.gate[t] = sigmoid(z);
    c.dy[t] = c.dy[t] * z * c.gate[t];
  }
}

// Back through STEPS steps from `first` of the chunk, state by state: what is summed over the steps or handed
// from one to the next stays in registers.
template <int STEPS, int K>
void backward_steps(const Unit& unit, int first, int state, const Vec* A, const Recomputed<K>& r, Chunk& c,
                    LaneSums& sums, Gradients& g) {
  const float *B[STEPS], *C[STEPS];
  Vec du[STEPS], ddecay[STEPS];
  for (int t = 0; t < STEPS; ++t) {
    B[t] = unit.step(unit.a.B, c.start + first + t) + state;
    C[t] = unit.step(unit.a.C, c.start + first + t) + state;
    du[t] = c.du[first + t];
    ddecay[t] = c.ddecay[first + t];
  }
  for (int k = 0; k < K; ++k) {
    Vec dh = g.dh[state + k], dA = Vec{};
    const Vec A_k = A[state + k];
#pragma GCC unroll 8
    for (int t = STEPS - 1; t >= 0; --t) {
      const int here = first + t;
      dh += c.dy[here] * C[t][k];
      sums.dC[state + k][here] += c.dy[here] * r.h[here + 1][k];
      sums.dB[state + k][here] += dh * c.in.u[here];
      du[t] += dh * B[t][k];
      dh *= r.decay[here][k];
      const Vec dexponent = dh * r.h[here][k];  // of dt A
      ddecay[t] += dexponent * A_k;
      dA += dexponent * c.in.dt[here];
    }
    g.dh[state + k] = dh;
    g.dA[state + k] += dA;
  }
  for (int t = 0; t < STEPS; ++t) {
    c.du[first + t] = du[t];
    c.ddecay[first + t] = ddecay[t];
  }
}

constexpr int FEW = 4;  // steps that are gone back through together

template <int K>
void backward_states(const Tile& tile, int state, ScanMemory& memory) {
  Chunk& c = memory.chunk;
  Recomputed<K> r;
  recompute(tile, state, memory.A, c, r);
  Gradients& g = memory.g[tile.tile];
  int left = c.steps;
  for (; left >= FEW; left -= FEW)
    backward_steps<FEW>(tile.unit, left - FEW, state, memory.A, r, c, memory.sums, g);
  for (; left > 0; --left) backward_steps<1>(tile.unit, left - 1, state, memory.A, r, c, memory.sums, g);
}

// The gradients of a chunk's inputs from those of u and of the decays.
void end_chunk(const Tile& tile, const Chunk& c, Gradients& g) {
  const ScanArguments& a = tile.unit.a;
  Vec dD{}, ddt_bias{};
  for (int t = 0; t < c.steps; ++t) {
    if (a.z.data) {
      const Vec z = tile.read(a.z, c.start + t), gate = c.gate[t];
      tile.write(a.dz, c.start + t, tile.read(a.y, c.start + t) * c.y[t] * gate * (1.0f + z * (1.0f - gate)));
    }
    const Vec ddt = (c.du[t] * c.in.x[t] + c.ddecay[t] * (1.0f / LOG2_E)) * sigmoid(c.in.raw_dt[t]);
    tile.write(a.ddt, c.start + t, ddt);
    tile.write(a.dx, c.start + t, c.dy[t] * tile.D + c.du[t] * c.in.dt[t]);
    ddt_bias += ddt;
    dD += c.dy[t] * c.in.x[t];
  }
  g.ddt_bias += ddt_bias;  // sums of chunks are added, not steps: long sums of small numbers lose digits
  g.dD += dD;
}

void backward_chunk(const Unit& unit, ScanMemory& memory) {
  const ScanArguments& a = unit.a;
  Chunk& c = memory.chunk;
  const int n = static_cast<int>(a.states);
  for (int s = 0; s < n; ++s)
    for (int t = 0; t < CHUNK; ++t) memory.sums.dB[s][t] = memory.sums.dC[s][t] = Vec{};
  for (int index = 0; index < unit.tiles(); ++index) {
    const Tile tile(unit, index);
    tile.load_A(memory.A, n);
    begin_chunk(tile, c);
    int state = 0;
    for (; state + 8 <= n; state += 8) backward_states<8>(tile, state, memory);
    for (; state + 4 <= n; state += 4) backward_states<4>(tile, state, memory);
    for (; state < n; ++state) backward_states<1>(tile, state, memory);
    end_chunk(tile, c, memory.g[index]);
  }
  const int64_t place = ((unit.group * a.batch + unit.row) * a.length + c.start) * n;
  for (int t = 0; t < c.steps; ++t)
    for (int s = 0; s < n; ++s) {
      a.dB[place + t * n + s] = sum(memory.sums.dB[s][t]);
      a.dC[place + t * n + s] = sum(memory.sums.dC[s][t]);
    }
}

void backward_unit(const Unit& unit, ScanMemory& memory) {
  const ScanArguments& a = unit.a;
  const int n = static_cast<int>(a.states), tiles = unit.tiles();
  for (int tile = 0; tile < tiles; ++tile) {
    Gradients& g = memory.g[tile];
    load_states(g.dh, a.final_state + unit.state(tile), n, unit.lanes(tile));
    for (int s = 0; s < n; ++s) g.dA[s] = Vec{};
    g.dD = g.ddt_bias = Vec{};
  }
  for (int64_t start = (a.length - 1) / CHUNK * CHUNK; start >= 0; start -= CHUNK) {
    memory.chunk.start = start;
    memory.chunk.steps = static_cast<int>(start + CHUNK < a.length ? CHUNK : a.length - start);
    backward_chunk(unit, memory);
  }
  for (int tile = 0; tile < tiles; ++tile) {
    const int lanes = unit.lanes(tile);
    const Gradients& g = memory.g[tile];
    store_states(a.dinitial_state + unit.state(tile), g.dh, n, lanes);
    store_states(a.dA + unit.state(tile), g.dA, n, lanes);
    store(a.dD + unit.row * a.channels + unit.channel(tile), g.dD, lanes);
    store(a.ddt_bias + unit.row * a.channels + unit.channel(tile), g.ddt_bias, lanes);
  }
}

void scan_backward(const ScanArguments& a) {
  const int64_t groups = (a.channels + SCAN_GROUP - 1) / SCAN_GROUP;
#pragma omp parallel
  {
    const FlushDenormals flush;
    const std::unique_ptr<ScanMemory> memory(new ScanMemory);  // not set to zero: it is a megabyte
#pragma omp for schedule(dynamic)
    for (int64_t unit = 0; unit < a.batch * groups; ++unit)
      backward_unit(Unit{a, unit / groups, unit % groups}, *memory);
  }
}

}  // namespace BHASA_ISA
