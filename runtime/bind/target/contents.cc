#include "runtime/bind/target/contents.h"

#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "runtime/bind/computed_node.h"
#include "runtime/bind/explain/candidates.h"
#include "runtime/ops/scalar_bytes.h"

namespace ckmap {
namespace {

class ContentsCheck {
 public:
  ContentsCheck(const BindContext& context, const plan::Drop& drop, size_t source, const NamePrefix& prefix,
                const Captures& captures)
      : context_(context),
        contents_(drop.equals()),
        drop_(drop),
        info_(context.source[source]),
        source_(source),
        prefix_(prefix),
        captures_(captures),
        scope_(context, prefix, captures) {}

  // Why it cannot be compared; "" if `check` was filled.
  std::string Make(ValueCheck& check) {
    check.tensor = info_.name;
    if (!info_.unreadable.empty()) return "it cannot be read: " + info_.unreadable;
    check.found = context_.visible.Whole(source_);
    check.expected.dtype = info_.dtype;
    std::string says = contents_.text();
    if (const std::string why = Expect(check, says); !why.empty()) return why;
    check.claim = fmt::format("the `drop` at {} says that it equals {}", context_.Where(drop_.loc()), says);
    check.help = fmt::format("if its values matter, write a rule for it; if they do not: drop \"{}\";", info_.name);
    return "";
  }

 private:
  std::string Expect(ValueCheck& check, std::string& says) {
    switch (contents_.kind()) {
      case plan::Contents::TENSOR:
        return ExpectTensor(check, says);
      case plan::Contents::ZEROS:
        return ExpectConstant(check, int64_t{0});
      case plan::Contents::ONES:
        return ExpectConstant(check, int64_t{1});
      case plan::Contents::CONSTANT:
        return ExpectConstant(check, Argument());
      case plan::Contents::IOTA: {
        SequenceSpec spec;
        const auto first = ExactDouble(Argument());
        spec.columns = Last(0);
        if (!first || std::fabs(*first) + static_cast<double>(spec.columns) > 0x1p53)
          return fmt::format("numbers above 2^53 are not counted exactly, and {} is the first",
                             FormatNumber(Argument()));
        spec.first = *first;
        return ExpectSequence(check, spec);
      }
      case plan::Contents::TRIL: {
        if (info_.shape.size() < 2) return "a triangle has two axes";
        SequenceSpec spec;
        spec.kind = SequenceSpec::Kind::kLowerTriangle;
        spec.rows = Last(1);
        spec.columns = Last(0);
        return ExpectSequence(check, spec);
      }
      case plan::Contents::INV_FREQ: {
        SequenceSpec spec;
        spec.kind = SequenceSpec::Kind::kInverseFrequency;
        spec.theta = ExactDouble(Argument()).value_or(std::nan(""));
        spec.columns = Last(0);
        if (!IsFloat(info_.dtype)) return fmt::format("{} has no fractions", DTypeName(info_.dtype));
        if (!(spec.theta > 0) || !std::isfinite(spec.theta)) return fmt::format("theta is {}", spec.theta);
        // Frameworks compute it in f32, and some round it further: some steps of the last bit.
        check.tolerance = DTypeBits(info_.dtype) >= 32 ? 1e-5 : 2e-2;
        return ExpectSequence(check, spec);
      }
      default:
        return "this version does not know what it is said to hold";
    }
  }

  std::string ExpectTensor(ValueCheck& check, std::string& says) {
    const auto name = Instantiate(contents_.tensor(), scope_, captures_);
    if (!name) return name.error().message();
    const std::string full = prefix_.source + *name;
    says = fmt::format("`{}`", full);
    const auto other = context_.source.Find(full);
    if (!other) return fmt::format("the source has no `{}`", full);
    if (*other == source_) return "it is compared with itself";
    const TensorInfo& info = context_.source[*other];
    if (!info.unreadable.empty()) return fmt::format("`{}` cannot be read: {}", full, info.unreadable);
    if (info.dtype != info_.dtype || info.shape != info_.shape)
      return DescribeTensor(info) + " has another shape or dtype";
    check.expected = context_.visible.Whole(*other);
    return "";
  }

  std::string ExpectConstant(ValueCheck& check, const Number& value) const {
    const auto bytes = ScalarBytes(value, info_.dtype);
    if (!bytes) return fmt::format("{} cannot hold {}", DTypeName(info_.dtype), FormatNumber(value));
    check.expected.fill = *bytes;
    check.expected.value = WholeTensor(kFillInput, info_.shape);
    return "";
  }

  std::string ExpectSequence(ValueCheck& check, const SequenceSpec& spec) const {
    if (DTypeBits(info_.dtype) < 8 || IsComplex(info_.dtype) || info_.dtype == DType::kI4 ||
        info_.dtype == DType::kF4 || info_.dtype == DType::kF8E8M0) {
      return fmt::format("{} has no such numbers", DTypeName(info_.dtype));
    }
    ComputedNode node;
    node.text = contents_.text();
    node.spec = spec;
    node.shape = info_.shape;
    node.dtype = info_.dtype;
    check.expected.inputs = {{0, {}, std::make_shared<const ComputedNode>(std::move(node))}};
    check.expected.value = WholeTensor(0, info_.shape);
    return "";
  }

  // The size of the `back`-th axis from behind; 1 if there is none, or it is empty.
  int64_t Last(size_t back) const {
    return info_.shape.size() > back ? std::max<int64_t>(1, info_.shape[info_.shape.size() - 1 - back]) : 1;
  }

  // The statement's one argument, 0 if there is none.
  Number Argument() const {
    if (contents_.args().empty()) return int64_t{0};
    const Result<Number> number = EvaluateNumber(contents_.args(0).value(), scope_);
    return number ? *number : Number(std::nan(""));
  }

  const BindContext& context_;
  const plan::Contents& contents_;
  const plan::Drop& drop_;
  const TensorInfo& info_;
  const size_t source_;
  const NamePrefix& prefix_;
  const Captures& captures_;
  const ApplicationScope scope_;
};

}  // namespace

void CheckContents(const BindContext& context, const plan::Drop& drop, size_t source, const NamePrefix& prefix,
                   const Captures& captures, std::vector<ValueCheck>& checks, std::vector<Issue>& issues) {
  ValueCheck check;
  const std::string why = ContentsCheck(context, drop, source, prefix, captures).Make(check);
  if (why.empty()) {
    checks.push_back(std::move(check));
    return;
  }
  const TensorInfo& info = context.source[source];
  issues.push_back({"CK1218",
                    IssueSeverity::kError,
                    info.name,
                    fmt::format("{} is dropped as equal to {}, and cannot be compared: {}", DescribeTensor(info),
                                drop.equals().text(), why),
                    {fmt::format("the statement is at {}", context.Where(drop.loc()))},
                    fmt::format("write a rule for it, or leave it out whatever it holds: drop \"{}\";", info.name)});
}

}  // namespace ckmap
