#include "tests/properties/rule_text.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <rapidcheck.h>

#include "tests/properties/chain.h"

namespace ckmap::testing {
namespace {

int64_t Roll(int64_t sides) { return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<int64_t>(0, sides)); }
bool Chance(int64_t percent) { return Roll(100) < percent; }

// How the tensors of one side are named.
enum class Names { kOne, kAlternatives, kGathered, kTerms };

class RuleWriter {
 public:
  RandomRule Run() {
    DrawSource();
    // The names of the source in front of its operations: brackets bind what these may use.
    const std::string source = Side(source_names_, state_, 's', true);
    std::vector<std::string> ops;
    AddTensors(rule_.left, source_names_, 's', DType::kF32);
    DType dtype = DType::kF32;
    for (int64_t left = 1 + Roll(5); left > 0; --left) {
      if (Chance(15)) {
        ops.push_back(Elementwise(dtype));
        continue;
      }
      const std::optional<Step> step = DrawStep(state_, true);
      if (!step || (step->op == "pad" && Chance(70))) continue;
      ops.push_back(OpText(*step));
      state_ = Apply(*step, state_);
    }
    DrawTarget();
    const std::string target = Side(target_names_, state_, 't', false);
    AddTensors(rule_.right, target_names_, 't', dtype);
    std::string rule = source;
    for (const std::string& op : ops) rule += " | " + op;
    rule += " <-> " + target;
    if (source_names_ == Names::kGathered && Chance(40)) rule += fmt::format(" where s in 0..{}", Number(count_));
    rule_.text = "ckmap 1;\n";
    for (const auto& [name, value] : params_) rule_.text += fmt::format("param {}: int = {};\n", name, value);
    rule_.text +=
        within_ ? fmt::format("within \"in.{{n:int}}\" <-> \"out.{{n{}}}\" {{\n  {};\n}}\n", shift_ ? "+1" : "", rule)
                : rule + ";\n";
    return std::move(rule_);
  }

 private:
  void DrawSource() {
    within_ = Chance(20);
    shift_ = within_ && Chance(50);
    outer_ = !within_ && Chance(15);
    state_ = Start();
    if (Chance(50)) return;
    count_ = 2 + Roll(3);
    source_names_ = Chance(40) ? Names::kAlternatives : Chance(60) ? Names::kGathered : Names::kTerms;
    state_.list = true;
    state_.arrays.resize(static_cast<size_t>(count_), state_.arrays[0]);
    if (source_names_ != Names::kTerms || state_.arrays[0].shape.empty() || Chance(50)) return;
    const auto axis = static_cast<size_t>(Roll(static_cast<int64_t>(state_.arrays[0].shape.size())));
    for (Array& array : state_.arrays) {  // only concat takes these
      Index shape = array.shape;
      shape[axis] = 1 + Roll(4);
      array = Iota(shape);
    }
  }

  void DrawTarget() {
    target_names_ = !state_.list               ? Names::kOne
                    : state_.arrays.size() < 2 ? (Chance(50) ? Names::kOne : Names::kGathered)
                    : Chance(40)               ? Names::kAlternatives
                    : Chance(50)               ? Names::kGathered
                                               : Names::kTerms;
    if (outer_ && target_names_ == Names::kTerms) target_names_ = Names::kAlternatives;
  }

  // ---- names ---------------------------------------------------------------------------------------

  std::string Term(const std::string& leaf) const {
    return fmt::format("\"{}{}\"", outer_ ? "o.{o:int...}." : "", leaf);
  }

  std::string Side(Names names, const State& state, char letter, bool source) {
    const size_t count = state.arrays.size();
    if (names == Names::kTerms) {
      if (outer_) outer_ = false;
      std::vector<std::string> terms;
      for (size_t i = 0; i < count; ++i)
        terms.push_back(Term(fmt::format("{}{}", letter, i)) + Brackets(state.arrays[i].shape, source));
      return fmt::format("{}", fmt::join(terms, ", "));
    }
    const bool equal = std::all_of(state.arrays.begin(), state.arrays.end(),
                                   [&](const Array& array) { return array.shape == state.arrays[0].shape; });
    const std::string brackets = equal ? Brackets(state.arrays[0].shape, source) : "";
    if (names == Names::kOne) return Term(std::string(1, letter)) + brackets;
    if (names == Names::kGathered) return Term(fmt::format("{0}.{{{0}:int...}}", letter)) + brackets;
    std::vector<std::string> options;
    for (size_t i = 0; i < count; ++i) options.push_back(fmt::format("{}{}", letter, i));
    return Term(fmt::format("{{{}}}", fmt::join(options, ","))) + brackets;
  }

  void AddTensors(Manifest& manifest, Names names, char letter, DType dtype) const {
    std::vector<std::string> prefixes = {""};
    if (outer_) prefixes = {"o.0.", "o.1."};
    const bool shifted = shift_ && letter == 't';
    if (within_ && letter == 's') prefixes = {"in.0.", "in.1."};
    if (within_ && letter == 't') prefixes = {shifted ? "out.1." : "out.0.", shifted ? "out.2." : "out.1."};
    for (const std::string& prefix : prefixes) {
      for (size_t i = 0; i < state_.arrays.size(); ++i) {
        TensorInfo info;
        info.name =
            prefix + (names == Names::kOne ? std::string(1, letter)
                                           : fmt::format("{}{}{}", letter, names == Names::kGathered ? "." : "", i));
        info.dtype = dtype;
        info.shape = state_.arrays[i].shape;
        RC_ASSERT(manifest.Add(info));
      }
    }
  }

  // ---- sizes ---------------------------------------------------------------------------------------

  std::string Brackets(const Index& shape, bool source) {
    if (Chance(source ? 20 : 50)) return "";
    std::vector<std::string> dims;
    for (const int64_t size : shape) dims.push_back(Dim(size, source));
    return fmt::format(" [{}]", fmt::join(dims, ", "));
  }

  std::string Dim(int64_t size, bool source) {
    const int64_t kind = Roll(source ? 10 : 6);
    if (kind == 0) return "_";
    if (kind == 1) return fmt::format("{}", size);
    if (kind == 2) return Number(size);
    for (const auto& [name, value] : names_) {
      if (value == size && Chance(source ? 30 : 70)) return name;
      if (!source && size % value == 0 && size > value && Chance(50))
        return fmt::format("{} * {}", Number(size / value), name);
    }
    if (!source && kind < 4) return "_";
    const std::string name = fmt::format("N{}", names_.size());
    names_[name] = size;
    return name;
  }

  // A number, or a parameter that has it.
  std::string Number(int64_t value) {
    if (value < 1 || Chance(75)) return fmt::format("{}", value);
    for (const auto& [name, known] : params_) {
      if (known == value) return name;
    }
    const std::string name = fmt::format("p{}", params_.size());
    params_[name] = value;
    return name;
  }

  std::string SizeText(int64_t value) {
    for (const auto& [name, known] : names_) {
      if (known == value && Chance(30)) return name;
    }
    return Number(value);
  }

  std::string Sizes(const Index& values) {
    std::vector<std::string> texts;
    for (const int64_t value : values) texts.push_back(SizeText(value));
    return fmt::format("{}", fmt::join(texts, ", "));
  }

  // ---- operations ------------------------------------------------------------------------------------

  std::string Elementwise(DType& dtype) {
    const int64_t kind = Roll(4);
    if (kind == 0 && dtype == DType::kF32) {
      dtype = DType::kI32;
      return "bitcast(i32, from=f32)";
    }
    if (kind == 1 && dtype == DType::kF32) return Chance(50) ? "scale(0.25)" : "scale(-8)";
    return kind == 2 ? "byteswap()" : "neg()";
  }

  static std::string Groups(const std::vector<Index>& groups) {
    std::vector<std::string> texts;
    for (const Index& group : groups) {
      std::vector<std::string> names;
      for (const int64_t atom : group) names.push_back(fmt::format("x{}", atom));
      texts.push_back(names.size() == 1 ? names[0] : fmt::format("({})", fmt::join(names, " ")));
    }
    return fmt::format("{}", fmt::join(texts, " "));
  }

  std::string RearrangeText(const Step& step) {
    std::string text = fmt::format("rearrange(\"{} -> {}\"", Groups(step.left), Groups(step.right));
    for (const Index& group : step.left) {
      for (size_t k = 1; k < group.size(); ++k) {
        text += fmt::format(", x{}={}", group[k], SizeText(step.atoms[static_cast<size_t>(group[k])]));
      }
    }
    return text + ")";
  }

  std::string OpText(const Step& step) {
    const std::string& op = step.op;
    const Index& n = step.numbers;
    const int64_t axis = step.axis;
    if (op == "rearrange") return RearrangeText(step);
    if (op == "permute") return fmt::format("permute({})", fmt::join(n, ", "));
    if (op == "reshape") return ReshapeText(n);
    if (op == "transpose") return fmt::format("transpose({}, {})", axis, n[0]);
    if (op == "flatten") return fmt::format("flatten(begin={}, end={})", axis, n[0]);
    if (op == "split") {
      const bool equal = std::all_of(n.begin(), n.end(), [&](int64_t size) { return size == n[0]; });
      if (equal && Chance(50))
        return fmt::format("split(axis={}, parts={})", axis, Number(static_cast<int64_t>(n.size())));
      return fmt::format("split(axis={}, sizes=[{}])", axis, Sizes(n));
    }
    if (op == "interleave") return fmt::format("interleave(axis={}, block={})", axis, SizeText(n[0]));
    if (op == "deinterleave")
      return fmt::format("deinterleave(axis={}, parts={}, block={})", axis, Number(n[0]), SizeText(n[1]));
    if (op == "pad") return fmt::format("pad(axis={}, before={}, after={})", axis, n[0], n[1]);
    return fmt::format("{}(axis={})", op, axis);
  }

  std::string ReshapeText(const Index& shape) {
    if (shape.empty()) return "reshape([])";
    std::vector<std::string> texts;
    for (const int64_t size : shape) texts.push_back(SizeText(size));
    if (Chance(30)) texts[static_cast<size_t>(Roll(static_cast<int64_t>(texts.size())))] = "-1";
    return fmt::format("reshape({})", fmt::join(texts, ", "));
  }

  RandomRule rule_;
  State state_;
  Names source_names_ = Names::kOne, target_names_ = Names::kOne;
  int64_t count_ = 0;    // of the source's list
  bool within_ = false;  // in a block with a capture
  bool shift_ = false;   // which the right side counts from 1
  bool outer_ = false;   // a gathered list around it
  std::map<std::string, int64_t> params_, names_;
};

}  // namespace

RandomRule DrawRule() { return RuleWriter().Run(); }

}  // namespace ckmap::testing
