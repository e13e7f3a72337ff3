// Products of small matrices that lie in a core's own cache.
//
// A tile of the result, ROWS rows of one or two vectors, stays in registers while a step of the sum is one row
// of the right factor and ROWS numbers of the left one. The terms of a number are added in their order, one
// after the other, so neither the place of a tile nor terms of 0 change any bit.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "arguments.h"
#include "vector.h"

namespace BHASA_ISA {

INLINE int padded(int64_t size) { return static_cast<int>((size + MAX_LANES - 1) / MAX_LANES * MAX_LANES); }

// Rows of `pitch` floats. Numbers of rows and columns are padded, so that no tile is cut.
struct Matrix {
  float* data;
  int pitch;
  float* row(int i) const { return data + i * pitch; }
};

// A matrix with memory of its own, of zeros at first. A kernel cannot report that there is none: it may be in
// the middle of a parallel region, which no exception may leave.
struct Scratch : Matrix {
  const size_t bytes;

  Scratch(int rows, int pitch) : Matrix{nullptr, pitch}, bytes(sizeof(float) * rows * pitch) {
    data = static_cast<float*>(std::aligned_alloc(64, bytes));
    if (!data) {
      std::fprintf(stderr, "bhasa: out of memory: a kernel needs %zu more bytes\n", bytes);
      std::abort();
    }
    clear();
  }
  ~Scratch() { std::free(data); }
  Scratch(const Scratch&) = delete;
  void clear() const { std::memset(data, 0, bytes); }
};

// The left factor of a product: number (i, k) of it lies at i row_stride + k step_stride.
struct Left {
  const float* data;
  int row_stride, step_stride;
};
INLINE Left as_is(const Matrix& m) { return {m.data, m.pitch, 1}; }
INLINE Left transposed(const Matrix& m) { return {m.data, 1, m.pitch}; }

// What is not zero, or not asked for: terms up to the row's number, terms from it on, columns up to it.
enum Extent { ALL, TERMS_TO_ROW, TERMS_FROM_ROW, COLUMNS_TO_ROW };

constexpr int ROWS = LANES == 16 ? 8 : 4;  // with two vectors each, half of the registers that there are

// One tile: out = scale out + left right, or without the first term unless ADD.
template <int VECTORS, bool ADD>
INLINE void tile(float* out, int pitch, Left left, const float* right, int right_pitch, int first, int end,
                 float scale) {
  Vec sum[ROWS][VECTORS];
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) sum[i][v] = ADD ? load(out + i * pitch + v * LANES) * scale : Vec{};
  for (int k = first; k < end; ++k) {
    Vec row[VECTORS];
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) row[v] = load(right + k * right_pitch + v * LANES);
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 2
      for (int v = 0; v < VECTORS; ++v)
        sum[i][v] += left.data[i * left.row_stride + k * left.step_stride] * row[v];
  }
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) store(out + i * pitch + v * LANES, sum[i][v]);
}

template <int VECTORS, Extent PART, bool ADD>
INLINE void column_of_tiles(const Matrix& out, int rows, int column, Left left, const Matrix& right, int terms,
                            float scale) {
  for (int i = PART == COLUMNS_TO_ROW ? column / ROWS * ROWS : 0; i < rows; i += ROWS) {
    const Left here{left.data + i * left.row_stride, left.row_stride, left.step_stride};
    const int first = PART == TERMS_FROM_ROW ? i : 0, end = PART == TERMS_TO_ROW ? i + ROWS : terms;
    tile<VECTORS, ADD>(out.row(i) + column, out.pitch, here, right.data + column, right.pitch, first, end,
                       scale);
  }
}

// out (rows, columns) = scale out + left (rows, terms) right (terms, columns). Sizes are multiples of MAX_LANES.
template <Extent PART, bool ADD>
void product(const Matrix& out, int rows, int columns, Left left, const Matrix& right, int terms,
             float scale = 1.0f) {
  int column = 0;
  for (; column + 2 * LANES <= columns; column += 2 * LANES)
    column_of_tiles<2, PART, ADD>(out, rows, column, left, right, terms, scale);
  if (column < columns) column_of_tiles<1, PART, ADD>(out, rows, column, left, right, terms, scale);
}

INLINE void transpose_block(const Matrix& from, int i, int j, const Matrix& to) {
  Four r[4], pairs[4];
  for (int k = 0; k < 4; ++k) std::memcpy(r + k, from.row(i + k) + j, sizeof(Four));
  for (int k = 0; k < 2; ++k) {
    pairs[k] = __builtin_shufflevector(r[k], r[k + 2], 0, 4, 1, 5);
    pairs[k + 2] = __builtin_shufflevector(r[k], r[k + 2], 2, 6, 3, 7);
  }
  for (int k = 0; k < 2; ++k) {
    r[2 * k] = __builtin_shufflevector(pairs[2 * k], pairs[2 * k + 1], 0, 4, 1, 5);
    r[2 * k + 1] = __builtin_shufflevector(pairs[2 * k], pairs[2 * k + 1], 2, 6, 3, 7);
  }
  for (int k = 0; k < 4; ++k) std::memcpy(to.row(j + k) + i, r + k, sizeof(Four));
}

// to (columns, rows) = from (rows, columns) transposed; of any size.
inline void transpose(const Matrix& from, int rows, int columns, const Matrix& to) {
  for (int i = 0; i < rows; i += 4)
    for (int j = 0; j < columns; j += 4) {
      if (i + 4 <= rows && j + 4 <= columns) {
        transpose_block(from, i, j, to);
        continue;
      }
      for (int row = i; row < rows && row < i + 4; ++row)
        for (int column = j; column < columns && column < j + 4; ++column)
          to.row(column)[row] = from.row(row)[column];
    }
}

}  // namespace BHASA_ISA
