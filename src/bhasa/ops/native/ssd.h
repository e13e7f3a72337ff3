// State-space duality, the operation of Mamba-2, forward and backward.
//
//     h[t] = exp(dt[t] A) h[t-1] + dt[t] x[t] (outer) B[t]     (p, n) numbers per head
//     y[t] = h[t] C[t] + D x[t]
//
// In chunks of SSD_CHUNK steps, as products of matrices: with between[i, j] the product of the decays after j
// up to i, and h the state at the chunk's start,
//
//     y[i] = sum over j <= i of (C[i] B[j]) between[i, j] dt[j] x[j] + since[i] h C[i] + D x[i]
//     h    = since[end] h + sum over j of until[j] dt[j] x[j] (outer) B[j]
//
// where since[i] is the product of all decays up to i and until[j] that of all after j. Decays are multiplied,
// not their logarithms subtracted, and where a document starts the decay is 0. Work is split over (batch, group,
// SSD_HEADS of its heads), so any number of threads gives the same bits. Forward keeps the state at each chunk's
// start; backward recomputes the rest. dB and dC are summed over the heads of a unit, dA and dD over a row's
// time; the caller adds them in order.
#pragma once

#include "ssd_chunk.h"

namespace BHASA_ISA {

struct SsdForward : Workspace {
  Scratch mixing, x_taken, y;  // (steps, steps), (steps, p) twice
  Scratch states;              // (SSD_HEADS n, p)

  explicit SsdForward(const SsdArguments& a)
      : Workspace(a), mixing(SSD_CHUNK, SSD_CHUNK), x_taken(SSD_CHUNK, p), y(SSD_CHUNK, p),
        states(SSD_HEADS * n, p) {}

  void unit(const HeadsOfGroup& unit) {
    for (int64_t head = unit.first; head < unit.end; ++head)
      read_state(a.initial_state, unit.row, head, state(unit, head));
    for (int64_t start = 0; start < a.length; start += SSD_CHUNK) {
      const Span span(unit, start);
      read_group(span);
      for (int64_t head = unit.first; head < unit.end; ++head) advance(span, head, state(unit, head));
    }
    for (int64_t head = unit.first; head < unit.end; ++head)
      write_state(a.final_state, unit.row, head, state(unit, head));
  }
  Matrix state(const HeadsOfGroup& unit, int64_t head) const {
    return {states.row(static_cast<int>(head - unit.first) * n), p};
  }
  void advance(const Span& span, int64_t head, const Matrix& state) {
    if (a.saved) std::memcpy(saved(span, head).data, state.data, sizeof(float) * n * p);
    read_head(span, head);
    decays.between(span.rows, [&](int i, int j, Vec between) {
      store(mixing.row(i) + j, load(CB.row(i) + j) * between * load(decays.dt + j));
    });
    product<ALL, false>(y, span.rows, p, as_is(C), state, n);
    for (int t = 0; t < span.rows; ++t) {
      const float since = decays.since[t], taken = decays.taken[t], D = a.D[head];
      across(p, [&](int i) {
        const Vec input = load(x.row(t) + i);
        store(y.row(t) + i, load(y.row(t) + i) * since + input * D);
        store(x_taken.row(t) + i, input * taken);
      });
    }
    product<TERMS_TO_ROW, true>(y, span.rows, p, as_is(mixing), x, span.rows);
    span.write(a.y, head * a.width, a.width, y);
    product<ALL, true>(state, n, p, transposed(B), x_taken, span.rows, decays.through);
  }
};

// Gradients of a head's decays and step sizes over a span.
struct StepGradients {
  // Of the products of decays, times themselves: from the start, to the end, and of their logarithms.
  float entering[SSD_CHUNK], leaving[SSD_CHUNK], log_decay[SSD_CHUNK];

  // A decay k stands in every product from a step j < k to a step i >= k, from the start to i >= k, from j < k
  // to the end, and in the one of all, `whole`; `within` (i, j) is zero above the diagonal.
  void sum_up(const Matrix& within, float whole, int rows) {
    Vec onward[BLOCKS];
    for (int v = 0; v < BLOCKS; ++v) onward[v] = load(leaving + v * LANES);
    float entered = whole;
    for (int k = rows - 1; k >= 0; --k) {
      Vec total{};
      for (int v = 0; v <= k / LANES; ++v) {
        onward[v] += load(within.row(k) + v * LANES);
        total += lane_numbers() < k - v * LANES ? onward[v] : Vec{};
      }
      entered += entering[k];
      log_decay[k] = sum(total) + entered;
    }
  }
};

struct SsdBackward : Workspace {
  Scratch C_by_state, dB, dC, dB_by_state, dC_by_state, dCB;  // of a group, summed over the unit's heads
  Scratch between, mixing, within;                            // of a head: (steps, steps)
  Scratch dy, du, dy_since, dy_by_width, x_by_width;          // (steps, p), (p, steps)
  Scratch asked, dstates;                                     // (n, steps), (SSD_HEADS n, p)
  StepGradients gradients;
  float dA[SSD_HEADS], dD[SSD_HEADS];

  explicit SsdBackward(const SsdArguments& a)
      : Workspace(a), C_by_state(n, SSD_CHUNK), dB(SSD_CHUNK, n), dC(SSD_CHUNK, n), dB_by_state(n, SSD_CHUNK),
        dC_by_state(n, SSD_CHUNK), dCB(SSD_CHUNK, SSD_CHUNK), between(SSD_CHUNK, SSD_CHUNK),
        mixing(SSD_CHUNK, SSD_CHUNK), within(SSD_CHUNK, SSD_CHUNK), dy(SSD_CHUNK, p), du(SSD_CHUNK, p),
        dy_since(SSD_CHUNK, p), dy_by_width(p, SSD_CHUNK), x_by_width(p, SSD_CHUNK), asked(n, SSD_CHUNK), dstates(SSD_HEADS * n, p) {}

  void unit(const HeadsOfGroup& unit) {
    for (int64_t head = unit.first; head < unit.end; ++head) {
      read_state(a.final_state, unit.row, head, dstate(unit, head));
      dA[head - unit.first] = dD[head - unit.first] = 0.0f;
    }
    for (int64_t start = (a.length - 1) / SSD_CHUNK * SSD_CHUNK; start >= 0; start -= SSD_CHUNK) {
      const Span span(unit, start);
      begin_group(span);
      for (int64_t head = unit.first; head < unit.end; ++head) retreat(span, head, dstate(unit, head));
      end_group(span);
    }
    for (int64_t head = unit.first; head < unit.end; ++head) {
      write_state(a.dinitial_state, unit.row, head, dstate(unit, head));
      a.dA[unit.row * a.heads + head] = dA[head - unit.first];
      a.dD[unit.row * a.heads + head] = dD[head - unit.first];
    }
  }
  Matrix dstate(const HeadsOfGroup& unit, int64_t head) const {
    return {dstates.row(static_cast<int>(head - unit.first) * n), p};
  }
  void begin_group(const Span& span) {
    read_group(span);
    transpose(C, span.rows, n, C_by_state);
    dB_by_state.clear();
    dC_by_state.clear();
    dCB.clear();
  }
  void end_group(const Span& span) {
    transpose(dB_by_state, n, span.rows, dB);
    transpose(dC_by_state, n, span.rows, dC);
    product<TERMS_FROM_ROW, true>(dB, span.rows, n, transposed(dCB), C, span.rows);
    product<TERMS_TO_ROW, true>(dC, span.rows, n, as_is(dCB), B, span.rows);
    const HeadsOfGroup& unit = span.unit;
    const int64_t width = a.groups * a.states, place = unit.block * a.batch * a.length * width;
    span.write({a.dB + place, a.length * width, width}, unit.group * a.states, a.states, dB);
    span.write({a.dC + place, a.length * width, width}, unit.group * a.states, a.states, dC);
  }
  // Back through the steps of a span, of one head; `dstate` is of the state at its end, then at its start.
  void retreat(const Span& span, int64_t head, const Matrix& dstate) {
    const Matrix state = saved(span, head);
    const int rows = span.rows;
    read_head(span, head);
    span.read(a.y, head * a.width, a.width, dy);
    decays.between(rows, [&](int i, int j, Vec product) {
      store(between.row(i) + j, product);
      store(mixing.row(i) + j, load(CB.row(i) + j) * product);
    });
    for (int t = 0; t < rows; ++t)
      across(p, [&](int i) { store(dy_since.row(t) + i, load(dy.row(t) + i) * decays.since[t]); });
    transpose(x, rows, p, x_by_width);
    transpose(dy, rows, p, dy_by_width);
    backward_products(rows);
    backward_states(rows, state, dy_by_width, decays.since, C_by_state, dC_by_state, gradients.entering);
    backward_states(rows, dstate, x_by_width, decays.taken, B_by_state, dB_by_state, gradients.leaving);
    gradients.sum_up(within, decays.through * inner_product(state, dstate), rows);
    backward_inputs(span, head, dstate);
    product<ALL, true>(dstate, n, p, transposed(C), dy_since, rows, decays.through);
  }
  // Of C[i] B[j], and of between[i, j] times itself.
  void backward_products(int rows) {
    product<COLUMNS_TO_ROW, false>(within, rows, rows, as_is(dy), x_by_width, p);
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j <= i; j += LANES) {
        const Vec asked_of = load(within.row(i) + j) * load(decays.dt + j);
        store(dCB.row(i) + j, load(dCB.row(i) + j) + asked_of * load(between.row(i) + j));
        store(within.row(i) + j, asked_of * load(mixing.row(i) + j));
      }
  }
  // What outputs ask of C through the state, or the state at the end of B through inputs, each with
  // its weight; and the weights' gradients times themselves.
  void backward_states(int rows, const Matrix& state, const Matrix& by_width, const float* weight,
                       const Matrix& by_state, const Matrix& sums, float* of_weight) {
    product<ALL, false>(asked, n, rows, as_is(state), by_width, p);
    across(rows, [&](int t) {
      const Vec factor = load(weight + t);
      Vec total{};
      for (int s = 0; s < n; ++s) {
        const Vec d = load(asked.row(s) + t) * factor;
        total += d * load(by_state.row(s) + t);
        store(sums.row(s) + t, load(sums.row(s) + t) + d);
      }
      store(of_weight + t, total);
    });
  }
  float inner_product(const Matrix& left, const Matrix& right) const {
    return sum(sum_over(n * p, [&](int64_t i, int) { return load(left.data + i) * load(right.data + i); }));
  }
  void backward_inputs(const Span& span, int64_t head, const Matrix& dstate) {
    const float A = a.A[head], D = a.D[head];
    const int rows = span.rows;
    product<ALL, false>(du, rows, p, as_is(B), dstate, n);
    for (int t = 0; t < rows; ++t)
      across(p, [&](int i) { store(du.row(t) + i, load(du.row(t) + i) * decays.until[t]); });
    product<TERMS_FROM_ROW, true>(du, rows, p, transposed(mixing), dy, rows);
    float dA_here = 0.0f;
    Vec dD_here{};
    for (int t = 0; t < span.steps; ++t) {
      Vec ddt{};
      across(p, [&](int i) {
        const Vec of_u = load(du.row(t) + i), of_y = load(dy.row(t) + i), input = load(x.row(t) + i);
        ddt += of_u * input;
        dD_here += of_y * input;
        store(du.row(t) + i, of_u * decays.dt[t] + of_y * D);
      });
      dA_here += gradients.log_decay[t] * decays.dt[t];
      span.unit.step(a.ddt, span.start + t)[head] = sum(ddt) + gradients.log_decay[t] * A;
    }
    span.write(a.dx, head * a.width, a.width, du);
    dA[head - span.unit.first] += dA_here;  // sums of chunks are added, not steps: long sums lose digits
    dD[head - span.unit.first] += sum(dD_here);
  }
};

template <typename Direction>
void ssd_units(const SsdArguments& a) {
#pragma omp parallel
  {
    const FlushDenormals flush;
    Direction direction(a);
#pragma omp for schedule(dynamic)
    for (int64_t unit = 0; unit < HeadsOfGroup::count(a); ++unit) direction.unit(HeadsOfGroup(a, unit));
  }
}

void ssd_forward(const SsdArguments& a) { ssd_units<SsdForward>(a); }
void ssd_backward(const SsdArguments& a) { ssd_units<SsdBackward>(a); }

}  // namespace BHASA_ISA
