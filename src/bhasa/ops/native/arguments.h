// What the kernels are called with. `structures.py` has the same structures in the same order.
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
constexpr int ATTENTION_BLOCK = 128;  // columns of the cache in one unit of work
constexpr int DECODE_MAMBA = 0;  // kinds of layers
constexpr int DECODE_MAMBA2 = 1;
constexpr int DECODE_ATTENTION = 2;
constexpr int DECODE_MLP = 3;

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

// One token of one text, from here on. Weights are as torch keeps them: (out, in); a bias may be null.

// RMSNorm, or LayerNorm where there is a bias.
struct DecodeNorm {
  const float *weight, *bias;     // (width)
  float eps;
};

struct DecodeMamba {
  int64_t channels, states, taps, rank;
  const float *in_proj, *in_bias;     // (2 channels, width), (2 channels)
  const float *conv, *conv_bias;      // (channels, taps), (channels)
  const float* x_proj;            // (rank + 2 states, channels)
  const float *dt_proj, *dt_bias;     // (channels, rank), (channels)
  const float *A, *D;             // (channels, states), (channels)
  const float *out_proj, *out_bias;   // (width, channels), (width)
  float *conv_state, *ssm_state;  // (channels, taps - 1), (channels, states): changed in place
  float *x, *z, *dt, *y;          // scratch: (channels)
  float* projected;               // scratch: (rank + 2 states): dt, B and C
};

struct DecodeMamba2 {
  int64_t heads, head_width, groups, states, taps;
  float dt_min, dt_max;
  DecodeNorm norm;                // (heads head_width), each group by itself
  // Rows are channels = heads head_width of z, then convolved = channels + 2 groups states, then heads of dt.
  const float *in_proj, *in_bias;     // (rows, width), (rows)
  const float *conv, *conv_bias;      // (convolved, taps), (convolved)
  const float *dt_bias, *A, *D;       // (heads)
  const float *out_proj, *out_bias;   // (width, channels), (width)
  float *conv_state, *ssm_state;  // (convolved, taps - 1), (channels, states): changed in place
  float *z, *y;                   // scratch: (channels)
  float* x;                       // scratch: (convolved): x, B and C
  float *dt, *decay;              // scratch: (heads)
};

struct DecodeAttention {
  int64_t heads, kv_heads, head_width;
  const float *frequency, *slopes;    // of rotations (head_width / 2), of ALiBi (heads); each may be null
  const float *q_proj, *q_bias;       // (heads head_width, width), (heads head_width)
  const float *k_proj, *k_bias;       // (kv_heads head_width, width), (kv_heads head_width)
  const float *v_proj, *v_bias;
  const float *o_proj, *o_bias;       // (width, heads head_width), (width)
  int64_t capacity;
  float *keys, *values;           // (kv_heads, capacity, head_width)
  int64_t column, past;           // where the token goes, and how many columns before it are of the cache
  int64_t* length;                // tokens of the document; counts this one afterwards
  float* q;                       // scratch: (heads, head_width)
  float* partial;                 // scratch: (heads, blocks of capacity, head_width + 2)
};

struct DecodeMlp {
  int64_t inner;
  const float *fc1, *fc2;         // (2 inner, width), (width, inner)
  float *y, *gate;                // scratch: (inner)
};

struct DecodeLayer {
  int64_t kind;                   // what `mixer` is: one of DECODE_
  DecodeNorm norm;                // (width)
  const void* mixer;
  DecodeNorm mlp_norm;            // (width)
  const DecodeMlp* mlp;           // after the mixer, or null
};

struct DecodeArguments {
  int64_t depth, width, vocabulary;
  int64_t own;                    // floats that each thread needs for itself
  int64_t weight_bytes;           // read for a token
  const DecodeLayer* layers;      // (depth)
  const float *embeddings, *head;     // (vocabulary, width)
  DecodeNorm norm;                // (width)
  float* residual;                // scratch: (width)
  int64_t token;
  float* logits;                  // (vocabulary)
};
