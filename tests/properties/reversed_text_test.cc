// Random rules that can be undone: the text from right to left does what the reversed plan does, or is an error that
// says why. How many cases: RC_PARAMS="max_success=20000" (tests/properties.sh).
#include <algorithm>
#include <map>
#include <tuple>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <rapidcheck.h>

#include "compiler/compiler.h"
#include "runtime/bind/bind.h"
#include "tests/properties/chain.h"
#include "tests/properties/rule_text.h"

namespace ckmap::testing {
namespace {

constexpr const char* kFile = "rule.ckmap";

// Where each element of a tensor comes from, and what is done to it.
using Origins = std::vector<std::tuple<int64_t, int64_t, size_t>>;  // source tensor, its element, chain of operations

class OriginReader {
 public:
  std::map<std::string, Origins> Read(const BoundPlan& plan) {
    std::map<std::string, Origins> all;
    for (const BoundTensor& tensor : plan.tensors) {
      Origins& origins = all[tensor.name];
      origins.assign(static_cast<size_t>(*NumElements(tensor.shape)), {-2, 0, 0});
      for (const Piece& piece : tensor.value.pieces) ReadPiece(tensor, piece, origins);
    }
    return all;
  }

 private:
  void ReadPiece(const BoundTensor& tensor, const Piece& piece, Origins& origins) {
    const BoundInput* input = piece.input == kFillInput ? nullptr : &tensor.inputs[static_cast<size_t>(piece.input)];
    for (int64_t i = 0; i < piece.elements(); ++i) {
      int64_t src = piece.src_offset, dst = piece.dst_offset, rest = i;
      for (size_t k = piece.axes.size(); k-- > 0;) {
        const int64_t at = rest % piece.axes[k].size;
        rest /= piece.axes[k].size;
        src += at * piece.axes[k].src_stride;
        dst += at * piece.axes[k].dst_stride;
      }
      origins.at(static_cast<size_t>(dst)) = {input == nullptr ? -1 : static_cast<int64_t>(input->source), src,
                                              input == nullptr ? 0 : Chain(input->casts)};
    }
  }

  size_t Chain(const std::vector<ElementOp>& chain) {
    const auto found = std::find(chains_.begin(), chains_.end(), chain);
    if (found != chains_.end()) return static_cast<size_t>(found - chains_.begin());
    chains_.push_back(chain);
    return chains_.size() - 1;
  }

  std::vector<std::vector<ElementOp>> chains_;
};

std::string Messages(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    text += diagnostic.message + "\n";
    for (const std::string& note : diagnostic.notes) text += "  " + note + "\n";
  }
  return text;
}

std::string Messages(const std::vector<Issue>& issues) {
  std::string text;
  for (const Issue& issue : issues) text += fmt::format("{} {}\n", issue.code, issue.message);
  return text;
}

std::optional<Plan> CompileText(const std::string& text, bool reverse) {
  CompileOptions options;
  options.memory_files[kFile] = text;
  options.reverse = reverse;
  CompileResult result = Compile(kFile, options);
  if (!result.plan) RC_LOG() << Messages(result.diagnostics);
  return std::move(result.plan);
}

BindResult BindTo(const Plan& plan, const Manifest& from, const Manifest& to) {
  Result<BindResult> result = Bind(plan, from, to, {});
  if (!result) RC_FAIL(result.error().message());
  return *std::move(result);
}

struct Outcomes {
  int same = 0;
  std::map<std::string, int> refused;
};

TEST_CASE("the reversed text does what the reversed plan does") {
  Outcomes outcomes;
  CHECK(rc::check("reversed text and reversed plan agree", [&] {
    const RandomRule rule = DrawRule();
    RC_LOG() << rule.text;
    const std::optional<Plan> plan = CompileText(rule.text, true);
    RC_PRE(plan.has_value());
    const BindResult by_plan = BindTo(*plan, rule.right, rule.left);
    RC_PRE(by_plan.plan.has_value());
    CompileOptions options;
    options.memory_files[kFile] = rule.text;
    const ReversedText text = ReverseToText(kFile, options);
    if (!text.text) {
      RC_ASSERT(!text.diagnostics.empty());
      const auto why = std::find_if(text.diagnostics.begin(), text.diagnostics.end(),
                                    [](const Diagnostic& d) { return d.kind == DiagnosticKind::kNotReversible; });
      RC_ASSERT(why != text.diagnostics.end());
      ++outcomes.refused[why->notes.empty() ? why->message : why->notes.front()];
      return;
    }
    RC_LOG() << *text.text;
    const std::optional<Plan> back = CompileText(*text.text, false);
    RC_ASSERT(back.has_value());
    const BindResult by_text = BindTo(*back, rule.right, rule.left);
    if (!by_text.plan) RC_FAIL(Messages(by_text.issues));
    OriginReader reader;
    RC_ASSERT(reader.Read(*by_plan.plan) == reader.Read(*by_text.plan));
    ++outcomes.same;
  }));
  int refused = 0;
  for (const auto& [why, count] : outcomes.refused) refused += count;
  std::string said = fmt::format("the same: {}, refused: {}", outcomes.same, refused);
  for (const auto& [why, count] : outcomes.refused) said += fmt::format("\n{:6} {}", count, why.substr(0, 160));
  MESSAGE(said);
  CHECK(outcomes.same > refused);
}

}  // namespace
}  // namespace ckmap::testing
