// Matrix products, alone and added to a weight. A product is made in tiles, so that what is read of
// either factor serves many elements; each element is still the sum over `inner` from 0 on.
#include <algorithm>
#include <cmath>
#include <tuple>

#include <fmt/format.h>

#include "runtime/exec/computed/node_evaluator.h"

namespace ckmap {
namespace {

constexpr int64_t kTileRows = 64;
constexpr int64_t kTileColumns = 1024;
constexpr int64_t kTileInner = 1024;  // a factor that is a product itself is made once for each stretch of this length

// A stretch of one row that is wanted.
struct Part {
  int64_t row = 0;
  int64_t column = 0;
  int64_t count = 0;
  std::byte* out = nullptr;
};

// left [batch * rows, inner] @ right [batch, inner, columns], a tile at a time.
class TileProduct {
 public:
  TileProduct(OperandReader& left, OperandReader& right, int64_t rows, int64_t inner, int64_t columns)
      : left_(left), right_(right), rows_(rows), inner_(inner), columns_(columns) {}

  // Rows that stand in one batch × `count` columns from `column` on; row-major in `out`.
  Result<void> Multiply(std::span<const int64_t> rows, int64_t column, int64_t count, std::vector<double>& out) {
    out.assign(rows.size() * static_cast<size_t>(count), 0);
    const int64_t batch = rows.front() / rows_ * inner_ * columns_;
    for (int64_t k0 = 0; k0 < inner_; k0 += kTileInner) {
      CKMAP_RETURN_IF_ERROR(left_.CheckStop());
      const int64_t depth = std::min(kTileInner, inner_ - k0);
      factors_.resize(rows.size() * static_cast<size_t>(depth));
      for (size_t i = 0; i < rows.size(); ++i) {
        CKMAP_ASSIGN_OR_RETURN(const double* row, left_.Read(rows[i] * inner_ + k0, depth));
        std::copy_n(row, depth, factors_.data() + i * static_cast<size_t>(depth));
      }
      for (int64_t k = 0; k < depth; ++k) {
        CKMAP_ASSIGN_OR_RETURN(const double* other, right_.Read(batch + (k0 + k) * columns_ + column, count));
        for (size_t i = 0; i < rows.size(); ++i) {
          const double factor = factors_[i * static_cast<size_t>(depth) + static_cast<size_t>(k)];
          double* sums = out.data() + i * static_cast<size_t>(count);
          for (int64_t j = 0; j < count; ++j) sums[j] += factor * other[j];
        }
      }
    }
    return {};
  }

 private:
  OperandReader& left_;
  OperandReader& right_;
  int64_t rows_, inner_, columns_;
  std::vector<double> factors_;
};

// Cuts what is wanted along a grid of columns, and brings together what one tile can make.
std::vector<Part> CutInParts(std::span<const Segment> wanted, int64_t columns, int64_t element) {
  std::vector<Part> parts;
  for (const Segment& segment : wanted) {
    for (int64_t done = 0; done < segment.count;) {
      const int64_t at = segment.begin + done;
      const int64_t column = at % columns;
      const int64_t edge = std::min(columns, (column / kTileColumns + 1) * kTileColumns);
      const int64_t count = std::min(edge - column, segment.count - done);
      parts.push_back({at / columns, column, count, segment.out + done * element});
      done += count;
    }
  }
  std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    return std::tie(a.column, a.count, a.row) < std::tie(b.column, b.count, b.row);
  });
  return parts;
}

class TileEvaluator : public NodeEvaluator {
 public:
  TileEvaluator(LoweredNodePtr lowered, Gatherer& gatherer, int64_t rows, int64_t columns)
      : NodeEvaluator(std::move(lowered), gatherer), rows_(rows), columns_(columns) {}

  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& overflowed) final {
    const std::vector<Part> parts = CutInParts(wanted, columns_, DTypeSize(node().dtype));
    for (size_t begin = 0; begin < parts.size();) {
      const Part& first = parts[begin];
      std::vector<int64_t> rows;
      size_t end = begin;
      while (end < parts.size() && rows.size() < kTileRows && parts[end].column == first.column &&
             parts[end].count == first.count && parts[end].row / rows_ == first.row / rows_) {
        rows.push_back(parts[end++].row);
      }
      CKMAP_RETURN_IF_ERROR(MakeTile(rows, first.column, first.count, tile_));
      for (size_t i = begin; i < end; ++i) {
        const std::span<double> values(tile_.data() + (i - begin) * static_cast<size_t>(first.count),
                                       static_cast<size_t>(first.count));
        CKMAP_RETURN_IF_ERROR(Encode(parts[i].row * columns_ + parts[i].column, values, parts[i].out, overflowed));
      }
      begin = end;
    }
    return {};
  }

 protected:
  virtual Result<void> MakeTile(std::span<const int64_t> rows, int64_t column, int64_t count,
                                std::vector<double>& out) = 0;

 private:
  int64_t rows_, columns_;  // of one batch
  std::vector<double> tile_;
};

class ProductEvaluator final : public TileEvaluator {
 public:
  ProductEvaluator(const ProductSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : TileEvaluator(std::move(lowered), gatherer, spec.rows, spec.columns),
        product_(operand(0), operand(1), spec.rows, spec.inner, spec.columns) {}

 private:
  Result<void> MakeTile(std::span<const int64_t> rows, int64_t column, int64_t count,
                        std::vector<double>& out) override {
    return product_.Multiply(rows, column, count, out);
  }

  TileProduct product_;
};

class LoraEvaluator final : public TileEvaluator {
 public:
  LoraEvaluator(const LoraMergeSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : TileEvaluator(std::move(lowered), gatherer, spec.rows, spec.columns),
        spec_(spec),
        product_(operand(1), operand(2), spec.rows, spec.inner, spec.columns) {}

 private:
  Result<void> MakeTile(std::span<const int64_t> rows, int64_t column, int64_t count,
                        std::vector<double>& out) override {
    if (!has_operand(3)) return Merge(rows, column, count, out);
    std::vector<double> factors(rows.size());
    CKMAP_RETURN_IF_ERROR(MeasureRows(rows, factors));
    CKMAP_RETURN_IF_ERROR(Merge(rows, column, count, out));
    for (size_t i = 0; i < rows.size(); ++i) {
      double* values = out.data() + i * static_cast<size_t>(count);
      for (int64_t j = 0; j < count; ++j) values[j] *= factors[i];
    }
    return {};
  }

  // weight + scale * left @ right.
  Result<void> Merge(std::span<const int64_t> rows, int64_t column, int64_t count, std::vector<double>& out) {
    CKMAP_RETURN_IF_ERROR(product_.Multiply(rows, column, count, out));
    for (size_t i = 0; i < rows.size(); ++i) {
      CKMAP_ASSIGN_OR_RETURN(const double* weight, operand(0).Read(rows[i] * spec_.columns + column, count));
      double* values = out.data() + i * static_cast<size_t>(count);
      for (int64_t j = 0; j < count; ++j) values[j] = weight[j] + spec_.scale * values[j];
    }
    return {};
  }

  // The factor that gives each of these rows its length.
  Result<void> MeasureRows(std::span<const int64_t> rows, std::vector<double>& factors) {
    std::vector<int64_t> open;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (const double* known = factors_.Find(rows[i])) {
        factors[i] = *known;
      } else {
        open.push_back(rows[i]);
      }
    }
    if (open.empty()) return {};
    std::vector<double> squares(open.size(), 0), part;
    for (int64_t column = 0; column < spec_.columns; column += kTileColumns) {
      const int64_t count = std::min(kTileColumns, spec_.columns - column);
      CKMAP_RETURN_IF_ERROR(Merge(open, column, count, part));
      for (size_t i = 0; i < open.size(); ++i) {
        const double* values = part.data() + i * static_cast<size_t>(count);
        for (int64_t j = 0; j < count; ++j) squares[i] += values[j] * values[j];
      }
    }
    size_t at = 0;  // in `open`, whose rows stand in the order of `rows`
    for (size_t i = 0; i < rows.size() && at < open.size(); ++i) {
      if (rows[i] != open[at]) continue;
      CKMAP_ASSIGN_OR_RETURN(const double* magnitude, operand(3).Read(rows[i], 1));
      if (squares[at] == 0) {
        return Wrong(
            fmt::format("row {} of the merged weight is zero, and cannot be given the length {}", rows[i], *magnitude));
      }
      factors[i] = factors_.Put(rows[i], *magnitude / std::sqrt(squares[at++]));
    }
    return {};
  }

  const LoraMergeSpec& spec_;
  TileProduct product_;
  RowMemo<double> factors_;
};

}  // namespace

EvaluatorPtr MakeEvaluator(const ProductSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<ProductEvaluator>(spec, std::move(node), gatherer);
}

EvaluatorPtr MakeEvaluator(const LoraMergeSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<LoraEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
