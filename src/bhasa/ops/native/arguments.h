// What the kernels are called with. `library.py` has the same structures in the same order.
#pragma once

#include <cstdint>

constexpr int SCAN_GROUP = 64;  // channels of one unit of work
constexpr int CONV_GROUP = 64;
constexpr int ROW_BLOCK = 32;
constexpr int MAX_TAPS = 16;
constexpr int SCAN_CHUNK = 32;  // steps between saved states
constexpr int SSD_CHUNK = 64;  // steps between saved states
constexpr int SSD_HEADS = 4;   // heads of one unit of work
constexpr int MAX_STATES = 256;
constexpr int MAX_LANES = 16;   // of the widest vectors: what saved states are padded to

// A (batch, length, width) tensor whose last axis is contiguous.
struct Sequence {
  float* data;
  int64_t batch_stride, time_stride;
};

struct ScanArguments {
  int64_t batch, length, channels, states;
  Sequence x, dt, z, B, C;        // z.data may be null
  const float *A, *D, *dt_bias;   // (channels, states), (channels), (channels) or null
  const uint8_t* keep;            // (batch, length) or null; 0 forgets the earlier state
  float* initial_state;           // (batch, channels, states)
  float* saved;                   // (batch, chunks, padded channels, states) or null
  Sequence y;                     // forward: output; backward: its gradient
  float* final_state;             // forward: output; backward: its gradient
  Sequence dx, ddt, dz;           // from here on backward only
  float *dB, *dC;                 // (groups, batch, length, states): summed over groups by the caller
  float *dA, *dD, *ddt_bias;      // (batch, channels, ...): summed over the batch by the caller
  float* dinitial_state;          // (batch, channels, states)
};

struct SsdArguments {
  int64_t batch, length, heads, width, groups, states;
  Sequence x, dt, B, C;           // (heads, width), (heads), (groups, states) twice: a step
  const float *A, *D;             // (heads)
  const uint8_t* keep;            // (batch, length) or null; 0 forgets the earlier state
  float* initial_state;           // (batch, heads, width, states)
  float* saved;                   // (batch, heads, chunks, padded states, padded width) or null
  Sequence y;                     // forward: output; backward: its gradient
  float* final_state;             // forward: output; backward: its gradient
  Sequence dx, ddt;               // from here on backward only
  float *dB, *dC;                 // (blocks of SSD_HEADS, batch, length, groups, states): summed by the caller
  float *dA, *dD;                 // (batch, heads): summed over the batch by the caller
  float* dinitial_state;          // (batch, heads, width, states)
};

struct ConvArguments {
  int64_t batch, length, channels, taps;
  Sequence x;
  const float *weight, *bias;     // (taps, channels), (channels) or null
  const float* before;            // (batch, taps - 1, channels): the inputs before the first one
  const int64_t* segment_ids;     // (batch, length) or null
  Sequence y;                     // forward: output; backward: its gradient
  Sequence dx;                    // from here on backward only
  // Zeros when called; the first two are summed over the batch by the caller.
  float *dweight, *dbias, *dbefore;  // (batch, taps, channels), (batch, channels), (batch, taps - 1, channels)
};

struct NormArguments {
  int64_t rows, groups, width, z_stride;  // width of a group; of z from row to row
  float eps;
  const float *x, *weight, *z;    // (rows, groups, width), (groups, width), as x or null
  float* y;                       // (rows, groups, width); forward: output; backward: its gradient
  float* scale;                   // (rows, groups): the reciprocal root mean square
  float *dx, *dz, *dweight;       // backward only: as x, as x or null, (blocks of rows, groups, width)
};

struct SoftmaxArguments {
  int64_t rows, columns, first_column;  // one block of the vocabulary
  float* logits;                  // (rows, columns)
  const int64_t* targets;         // (rows); negative: no loss
  float *largest, *total, *target_logit;  // (rows): over the columns seen so far
};

// Weights of a layer, as torch keeps them: (out, in), and its state.
struct DecodeLayer {
  const float* norm;              // (width)
  const float *in_proj, *in_bias;     // (2 channels, width), (2 channels) or null
  const float *conv, *conv_bias;      // (channels, taps), (channels) or null
  const float* x_proj;            // (rank + 2 states, channels)
  const float *dt_proj, *dt_bias;     // (channels, rank), (channels)
  const float *A, *D;             // (channels, states), (channels)
  const float *out_proj, *out_bias;   // (width, channels), (width) or null
  float *conv_state, *ssm_state;  // (channels, taps - 1), (channels, states): changed in place
};

struct DecodeArguments {
  int64_t depth, width, channels, states, taps, rank, vocabulary;
  float eps;
  const DecodeLayer* layers;      // (depth)
  const float *embeddings, *norm, *head;  // (vocabulary, width), (width), (vocabulary, width)
  float *residual, *x, *z, *dt, *y;  // scratch: (width), then (channels)
  float* projected;               // scratch: (rank + 2 states): dt, B and C
  int64_t token;
  float* logits;                  // (vocabulary)
};
