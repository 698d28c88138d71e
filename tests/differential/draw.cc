#include "tests/differential/draw.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ckmap::testing {
namespace {

constexpr int64_t kMaxElements = 600;

const std::vector<std::string> kNumbers = {"i8",  "u8",  "i16",  "u16", "i32", "u32",     "i64",
                                           "u64", "f16", "bf16", "f32", "f64", "f8_e4m3", "f8_e5m2"};
const std::vector<std::string> kFnuz = {"f8_e4m3fnuz", "f8_e5m2fnuz"};
const std::vector<std::string> kFloats = {"f16", "bf16", "f32", "f64"};
const std::vector<std::string> kIntegers = {"i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"};

std::string Word(Overflows overflow) {
  return overflow == Overflows::kSaturate ? "saturate" : overflow == Overflows::kInf ? "inf" : "error";
}

Index Divisors(int64_t number) {
  Index divisors;
  for (int64_t i = 1; i <= number; ++i) {
    if (number % i == 0) divisors.push_back(i);
  }
  return divisors;
}

// The tensors between two operations: one, or a list.
struct State {
  bool list = false;
  std::vector<Tensor> tensors;
};

class Drawer {
 public:
  explicit Drawer(uint64_t seed) : dice_(seed) {}

  Case Run() {
    tame_ = !dice_.OneIn(3);
    spaced_ = dice_.OneIn(5);
    const int64_t rules = dice_.OneIn(3) ? 2 : 1;
    for (int64_t r = 0; r < rules && !case_.refused; ++r) Rule(r);
    if (!case_.refused && dice_.OneIn(6)) Constant();
    case_.rules = "ckmap 1;\n" + Uses() + Unused() + Policies() + body_;
    case_.reads_all = !lossy_ && !derives_ && case_.spaces.empty();
    if (!case_.refused && dice_.OneIn(5)) Ranks();
    return std::move(case_);
  }

 private:
  // ---- rules -----------------------------------------------------------------------------------

  // What the rules need in front of them.
  std::string Uses() {
    std::string text;
    for (const std::string& space : case_.spaces) text += fmt::format("source {};\n", space);
    if (!case_.pack.empty()) {
      case_.pack = "ckmap 1;\n" + text + case_.pack;
      text = "use \"pack.ckmap\";\n";
    }
    return text;
  }

  // What operations may leave unread.
  std::string Unused() const {
    if (!lossy_) return "";
    std::string text = "target { allow unused \"**\"; }\n";
    for (const std::string& space : case_.spaces) text += fmt::format("target {{ allow unused \"{}:**\"; }}\n", space);
    return text;
  }

  // A name as it stands in a rule.
  static std::string Written(const std::string& name) {
    return name.find(':') == std::string::npos ? name : fmt::format("\"{}\"", name);
  }

  // The name of a source: of the first one, or of another.
  std::string NameSource() {
    std::string name = fmt::format("s{}", case_.sources.size());
    if (!spaced_ || dice_.OneIn(2)) return name;
    const std::string space = dice_.OneIn(2) ? "b" : "other";
    if (std::count(case_.spaces.begin(), case_.spaces.end(), space) == 0) case_.spaces.push_back(space);
    return fmt::format("{}:{}", space, name);
  }

  // Makes a derived source of what the rule gives so far: in the pack, or in the file itself, whose derived sources see
  // those of the pack. The rule goes on with it.
  void Derive(const State& state, std::string& text) {
    if (state.list || case_.refused || !dice_.OneIn(4)) return;
    const bool in_pack = dice_.OneIn(2);
    const std::string name = dice_.OneIn(3) && visible_.back().name.find(':') == std::string::npos
                                 ? visible_.back().name  // in the place of what it reads
                                 : fmt::format("d{}", derives_++);
    ++derives_;
    (in_pack ? case_.pack : body_) += fmt::format("{} -> source {};\n", text, name);
    for (size_t read = fresh_; read > 0; --read) visible_.pop_back();
    visible_.push_back({name, state.tensors[0]});
    fresh_ = 1;
    text = name;
    if (!in_pack || !dice_.OneIn(2)) return;
    // Once more, at the level above.
    State next = state;
    text += Step_(next, true);
    const std::string above = fmt::format("d{}", derives_++);
    body_ += fmt::format("{} -> source {};\n", text, above);
    visible_.back() = {above, next.tensors[0]};
    text = above;
  }

  void Rule(int64_t number) {
    State state;
    std::string text;
    // Two rules may read one source, in different ways: their targets may be tied.
    if (number > 0 && dice_.OneIn(2)) {
      const Named& source = dice_.OneOf(visible_);
      state.tensors = {source.tensor};
      text = Written(source.name);
    } else {
      fresh_ = 0;
      const int64_t count = dice_.OneIn(3) ? dice_.Between(2, 5) : 1;
      const Shapes shapes = DrawShapes(count);
      for (int64_t i = 0; i < count; ++i) {
        const std::string name = NameSource();
        Tensor tensor = DrawTensor(shapes.dtypes[static_cast<size_t>(i)], shapes.shapes[static_cast<size_t>(i)]);
        case_.sources.push_back({name, tensor});
        visible_.push_back(case_.sources.back());
        ++fresh_;
        std::string term = Written(name);
        if (dice_.OneIn(3)) term += fmt::format(" [{}]", fmt::join(tensor.shape, ", "));
        State alone{false, {std::move(tensor)}};
        if (count > 1 && dice_.OneIn(3)) {
          for (int64_t left = dice_.Between(1, 2); left > 0 && !case_.refused; --left) term += Step_(alone, true);
          term = "(" + term + ")";
        }
        text += (i == 0 ? "" : ", ") + term;
        state.tensors.push_back(std::move(alone.tensors[0]));
      }
      state.list = count > 1;
      if (state.list && dice_.OneIn(2)) text += Step_(state, false);
      Derive(state, text);
      if (!visible_.empty() && !state.list && text == visible_.back().name) state.tensors = {visible_.back().tensor};
    }
    // Nothing may take away the element that is refused.
    for (int64_t left = dice_.Between(1, 6); left > 0 && !case_.refused; --left) text += Step_(state, false);
    Targets(state, number, std::move(text));
  }

  void Targets(State& state, int64_t number, std::string text) {
    std::vector<std::string> names;
    for (size_t i = 0; i < state.tensors.size(); ++i) names.push_back(fmt::format("t{}.{}", number, i));
    for (size_t i = 0; i < names.size(); ++i) {
      Target target{names[i], state.tensors[i], ""};
      FitPolicy(target.tensor);
      const Target* first = case_.targets.empty() ? nullptr : &case_.targets.front();
      // Tensors of the same elements may be tied. Where they differ, it depends on their sources whether the migration is
      // refused or the tie is undone: tests/golden/commands/checks.txt and ops_elementwise.txt.
      if (first != nullptr && first->tensor.dtype == target.tensor.dtype &&
          first->tensor.shape == target.tensor.shape && !case_.refused && !first->tensor.rounded &&
          !target.tensor.rounded) {
        if (first->tensor.bits == target.tensor.bits && dice_.OneIn(2)) target.tied_to = first->name;
      }
      case_.targets.push_back(std::move(target));
    }
    std::string right;
    if (names.size() == 1) {
      right = fmt::format("\"{}\"", names[0]);
    } else if (dice_.OneIn(2)) {
      for (const std::string& name : names) right += fmt::format("{}\"{}\"", right.empty() ? "" : ", ", name);
    } else {
      std::string indices;
      for (size_t i = 0; i < names.size(); ++i) indices += fmt::format("{}{}", i == 0 ? "" : ",", i);
      right = fmt::format("\"t{}.{{{}}}\"", number, indices);
    }
    if (names.empty()) return;
    body_ += fmt::format("{} ARROW {};\n", text, right);
  }

  void Constant() {
    Tensor tensor{dice_.OneOf(kNumbers), DrawShape(), {}};
    std::string text;
    const auto bits = Literal(tensor.dtype, text);
    if (!bits) return;
    tensor.bits.assign(static_cast<size_t>(Product(tensor.shape)), *bits);
    case_.targets.push_back({"made", std::move(tensor), ""});
    body_ += fmt::format("init \"made\" = constant({});\n", text);
    lossy_ = true;  // backwards it has no place
  }

  // The target's dtype may be another one, which a policy allows.
  void FitPolicy(Tensor& tensor) {
    if (!IsNumberName(tensor.dtype) || tensor.rounded || !dice_.OneIn(8)) return;
    const std::string to = dice_.OneOf(kNumbers);
    if (to == tensor.dtype || policies_.contains(tensor.dtype)) return;
    const Overflows overflow = DrawOverflow(to);
    policies_[tensor.dtype] =
        fmt::format("target {{ cast {} -> {} overflow={}; }}\n", tensor.dtype, to, Word(overflow));
    Take(Cast(tensor, to, overflow), tensor);
  }

  std::string Policies() const {
    std::string text;
    for (const auto& [from, line] : policies_) text += line;
    return text;
  }

  void Ranks() {
    if (case_.targets.empty()) return;
    const Tensor& tensor = case_.targets[0].tensor;
    if (tensor.shape.empty() || tensor.shape[0] < 2) return;
    const Index divisors = Divisors(tensor.shape[0]);
    case_.ranks = divisors[static_cast<size_t>(dice_.Between(1, static_cast<int64_t>(divisors.size()) - 1))];
    case_.rules += fmt::format("shard \"{}\" axis=0 over tp;\n", case_.targets[0].name);
  }

  // ---- sources ---------------------------------------------------------------------------------

  struct Shapes {
    std::vector<std::string> dtypes;
    std::vector<Index> shapes;
  };

  Index DrawShape() {
    Index shape;
    for (int64_t rank = dice_.Between(0, 4); rank > 0; --rank)
      shape.push_back(dice_.OneIn(40) ? 0 : dice_.Between(1, 5));
    if (!shape.empty() && dice_.OneIn(3)) shape.back() *= 4;  // for bitcasts
    return shape;
  }

  // Several sources mostly fit together, for what joins them.
  Shapes DrawShapes(int64_t count) {
    Shapes shapes;
    const std::string dtype = DrawDType();
    const Index first = DrawShape();
    for (int64_t i = 0; i < count; ++i) {
      shapes.dtypes.push_back(dice_.OneIn(8) ? DrawDType() : dtype);
      Index shape = first;
      if (!shape.empty() && dice_.OneIn(3))
        shape[static_cast<size_t>(dice_.Between(0, static_cast<int64_t>(shape.size()) - 1))] = dice_.Between(1, 5);
      shapes.shapes.push_back(shape);
    }
    // An affine quantized weight, a LoRA, a weight with its norm.
    if (count > 1 && !first.empty() && dice_.OneIn(3)) Operands(count, shapes);
    return shapes;
  }

  void Operands(int64_t count, Shapes& shapes) {
    const std::string number = dice_.OneOf(kFloats);
    if (count == 2 && dice_.OneIn(3)) {  // a product
      const int64_t m = dice_.Between(1, 5), k = dice_.Between(0, 5), n = dice_.Between(1, 5);
      shapes = {{number, number}, {{m, k}, {k, n}}};
    } else if (count == 2 && dice_.OneIn(3)) {  // a table and indices
      const std::string index = dice_.OneOf(std::vector<std::string>{"u8", "u16", "u32", "u64", "i64"});
      shapes = {{DrawDType(), index}, {{dice_.Between(12, 16), dice_.Between(1, 3)}, {dice_.Between(1, 4), 2}}};
      if (dice_.OneIn(2)) shapes.shapes[0].pop_back();
    } else if (count == 3 && dice_.OneIn(2)) {  // weight, lora_A, lora_B
      const int64_t out = dice_.Between(1, 5), in = dice_.Between(1, 5), r = dice_.Between(1, 3);
      shapes = {{number, number, number}, {{out, in}, {r, in}, {out, r}}};
    } else if (count == 5) {  // weight, gamma, beta, mean, variance
      const int64_t channels = dice_.Between(1, 6);
      shapes = {std::vector<std::string>(5, number),
                {{channels, dice_.Between(1, 3)}, {channels}, {channels}, {channels}, {channels}}};
    } else if (count == 4) {
      return;
    } else {  // weight, scale(, zero point)
      const Index weight = {dice_.Between(1, 5), dice_.Between(1, 8)};
      const bool rows = dice_.OneIn(2);
      shapes.dtypes[0] = dice_.OneIn(2) ? dice_.OneOf(kIntegers)
                                        : dice_.OneOf(std::vector<std::string>{"f32", "f16", "f8_e4m3", "f8_e5m2"});
      shapes.shapes[0] = weight;
      shapes.dtypes[1] = number;
      shapes.shapes[1] = rows ? Index{weight[0]} : Index{1};
      if (count == 3) {
        shapes.dtypes[2] = dice_.OneIn(2) ? "i32" : "i8";
        shapes.shapes[2] = shapes.shapes[1];
      }
    }
  }

  std::string DrawDType() {
    const int64_t kind = dice_.Between(0, 20);
    if (kind == 0) return "bool";
    if (kind == 1) return "c64";
    if (kind < 8) return "f32";
    return dice_.OneOf(kNumbers);
  }

  Tensor DrawTensor(const std::string& dtype, Index shape) {
    while (Product(shape) > kMaxElements / 2) shape.pop_back();
    Tensor tensor{dtype, std::move(shape), {}};
    for (int64_t i = Product(tensor.shape); i > 0; --i) tensor.bits.push_back(DrawBits(dtype));
    return tensor;
  }

  uint64_t DrawBits(const std::string& dtype) {
    const int bytes = BytesOf(dtype);
    if (dtype == "bool") return static_cast<uint64_t>(dice_.Between(0, 1));
    if (!IsNumberName(dtype)) return dice_.Bits();
    const uint64_t mask = bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * bytes) - 1;
    if (!tame_ && dice_.OneIn(2)) return dice_.Bits() & mask;
    if (!tame_ && IsIntegerName(dtype) && bytes == 8 && dice_.OneIn(2)) {  // near 2^53 and 2^63
      return (uint64_t{1} << (dice_.OneIn(2) ? 53 : 63)) + static_cast<uint64_t>(dice_.Between(-3, 3));
    }
    const bool negative = dtype[0] != 'u' && dice_.OneIn(3);
    const auto whole = static_cast<long double>(dice_.Between(0, 12));
    const long double value =
        IsIntegerName(dtype) ? whole : whole / 4 + (bytes > 1 ? static_cast<long double>(dice_.Between(0, 3)) / 64 : 0);
    return Encode(dtype, negative ? -value : value, Overflows::kSaturate).bits;
  }

  // ---- operations ------------------------------------------------------------------------------

  // Draws operations until one fits. Returns " | op(…)", or nothing. `single`: the state must stay one tensor.
  std::string Step_(State& state, bool single) {
    for (int tries = 0; tries < 12; ++tries) {
      State next = state;
      std::string text;
      const int64_t kind = dice_.Between(0, 19);
      const bool refused = case_.refused;
      bool fits = false;
      if (state.list && kind < 10)
        fits = kind < 5 ? Join(next, text) : Combine(next, text);
      else if (!state.list && !single && kind < 4)
        fits = Expand(next, text);
      else if (kind < 12)
        fits = Structural(next, text);
      else if (kind < 17)
        fits = Elementwise(next, text);
      else
        fits = Computed(next, text);
      int64_t count = 0;
      for (const Tensor& tensor : next.tensors) count += tensor.count();
      if (!fits || count > kMaxElements) {  // as if it had not been drawn
        case_.refused = refused;
        continue;
      }
      state = std::move(next);
      return " | " + text;
    }
    return "";
  }

  // The result, or the end of the case.
  void Take(Outcome outcome, Tensor& tensor) {
    tensor = std::move(outcome.tensor);
    case_.refused = case_.refused || outcome.refused;
  }

  template <typename Change>
  void TakeEach(State& state, Change change) {
    for (Tensor& tensor : state.tensors) Take(change(tensor), tensor);
  }

  static bool SameShapes(const State& state) {
    return std::all_of(state.tensors.begin(), state.tensors.end(),
                       [&](const Tensor& tensor) { return tensor.shape == state.tensors[0].shape; });
  }
  static bool SameDTypes(const State& state) {
    return std::all_of(state.tensors.begin(), state.tensors.end(),
                       [&](const Tensor& tensor) { return tensor.dtype == state.tensors[0].dtype; });
  }
  // A tensor has one padding: two are refused, which is no subject here.
  static bool SameFills(const State& state) {
    std::optional<uint64_t> fill;
    for (const Tensor& tensor : state.tensors) {
      if (fill && tensor.fill && *fill != *tensor.fill) return false;
      if (tensor.fill) fill = tensor.fill;
    }
    return true;
  }
  template <typename Test>
  static bool All(const State& state, Test test) {
    return std::all_of(state.tensors.begin(), state.tensors.end(), test);
  }

  Overflows DrawOverflow(const std::string& to) {
    const bool infinite = to == "f16" || to == "bf16" || to == "f32" || to == "f64" || to == "f8_e5m2";
    const int64_t kind = dice_.Between(0, infinite ? 3 : 2);
    return kind < 2 && tame_ ? Overflows::kError
           : kind == 3       ? Overflows::kInf
           : kind == 0       ? Overflows::kError
                             : Overflows::kSaturate;
  }

  // An axis as it is written: from the front or from the back.
  std::string AxisText(int64_t axis, size_t rank) {
    return fmt::format("{}", dice_.OneIn(3) ? axis - static_cast<int64_t>(rank) : axis);
  }

  bool Structural(State& state, std::string& text) {
    static const std::vector<std::string> kOps = {"transpose", "permute", "reshape",   "squeeze", "unsqueeze",
                                                  "flatten",   "flip",    "rearrange", "pad",     "slice",
                                                  "select",    "repeat",  "pick"};
    if (!SameShapes(state)) return false;
    const Index& shape = state.tensors[0].shape;
    const size_t rank = shape.size();
    Step step;
    step.op = dice_.OneOf(kOps);
    if (step.op == "flatten" && rank == 0) {
      text = "flatten()";
      TakeEach(state, [](Tensor tensor) { return tensor.shape = {1}, Outcome{tensor}; });
      return true;
    }
    if (step.op == "permute") {
      step.numbers.resize(rank);
      std::iota(step.numbers.begin(), step.numbers.end(), int64_t{0});
      for (size_t i = rank; i > 1; --i)
        std::swap(step.numbers[i - 1],
                  step.numbers[static_cast<size_t>(dice_.Between(0, static_cast<int64_t>(i) - 1))]);
      if (rank == 0) return false;
      text = fmt::format("permute({})", fmt::join(step.numbers, ", "));
    } else if (step.op == "reshape") {
      step.numbers = DrawFactors(Product(shape));
      Index written = step.numbers;
      if (Product(shape) != 0 && dice_.OneIn(3))
        written[static_cast<size_t>(dice_.Between(0, static_cast<int64_t>(written.size()) - 1))] = -1;
      text = fmt::format("reshape({})", fmt::join(written, ", "));
    } else if (step.op == "rearrange") {
      if (std::count(shape.begin(), shape.end(), 0) > 0) return false;
      text = Rearrange(shape, step);
    } else if (step.op == "unsqueeze") {
      if (rank > 5) return false;
      step.axis = dice_.Between(0, static_cast<int64_t>(rank));
      text = fmt::format("unsqueeze(axis={})", AxisText(step.axis, rank + 1));
    } else {
      if (rank == 0 || !AlongAxis(state, step, text)) return false;
    }
    if (step.op == "pad") return Pad(state, step, text);
    for (Tensor& tensor : state.tensors) tensor = Moved(step, tensor);
    return true;
  }

  Index DrawFactors(int64_t number) {
    if (number == 0) return dice_.OneIn(2) ? Index{0, dice_.Between(1, 4)} : Index{dice_.Between(1, 4), 0};
    Index factors;
    for (int64_t count = dice_.Between(0, 2); count > 0; --count) {
      factors.push_back(dice_.OneOf(Divisors(number)));
      number /= factors.back();
    }
    factors.push_back(number);
    return factors;
  }

  std::string Rearrange(const Index& shape, Step& step) {
    for (const int64_t size : shape) {
      Index group;
      for (const int64_t factor : DrawFactors(size)) {
        group.push_back(static_cast<int64_t>(step.atoms.size()));
        step.atoms.push_back(factor);
      }
      step.left.push_back(group);
    }
    Index order(step.atoms.size());
    std::iota(order.begin(), order.end(), int64_t{0});
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[static_cast<size_t>(dice_.Between(0, static_cast<int64_t>(i) - 1))]);
    for (const int64_t atom : order) {
      if (step.right.empty() || dice_.OneIn(2)) step.right.emplace_back();
      step.right.back().push_back(atom);
    }
    const auto side = [](const std::vector<Index>& groups) {
      std::string text;
      for (const Index& group : groups) {
        text += text.empty() ? "(" : " (";
        for (size_t i = 0; i < group.size(); ++i) text += fmt::format("{}x{}", i == 0 ? "" : " ", group[i]);
        text += ")";
      }
      return text;
    };
    std::string text = fmt::format("rearrange(\"{} -> {}\"", side(step.left), side(step.right));
    for (const Index& group : step.left) {
      for (size_t k = 1; k < group.size(); ++k)
        text += fmt::format(", x{}={}", group[k], step.atoms[static_cast<size_t>(group[k])]);
    }
    return text + ")";
  }

  // Operations that take an axis. Of a list, tensors have one shape.
  bool AlongAxis(const State& state, Step& step, std::string& text) {
    const Index& shape = state.tensors[0].shape;
    const size_t rank = shape.size();
    step.axis = dice_.Between(0, static_cast<int64_t>(rank) - 1);
    const int64_t size = shape[static_cast<size_t>(step.axis)];
    const std::string axis = AxisText(step.axis, rank);
    if (step.op == "transpose") {
      if (rank < 2) return false;
      step.numbers = {dice_.Between(0, static_cast<int64_t>(rank) - 1)};
      text = fmt::format("transpose({}, {})", axis, step.numbers[0]);
    } else if (step.op == "squeeze") {
      if (size != 1) return false;
      text = fmt::format("squeeze(axis={})", axis);
    } else if (step.op == "flatten") {
      step.numbers = {dice_.Between(step.axis, static_cast<int64_t>(rank) - 1)};
      text = fmt::format("flatten(begin={}, end={})", axis, step.numbers[0]);
    } else if (step.op == "flip") {
      text = fmt::format("flip(axis={})", axis);
    } else if (step.op == "slice") {
      const int64_t begin = dice_.Between(0, size), end = dice_.Between(begin, size);
      step.numbers = {begin, end, dice_.OneIn(2) ? 1 : dice_.Between(1, 3)};
      text = fmt::format("slice(axis={}, begin={}, end={}{})", axis, begin, end,
                         step.numbers[2] == 1 ? "" : fmt::format(", step={}", step.numbers[2]));
      lossy_ = true;
    } else if (step.op == "select") {
      if (size == 0) return false;
      step.numbers = {dice_.Between(0, size - 1)};
      text = fmt::format("select(axis={}, index={})", axis, dice_.OneIn(3) ? step.numbers[0] - size : step.numbers[0]);
      lossy_ = true;
    } else if (step.op == "pick") {
      if (size == 0) return false;
      for (int64_t count = dice_.Between(1, 5); count > 0; --count) step.numbers.push_back(dice_.Between(0, size - 1));
      text = fmt::format("pick(axis={}, indices=[{}])", axis, fmt::join(step.numbers, ", "));
      lossy_ = true;
    } else if (step.op == "repeat") {
      step.numbers = {dice_.Between(1, 3)};
      step.word = dice_.OneIn(2) ? "each" : "whole";
      text = fmt::format("repeat(axis={}, times={}, order={})", axis, step.numbers[0], step.word);
    } else if (step.op == "pad") {
      step.numbers = {dice_.Between(0, 2), dice_.Between(0, 3)};
      step.word = dice_.OneIn(3) && size > 0 ? "edge" : "constant";
      text = fmt::format("pad(axis={}, before={}, after={}", axis, step.numbers[0], step.numbers[1]);
      if (dice_.OneIn(4)) {
        const int64_t multiple = dice_.Between(1, 4);
        step.numbers = {0, (multiple - size % multiple) % multiple};
        text = fmt::format("pad(axis={}, multiple={}", axis, multiple);
      }
    }
    return true;
  }

  bool Pad(State& state, const Step& step, std::string& text) {
    if (step.word == "edge") {
      text += ", mode=edge)";
      for (Tensor& tensor : state.tensors) tensor = Moved(step, tensor);
      return true;
    }
    // A second padding is only possible with the same element.
    if (!SameDTypes(state) || !All(state, [](const Tensor& tensor) { return !tensor.fill; })) return false;
    const std::string& dtype = state.tensors[0].dtype;
    std::string number;
    std::optional<uint64_t> bits = 0;
    if (IsNumberName(dtype) && dice_.OneIn(2)) {
      bits = Literal(dtype, number);
      if (!bits) return false;
      text += fmt::format(", value={}", number);
    }
    text += ")";
    for (Tensor& tensor : state.tensors) {
      tensor = Moved(step, tensor, *bits);
      tensor.fill = bits;
    }
    return true;
  }

  // A number as it may stand in rules, and the element that it is. nullopt: the dtype does not hold what was drawn.
  std::optional<uint64_t> Literal(const std::string& dtype, std::string& text) {
    if (IsIntegerName(dtype)) {
      int64_t number = dice_.Between(-3, 100);
      if (BytesOf(dtype) == 8 && dice_.OneIn(2)) number = (int64_t{1} << dice_.Between(52, 62)) + dice_.Between(-3, 3);
      text = fmt::format("{}", number);
      const Encoded one = Encode(dtype, static_cast<long double>(number), Overflows::kError);
      return one.overflowed ? std::nullopt : std::optional(one.bits);
    }
    const double number = static_cast<double>(dice_.Between(-12, 12)) / 4;
    text = number == std::floor(number) ? fmt::format("{}", static_cast<int64_t>(number)) : fmt::format("{}", number);
    const Encoded one = Encode(dtype, number, Overflows::kError);
    return ValueOf(dtype, one.bits) == static_cast<long double>(number) ? std::optional(one.bits) : std::nullopt;
  }

  bool Elementwise(State& state, std::string& text) {
    static const std::vector<std::string> kOps = {"cast",    "cast",    "scale",   "add",     "neg",
                                                  "bitcast", "bitcast", "bitcast", "byteswap"};
    if (!All(state, [](const Tensor& tensor) { return !tensor.rounded; })) return false;
    const std::string op = dice_.OneOf(kOps);
    const std::string& dtype = state.tensors[0].dtype;
    const bool numbers = All(state, [](const Tensor& tensor) { return IsNumberName(tensor.dtype); });
    if (op == "cast") {
      if (!All(state, [](const Tensor& tensor) { return IsNumberName(tensor.dtype) || tensor.dtype == "bool"; }))
        return false;
      const std::string to = dice_.OneIn(12) ? dice_.OneOf(kFnuz) : dice_.OneOf(kNumbers);
      const Overflows overflow = DrawOverflow(to);
      text = fmt::format("cast({}{})", to, overflow == Overflows::kError ? "" : ", overflow=" + Word(overflow));
      TakeEach(state, [&](const Tensor& tensor) { return Cast(tensor, to, overflow); });
      return true;
    }
    if (op == "bitcast") return DrawBitcast(state, text);
    if (op == "byteswap") {
      if (!All(state, [](const Tensor& tensor) { return tensor.dtype != "c64"; })) return false;
      text = "byteswap()";
      for (Tensor& tensor : state.tensors) tensor = Byteswap(tensor);
      return true;
    }
    if (!numbers) return false;
    if (op == "neg") {
      if (!All(state, [](const Tensor& tensor) { return tensor.dtype[0] != 'u'; })) return false;
      text = "neg()";
      TakeEach(state, [](const Tensor& tensor) { return Negate(tensor); });
      return true;
    }
    if (!SameDTypes(state)) return false;
    const Overflows overflow = DrawOverflow(dtype);
    const std::string suffix = overflow == Overflows::kError ? ")" : ", overflow=" + Word(overflow) + ")";
    if (IsIntegerName(dtype)) return IntegerArithmetic(op == "scale", state, overflow, suffix, text);
    const double number = op == "scale" && dice_.OneIn(2)
                              ? std::ldexp(dice_.OneIn(3) ? -1.0 : 1.0, static_cast<int>(dice_.Between(-3, 3)))
                              : static_cast<double>(dice_.Between(1, 50)) / 8;
    text = fmt::format("{}({}{}", op, number, suffix);
    TakeEach(state, [&](const Tensor& tensor) {
      return op == "scale" ? ScaleFloat(tensor, number, overflow) : AddFloat(tensor, number, overflow);
    });
    return true;
  }

  bool IntegerArithmetic(bool scale, State& state, Overflows overflow, const std::string& suffix, std::string& text) {
    const bool wide = BytesOf(state.tensors[0].dtype) == 8 && dice_.OneIn(2);
    if (!scale) {
      const int64_t term = wide ? (int64_t{1} << 53) + dice_.Between(-1, 3) : dice_.Between(-5, 9);
      text = fmt::format("add({}{}", term, suffix);
      TakeEach(state, [&](const Tensor& tensor) { return AddInteger(tensor, term, overflow); });
      return true;
    }
    if (overflow == Overflows::kError && dice_.OneIn(3)) {
      const int64_t divisor = int64_t{1} << dice_.Between(1, 2);
      text = fmt::format("scale({})", 1.0 / static_cast<double>(divisor));
      TakeEach(state, [&](const Tensor& tensor) { return ScaleInteger(tensor, divisor, true, overflow); });
      return true;
    }
    const int64_t factor = wide ? (int64_t{1} << 53) + dice_.Between(1, 3) : dice_.Between(1, 4);
    text = fmt::format("scale({}{}", factor, suffix);
    TakeEach(state, [&](const Tensor& tensor) { return ScaleInteger(tensor, factor, false, overflow); });
    return true;
  }

  bool DrawBitcast(State& state, std::string& text) {
    static const std::vector<std::string> kTo = {"u8",  "i8",  "u16", "i16", "f16", "bf16",   "u32",
                                                 "i32", "f32", "i64", "u64", "f64", "f8_e4m3"};
    if (!SameDTypes(state) || state.tensors[0].dtype == "c64" || state.tensors[0].dtype == "bool") return false;
    const std::string from = state.tensors[0].dtype, to = dice_.OneOf(kTo);
    const int ratio = BytesOf(to) / BytesOf(from);
    for (const Tensor& tensor : state.tensors) {
      if (BytesOf(to) == BytesOf(from)) continue;
      if (tensor.shape.empty() || (ratio > 1 && tensor.shape.back() % ratio != 0)) return false;
    }
    text = fmt::format("bitcast({}{})", to, dice_.OneIn(2) ? ", from=" + from : "");
    for (Tensor& tensor : state.tensors) tensor = Bitcast(tensor, to);
    return true;
  }

  bool Join(State& state, std::string& text) {
    static const std::vector<std::string> kOps = {"concat", "stack", "interleave"};
    if (!SameDTypes(state) || !SameFills(state)) return false;
    Step step;
    step.op = dice_.OneOf(kOps);
    const size_t rank = state.tensors[0].shape.size();
    const bool stack = step.op == "stack";
    if (!All(state, [&](const Tensor& tensor) { return tensor.shape.size() == rank; }) || (rank == 0 && !stack))
      return false;
    step.axis = dice_.Between(0, static_cast<int64_t>(rank) - (stack ? 0 : 1));
    const auto a = static_cast<size_t>(step.axis);
    const bool fits = All(state, [&](const Tensor& tensor) {
      Index mine = tensor.shape, first = state.tensors[0].shape;
      if (step.op == "concat") mine[a] = first[a] = 0;
      return mine == first;
    });
    if (!fits) return false;
    text = fmt::format("{}(axis={}", step.op, AxisText(step.axis, rank + (stack ? 1 : 0)));
    if (step.op == "interleave") {
      const int64_t size = state.tensors[0].shape[a];
      step.numbers = {size == 0 ? dice_.Between(1, 3) : dice_.OneOf(Divisors(size))};
      if (step.numbers[0] != 1) text += fmt::format(", block={}", step.numbers[0]);
    }
    text += ")";
    Tensor joined = Joined(step, state.tensors);
    state = {false, {std::move(joined)}};
    return true;
  }

  bool Expand(State& state, std::string& text) {
    static const std::vector<std::string> kOps = {"split", "unstack", "deinterleave"};
    const Tensor& tensor = state.tensors[0];
    if (tensor.shape.empty()) return false;
    Step step;
    step.op = dice_.OneOf(kOps);
    step.axis = dice_.Between(0, static_cast<int64_t>(tensor.shape.size()) - 1);
    const int64_t size = tensor.shape[static_cast<size_t>(step.axis)];
    text = fmt::format("{}(axis={}", step.op, AxisText(step.axis, tensor.shape.size()));
    if (step.op == "split") {
      int64_t left = size;
      while (left > 0 && step.numbers.size() < 4) {
        step.numbers.push_back(dice_.Between(dice_.OneIn(20) ? 0 : 1, left));
        left -= step.numbers.back();
      }
      if (left > 0 || step.numbers.empty()) step.numbers.push_back(left);
      text += fmt::format(", sizes=[{}]", fmt::join(step.numbers, ", "));
    } else if (step.op == "deinterleave") {
      const int64_t parts = size == 0 ? dice_.Between(1, 3) : dice_.OneOf(Divisors(size));
      step.numbers = {parts, size == 0 ? 1 : dice_.OneOf(Divisors(size / parts))};
      if (parts > 6) return false;
      text +=
          fmt::format(", parts={}{}", parts, step.numbers[1] == 1 ? "" : fmt::format(", block={}", step.numbers[1]));
    } else if (size > 6 || size == 0) {
      return false;
    }
    text += ")";
    std::vector<Tensor> parts = Expanded(step, tensor);
    if (parts.size() < 2) return false;  // a list of one has no name on the right side
    state = {true, std::move(parts)};
    return true;
  }

  // ---- computed --------------------------------------------------------------------------------

  std::optional<Rounding> DrawRounding(const std::string& dtype, bool integers, std::string& text) {
    Rounding rounding{dtype, Overflows::kError};
    if (dice_.OneIn(2) || !IsNumberName(dtype)) {
      rounding.to = integers && dice_.OneIn(2) ? dice_.OneOf(kIntegers) : dice_.OneOf(kFloats);
      text += fmt::format("{}to={}", text.ends_with("(") ? "" : ", ", rounding.to);
    }
    rounding.overflow = DrawOverflow(rounding.to);
    if (rounding.overflow != Overflows::kError)
      text += fmt::format("{}overflow={}", text.ends_with("(") ? "" : ", ", Word(rounding.overflow));
    text += ")";
    if (++depth_ > 7) return std::nullopt;
    return rounding;
  }

  // Fields of integers, and values of codes.
  bool Codes(State& state, std::string& text) {
    const Index shape = state.tensors[0].shape;
    const std::string dtype = state.tensors[0].dtype;
    if (!SameShapes(state) || !SameDTypes(state) || !IsIntegerName(dtype) || shape.empty() || Product(shape) == 0)
      return false;
    if (++depth_ > 7) return false;
    if (BytesOf(dtype) == 1 && dice_.OneIn(3)) {
      const std::string format = dice_.OneOf(std::vector<std::string>{"e2m1", "e2m3", "e3m2", "e4m3", "e5m2", "e8m0"});
      text = fmt::format("decode({})", format);
      TakeEach(state, [&](const Tensor& tensor) { return Decode(tensor, format); });
      return true;
    }
    if (dice_.OneIn(BytesOf(dtype) == 1 ? 2 : 4)) return Packed(state, text);
    const int64_t axis = dice_.Between(0, static_cast<int64_t>(shape.size()) - 1), width = 8 * BytesOf(dtype);
    Fields fields{dice_.Between(1, 8), 0, dice_.OneIn(3), dice_.OneIn(3)};
    if (dice_.OneIn(3)) fields.fields = dice_.Between(1, width / fields.bits);
    if (shape[static_cast<size_t>(axis)] * width > 512) return false;
    text = fmt::format("unpack(bits={}, axis={}{}{}{})", fields.bits, axis, fields.high ? ", order=high" : "",
                       fields.fields != 0 ? fmt::format(", fields={}", fields.fields) : "",
                       fields.is_signed ? ", signed=true" : "");
    TakeEach(state, [&](const Tensor& tensor) { return Outcome{Unpack(tensor, axis, fields)}; });
    return true;
  }

  // Numbers of a few bits in words; of as many bits as they need, seldom of fewer.
  bool Packed(State& state, std::string& text) {
    Rounding rounding{dice_.OneOf(kIntegers), dice_.OneIn(4) ? Overflows::kSaturate : Overflows::kError};
    Fields fields{dice_.Between(1, 8), 0, dice_.OneIn(3), dice_.OneIn(3)};
    const auto fits = [&] {
      return All(state, [&](const Tensor& tensor) { return !Pack(tensor, 0, fields, rounding).refused; });
    };
    while (fields.bits < 8 && !dice_.OneIn(20) && !fits()) ++fields.bits;
    const int64_t width = 8 * BytesOf(rounding.to), rank = static_cast<int64_t>(state.tensors[0].shape.size());
    if (dice_.OneIn(3)) fields.fields = dice_.Between(1, width / fields.bits);
    const int64_t axis = dice_.Between(0, rank - 1);
    text = fmt::format(
        "pack(bits={}, to={}, axis={}{}{}{}{})", fields.bits, rounding.to, axis, fields.high ? ", order=high" : "",
        fields.fields != 0 ? fmt::format(", fields={}", fields.fields) : "", fields.is_signed ? ", signed=true" : "",
        rounding.overflow == Overflows::kSaturate ? ", overflow=saturate" : "");
    TakeEach(state, [&](const Tensor& tensor) { return Pack(tensor, axis, fields, rounding); });
    return true;
  }

  // Numbers that stand in the rule, whatever the tensors hold.
  bool Numbers(State& state, std::string& text) {
    const std::string to = dice_.OneOf(dice_.OneIn(2) ? kIntegers : kFloats);
    std::vector<int64_t> values;
    for (int64_t left = dice_.Between(1, 5); left > 0; --left)
      values.push_back(dice_.OneIn(20) ? dice_.Between(-70000, 70000) : dice_.Between(0, 127));
    text = fmt::format("constant([{}], to={})", fmt::join(values, ", "), to);
    if (++depth_ > 7) return false;
    lossy_ = true;
    TakeEach(state, [&](const Tensor& /*tensor*/) { return Listed(values, to); });
    return true;
  }

  bool Scales(State& state, std::string& text) {
    const Index shape = state.tensors[0].shape;
    Index block;
    std::vector<std::string> written;
    for (const int64_t size : shape) {
      const bool whole = dice_.OneIn(4);
      block.push_back(whole ? std::max<int64_t>(size, 1) : dice_.Between(1, std::max<int64_t>(size + 1, 2)));
      written.push_back(whole ? "-1" : fmt::format("{}", block.back()));
    }
    ScaleOf of;
    text = fmt::format("absmax(block=[{}]", fmt::join(written, ", "));
    if (dice_.OneIn(2)) text += fmt::format(", over={}", of.over = dice_.OneOf(std::vector<double>{448, 127, 7.5}));
    if (dice_.OneIn(4)) text += fmt::format(", least={}", of.least = dice_.OneOf(std::vector<double>{1e-4, 0.25, 3}));
    of.epsilon = dice_.OneIn(4);
    if (of.epsilon) text += ", zeros=epsilon";
    const auto rounding = DrawRounding(state.tensors[0].dtype, false, text);
    if (!rounding || (of.epsilon && BytesOf(rounding->to) == 1)) return false;
    TakeEach(state, [&](const Tensor& tensor) { return Absmax(tensor, block, of, *rounding); });
    return true;
  }

  // Of each tensor by itself.
  bool Computed(State& state, std::string& text) {
    // What is refused before it would not be: nothing of the tensors is read.
    if (!state.tensors.empty() && !case_.refused && dice_.OneIn(20)) return Numbers(state, text);
    if (!state.tensors.empty() && IsIntegerName(state.tensors[0].dtype)) return Codes(state, text);
    static const std::vector<std::string> kOps = {"reduce_mean", "exp",    "log",   "normalize",
                                                  "interpolate", "absmax", "absmax"};
    if (!tame_ || !SameShapes(state) || !SameDTypes(state)) return false;
    if (!All(state, [](const Tensor& tensor) { return IsFloatName(tensor.dtype) && !tensor.rounded; })) return false;
    const std::string op = dice_.OneOf(kOps);
    const Index shape = state.tensors[0].shape;
    const std::string dtype = state.tensors[0].dtype;
    const int64_t axis = shape.empty() ? 0 : dice_.Between(0, static_cast<int64_t>(shape.size()) - 1);
    if (op != "exp" && op != "log" && (shape.empty() || shape[static_cast<size_t>(axis)] == 0)) return false;
    const bool finite = All(state, [](const Tensor& tensor) {
      return std::all_of(tensor.bits.begin(), tensor.bits.end(),
                         [&](uint64_t bits) { return std::isfinite(ValueOf(tensor.dtype, bits)); });
    });
    if (op == "reduce_mean") {
      text = fmt::format("reduce_mean(axis={}", axis);
      const auto rounding = DrawRounding(dtype, true, text);
      if (!rounding) return false;
      TakeEach(state, [&](const Tensor& tensor) { return ReduceMean(tensor, axis, *rounding); });
    } else if (op == "exp" || op == "log") {
      text = op + "(";
      const auto rounding = DrawRounding(dtype, true, text);
      if (!rounding) return false;
      TakeEach(state, [&](const Tensor& tensor) { return Map(op, tensor, *rounding); });
    } else if (op == "absmax") {
      return Scales(state, text);
    } else if (op == "normalize") {
      if (!finite) return false;
      const bool standardize = dice_.OneIn(2);
      text = fmt::format("normalize(axes=[{}], eps=0.015625{}", axis, standardize ? ", mode=standardize" : "");
      const auto rounding = DrawRounding(dtype, false, text);
      if (!rounding) return false;
      TakeEach(state, [&](const Tensor& tensor) { return Normalize(tensor, axis, standardize, 0.015625, *rounding); });
    } else {
      if (!finite || shape.back() == 0) return false;
      const std::string mode = dice_.OneOf(std::vector<std::string>{"nearest", "nearest_exact", "linear"});
      const bool corners = mode == "linear" && dice_.OneIn(2);
      const int64_t size = dice_.Between(1, 9);
      text = fmt::format("interpolate(size=[{}], mode={}{}", size, mode, corners ? ", align_corners=true" : "");
      const auto rounding = DrawRounding(dtype, false, text);
      if (!rounding) return false;
      TakeEach(state, [&](const Tensor& tensor) { return Interpolate(tensor, size, mode, corners, *rounding); });
    }
    return true;
  }

  // Of a list.
  bool Combine(State& state, std::string& text) {
    if (!All(state, [](const Tensor& tensor) { return IsNumberName(tensor.dtype) && !tensor.rounded; })) return false;
    const std::vector<Tensor> in = state.tensors;
    std::vector<Outcome> results;
    bool fits = false;
    switch (dice_.Between(0, 4)) {
      case 0:
        fits = WithScale(in, results, text);
        break;
      case 1:
        fits = Matrices(in, results, text);
        break;
      case 2:
        fits = Norms(in, results, text);
        break;
      case 3:
        fits = Slices(in, results, text);
        break;
      default:
        fits = Sums(in, results, text);
        break;
    }
    if (!fits) return false;
    state = {results.size() > 1, std::vector<Tensor>(results.size())};
    for (size_t i = 0; i < results.size(); ++i) Take(std::move(results[i]), state.tensors[i]);
    return true;
  }

  // A table and indices.
  bool Slices(const std::vector<Tensor>& in, std::vector<Outcome>& results, std::string& text) {
    if (in.size() != 2 || in[0].shape.empty() || !IsIntegerName(in[1].dtype)) return false;
    const int64_t axis = dice_.Between(0, static_cast<int64_t>(in[0].shape.size()) - 1);
    text = fmt::format("take(axis={})", AxisText(axis, in[0].shape.size()));
    if (++depth_ > 7) return false;
    results = {TakeSlices(in[0], in[1], axis)};
    return true;
  }

  bool Sums(const std::vector<Tensor>& in, std::vector<Outcome>& results, std::string& text) {
    const std::string op = dice_.OneOf(std::vector<std::string>{"sum", "subtract", "multiply", "mean", "divide"});
    if (in.size() < 2 || ((op == "subtract" || op == "divide") && in.size() != 2)) return false;
    Index shape = in[0].shape;
    bool wide = false, integers = true;
    for (const Tensor& part : in) {
      if (part.shape.size() != shape.size()) return false;
      wide = wide || BytesOf(part.dtype) == 8;
      integers = integers && IsIntegerName(part.dtype);
      for (size_t d = 0; d < shape.size(); ++d) {
        if (shape[d] == 1) shape[d] = part.shape[d];
        if (part.shape[d] != shape[d] && part.shape[d] != 1) return false;
      }
    }
    if (op == "multiply" && integers && in.size() > (wide ? 1 : 3)) {
      if (in.size() != 2) return false;
    }
    text = op + "(";
    // Tensors of several dtypes need `to`; a mean of integers is not an integer.
    const bool same = std::all_of(in.begin(), in.end(), [&](const Tensor& part) { return part.dtype == in[0].dtype; });
    Rounding rounding{in[0].dtype, Overflows::kError};
    const bool real = op == "mean" || op == "divide";
    const bool needs = !same || (real && IsIntegerName(in[0].dtype));
    if (needs || dice_.OneIn(3)) {
      rounding.to =
          real || (op == "multiply" && !integers) || dice_.OneIn(2) ? dice_.OneOf(kFloats) : dice_.OneOf(kIntegers);
      if (op == "multiply" && integers && wide && !IsIntegerName(rounding.to)) rounding.to = "i64";
      text += "to=" + rounding.to;
    }
    rounding.overflow = DrawOverflow(rounding.to);
    if (rounding.overflow != Overflows::kError)
      text += fmt::format("{}overflow={}", text.ends_with("(") ? "" : ", ", Word(rounding.overflow));
    text += ")";
    if (++depth_ > 7) return false;
    results = {Pointwise(op, in, rounding)};
    return true;
  }

  bool WithScale(const std::vector<Tensor>& in, std::vector<Outcome>& results, std::string& text) {
    if (in.size() < 2 || in.size() > 3 || in[0].shape.size() != 2 || !IsFloatName(in[1].dtype) || in[0].count() == 0)
      return false;
    int64_t axis = -1;
    if (in[1].count() != 1) {
      if (in[1].shape != Index{in[0].shape[0]}) return false;
      axis = 0;
    }
    if (in.size() == 3 && in[2].shape != in[1].shape) return false;
    const bool floats = IsFloatName(in[0].dtype), quantizes = floats && (BytesOf(in[0].dtype) > 1 || dice_.OneIn(2));
    text = quantizes ? "quantize(" : "dequantize(";
    Rounding rounding{quantizes
                          ? dice_.OneOf(std::vector<std::string>{"i8", "u8", "i16", "i32", "i64", "f8_e4m3", "f8_e5m2"})
                          : dice_.OneOf(kFloats),
                      quantizes ? Overflows::kSaturate : Overflows::kError};
    text += "to=" + rounding.to;
    if (axis == 0) text += ", axis=0";
    double reciprocal = 0;
    if (quantizes && dice_.OneIn(3))
      text += fmt::format(", reciprocal={}", reciprocal = dice_.OneOf(std::vector<double>{1, 127, 0.5}));
    text += ")";
    if (++depth_ > 7) return false;
    const Tensor* zero = in.size() == 3 ? &in[2] : nullptr;
    results = {quantizes ? Quantize(in[0], in[1], zero, axis, reciprocal, rounding)
                         : Dequantize(in[0], in[1], zero, axis, rounding)};
    return true;
  }

  bool Matrices(const std::vector<Tensor>& in, std::vector<Outcome>& results, std::string& text) {
    const bool floats = std::all_of(
        in.begin(), in.end(), [&](const Tensor& part) { return IsFloatName(part.dtype) && part.dtype == in[0].dtype; });
    if (!floats) return false;
    const size_t rank = in[0].shape.size();
    if (in.size() == 2) {
      const Index &a = in[0].shape, &b = in[1].shape;
      if (rank < 2 || b.size() != rank || a[rank - 1] != b[rank - 2]) return false;
      for (size_t d = 0; d + 2 < rank; ++d) {
        if (a[d] != b[d]) return false;
      }
      text = "matmul(";
      const auto rounding = DrawRounding(in[0].dtype, false, text);
      if (!rounding) return false;
      results = {Matmul(in[0], in[1], *rounding)};
      return true;
    }
    if (in.size() != 3 || rank != 2 || !tame_) return false;
    const Index &weight = in[0].shape, &a = in[1].shape, &b = in[2].shape;
    if (a.size() != 2 || b.size() != 2 || a[1] != weight[1] || b[0] != weight[0] || a[0] != b[1] || a[0] == 0)
      return false;
    text = "lora_merge(alpha=3";
    const auto rounding = DrawRounding(in[0].dtype, false, text);
    if (!rounding) return false;
    results = {LoraMerge(in[0], in[1], in[2], 3, *rounding)};
    return true;
  }

  bool Norms(const std::vector<Tensor>& in, std::vector<Outcome>& results, std::string& text) {
    const bool floats = std::all_of(
        in.begin(), in.end(), [&](const Tensor& part) { return IsFloatName(part.dtype) && part.dtype == in[0].dtype; });
    if (!floats || !tame_) return false;
    if (in.size() == 2) {  // lengths, directions
      if (in[1].shape.size() < 2 || in[0].count() != in[1].shape[0] || in[1].count() == 0) return false;
      text = "fold_weight_norm(axis=0";
      const auto rounding = DrawRounding(in[1].dtype, false, text);
      if (!rounding) return false;
      results = {FoldWeightNorm(in[0], in[1], 0, *rounding)};
      return true;
    }
    if (in.size() != 5 || in[0].shape.empty()) return false;
    for (size_t i = 1; i < 5; ++i) {
      if (in[i].shape != Index{in[0].shape[0]}) return false;
    }
    text = "fold_batch_norm(eps=0.5";
    const auto rounding = DrawRounding(in[0].dtype, false, text);
    if (!rounding) return false;
    results = {FoldBatchNormWeight(in[0], in[1], in[4], 0.5, *rounding),
               FoldBatchNormBias(in[1], in[2], in[3], in[4], 0.5, *rounding)};
    return true;
  }

  Dice dice_;
  Case case_;
  std::string body_;
  std::map<std::string, std::string> policies_;
  bool tame_ = true;  // small finite numbers, so that few results overflow
  bool lossy_ = false;
  bool spaced_ = false;         // some sources stand in files of their own
  std::vector<Named> visible_;  // what a rule may read: derived sources in the place of those that they are made of
  size_t fresh_ = 0;            // the last ones of these that the rule reads, and no rule before it
  int derives_ = 0;             // derived sources so far
  int depth_ = 0;               // computed operations so far: they nest up to 8 deep
};

}  // namespace

Case DrawCase(uint64_t seed) { return Drawer(seed).Run(); }

}  // namespace ckmap::testing
